package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// CallsConfig says how those who call prove who they are. Where both Tokens and Certificates are set, both are needed.
type CallsConfig struct {
	// Tokens checks tokens; nil for none.
	Tokens *Tokens
	// Scope is what a token must be good for.
	Scope Scope
	// Certificates says that the listener has a CA for client certificates, and that one is needed.
	Certificates bool
	// Names are the identities whose certificates are let in: a DNS name, of which the first label may be "*", a URI,
	// an email address or an IP address, each as a subject alternative name. Nil for all of the CA's.
	Names []string
	// Anonymous lets those in who show no token. A bad one is refused all the same, and a certificate is needed still.
	Anonymous bool
}

// Calls finds out who calls.
type Calls struct {
	config     CallsConfig
	identities []identity // nil for all
}

// NewCalls returns Calls. The error says which of the names can be no certificate's, or that nothing checks them.
func NewCalls(config CallsConfig) (*Calls, error) {
	c := &Calls{config: config}
	if config.Names != nil && !config.Certificates {
		return nil, errors.New("clients' identities are given, but no CA for their certificates")
	}
	if config.Names != nil {
		c.identities = []identity{}
	}
	for _, name := range config.Names {
		i, err := parseIdentity(name)
		if err != nil {
			return nil, err
		}
		c.identities = append(c.identities, i)
	}
	return c, nil
}

// Authenticate returns who makes a gRPC call, by its metadata "authorization" and its connection. The error is a
// *Refusal.
func (c *Calls) Authenticate(ctx context.Context) (Caller, error) {
	var state *tls.ConnectionState
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			state = &info.State
		}
	}
	return c.authenticate(ctx, metadata.ValueFromIncomingContext(ctx, "authorization"), state)
}

// Request returns who makes an HTTP request, by its Authorization header and its connection. The error is a *Refusal.
func (c *Calls) Request(r *http.Request) (Caller, error) {
	return c.authenticate(r.Context(), r.Header.Values("Authorization"), r.TLS)
}

func (c *Calls) authenticate(ctx context.Context, authorization []string, state *tls.ConnectionState) (Caller, error) {
	var caller Caller
	var refusal *Refusal
	if c.config.Certificates {
		if caller, refusal = c.certified(state); refusal != nil {
			return Caller{}, refusal
		}
	}
	if c.config.Tokens == nil {
		if !c.config.Certificates && !c.config.Anonymous {
			return Caller{}, refuse(Missing, "there is no credential that would be accepted")
		}
		return caller, nil
	}
	token, found, refusal := bearer(authorization)
	switch {
	case refusal != nil:
		return Caller{}, refusal
	case !found && c.config.Anonymous:
		return caller, nil
	case !found:
		return Caller{}, refuse(Missing, "the call has no token")
	}
	signed, refusal := c.config.Tokens.verify(ctx, token, c.config.Scope)
	if refusal != nil {
		return Caller{}, refusal
	}
	if c.config.Certificates && caller.Expires.Before(signed.Expires) {
		signed.Expires = caller.Expires
	}
	return signed, nil
}
