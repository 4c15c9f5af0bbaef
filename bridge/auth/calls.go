package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"strings"

	grpcauth "github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/auth"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// CallsConfig says how those who call show who they are. Its zero value lets everybody in.
type CallsConfig struct {
	// Tokens checks tokens; nil for none.
	Tokens *Tokens
	// Scope is what a token must be good for.
	Scope Scope
	// Certificates says that callers must show a certificate, beside the token if those are checked.
	Certificates bool
	// Names are the identities in a certificate that may call: DNS names, IP addresses, URIs and e-mail addresses; *.
	// stands for one label. All may by default.
	Names []string
	// Anonymous lets in who shows no token. A certificate is not left out by that.
	Anonymous bool
}

// Calls finds out who makes a gRPC call, or an HTTP request of an operator.
type Calls struct {
	config CallsConfig
}

// NewCalls returns what asks callers.
func NewCalls(config CallsConfig) *Calls { return &Calls{config} }

// Authenticate returns who makes a gRPC call. The error is a *Refusal.
func (c *Calls) Authenticate(ctx context.Context) (Caller, error) {
	token, _ := grpcauth.AuthFromMD(ctx, "bearer") // the error says that there is none
	var connection *tls.ConnectionState
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			connection = &info.State
		}
	}
	return c.check(ctx, token, connection)
}

// Request returns who makes an HTTP request. The error is a *Refusal.
func (c *Calls) Request(r *http.Request) (Caller, error) {
	return c.check(r.Context(), bearer(r.Header), r.TLS)
}

func (c *Calls) check(ctx context.Context, token string, connection *tls.ConnectionState) (Caller, error) {
	var caller Caller
	if c.config.Certificates {
		name, err := c.certified(connection)
		if err != nil {
			return Caller{}, err
		}
		caller.Subject = name
	}
	if c.config.Tokens == nil {
		return caller, nil
	}
	if token == "" {
		if c.config.Anonymous {
			return caller, nil
		}
		return Caller{}, &Refusal{Missing, "there is no bearer token in the authorization"}
	}
	return c.config.Tokens.Verify(ctx, token, c.config.Scope)
}

// certified returns by which identity of its certificate a caller may call.
func (c *Calls) certified(connection *tls.ConnectionState) (string, error) {
	if connection == nil || len(connection.VerifiedChains) == 0 {
		return "", &Refusal{Missing, "there is no client certificate"}
	}
	certificate := connection.VerifiedChains[0][0]
	names := identities(certificate)
	if len(c.config.Names) == 0 {
		if len(names) == 0 {
			names = []string{certificate.Subject.CommonName}
		}
		if names[0] == "" {
			return "", &Refusal{Unnamed, "the client certificate has neither a subject alternative name nor a common name"}
		}
		return names[0], nil
	}
	for _, name := range names {
		if slices.ContainsFunc(c.config.Names, func(allowed string) bool { return matches(allowed, name) }) {
			return name, nil
		}
	}
	return "", &Refusal{WrongCertificate, fmt.Sprintf("none of the client certificate's names %.256q is among --grpc-client-names", names)}
}

// identities returns a certificate's subject alternative names.
func identities(certificate *x509.Certificate) []string {
	names := slices.Concat(certificate.DNSNames, certificate.EmailAddresses)
	for _, uri := range certificate.URIs {
		names = append(names, uri.String())
	}
	for _, ip := range certificate.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// matches reports whether a name is an allowed one.
func matches(allowed, name string) bool {
	if parent, wild := strings.CutPrefix(allowed, "*."); wild {
		label, rest, _ := strings.Cut(name, ".")
		return label != "" && label != "*" && strings.EqualFold(rest, parent)
	}
	if strings.Contains(allowed, "/") { // in a URI the case counts
		return allowed == name
	}
	return strings.EqualFold(allowed, name)
}
