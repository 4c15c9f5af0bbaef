package auth_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rotki/notification-bridge/bridge/auth"
)

// verdict is who somebody was found to be, or why not.
type verdict struct {
	caller auth.Caller
	err    error
}

// server is a gRPC and an HTTP server, which ask their callers for a certificate if there is an authority.
type server struct {
	tls      *tls.Config // nil for none
	grpc     string
	http     *httptest.Server
	verdicts chan verdict
}

func newServer(t *testing.T, calls *auth.Calls, a *authority) *server {
	t.Helper()
	s := &server{verdicts: make(chan verdict, 1)}
	transport := insecure.NewCredentials()
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		caller, err := calls.Request(r)
		s.verdicts <- verdict{caller, err}
	}))
	if a != nil {
		certificate := a.issue(names{dns: []string{"bridge.example"}}, time.Now().Add(time.Hour))
		s.tls = &tls.Config{
			Certificates: []tls.Certificate{certificate},
			ClientAuth:   tls.VerifyClientCertIfGiven, ClientCAs: a.pool(), MinVersion: tls.VersionTLS12,
		}
		transport = credentials.NewTLS(s.tls)
		s.http.TLS = s.tls.Clone()
		s.http.StartTLS()
	} else {
		s.http.Start()
	}
	t.Cleanup(s.http.Close)
	authenticate := func(
		ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
	) (any, error) {
		caller, err := calls.Authenticate(ctx)
		s.verdicts <- verdict{caller, err}
		return handler(ctx, request)
	}
	g := grpc.NewServer(grpc.Creds(transport), grpc.UnaryInterceptor(authenticate))
	healthv1.RegisterHealthServer(g, health.NewServer())
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	s.grpc = listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }()
	t.Cleanup(func() {
		g.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return s
}

// client is how a caller connects.
func (s *server) client(a *authority, certificate *tls.Certificate) *tls.Config {
	if s.tls == nil {
		return nil
	}
	config := &tls.Config{RootCAs: a.pool(), ServerName: "bridge.example", MinVersion: tls.VersionTLS12}
	if certificate != nil {
		// Sent whatever authorities the server asks for.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return certificate, nil
		}
	}
	return config
}

// call makes a gRPC call; ok is false if there was no connection.
func (s *server) call(t *testing.T, config *tls.Config, authorization ...string) (v verdict, ok bool) {
	t.Helper()
	transport := insecure.NewCredentials()
	if config != nil {
		transport = credentials.NewTLS(config)
	}
	conn := must(grpc.NewClient(s.grpc, grpc.WithTransportCredentials(transport)))
	defer conn.Close()
	ctx := t.Context()
	for _, value := range authorization {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", value)
	}
	_, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
	if status.Code(err) == codes.Unavailable {
		return verdict{}, false
	}
	if err != nil {
		t.Fatal(err)
	}
	return <-s.verdicts, true
}

// request makes an HTTP request; ok is false if there was no connection.
func (s *server) request(t *testing.T, config *tls.Config, authorization ...string) (v verdict, ok bool) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, s.http.URL, nil))
	r.Header["Authorization"] = authorization
	response, err := client.Do(r)
	if err != nil {
		return verdict{}, false
	}
	_, _ = io.Copy(io.Discard, response.Body)
	response.Body.Close()
	return <-s.verdicts, true
}

// TestCalls: who calls is found out alike over gRPC and HTTP, by token, by certificate, or by both.
func TestCalls(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t, auth.TokensConfig{SecretFile: file(t, []byte(secret))})
	claims := good()
	claims.Scopes = []auth.Scope{auth.ScopePublish}
	bearer := "Bearer " + sign(t, hmacSigner(), claims, "")
	subscriber := "bearer " + sign(t, hmacSigner(), good(), "")
	ours, theirs := newAuthority(), newAuthority()
	soon := time.Now().Add(20 * time.Minute).Truncate(time.Second)
	listed := ours.issue(names{dns: []string{"one.example", "pub.rotki.example"}}, soon)
	unlisted := ours.issue(names{common: "pub.rotki.example", dns: []string{"rotki.example"}}, soon)
	foreign := theirs.issue(names{dns: []string{"pub.rotki.example"}}, soon)
	expired := ours.issue(names{dns: []string{"pub.rotki.example"}}, time.Now().Add(-time.Minute))

	token := auth.CallsConfig{Tokens: tokens, Scope: auth.ScopePublish}
	tokenIfAny := token
	tokenIfAny.Anonymous = true
	certificate := auth.CallsConfig{Certificates: true, Names: []string{"*.rotki.example"}}
	both := certificate
	both.Tokens, both.Scope = tokens, auth.ScopePublish
	bothIfAny := both
	bothIfAny.Anonymous = true
	const unconnected = auth.Defect("no connection")
	for _, c := range []struct {
		name          string
		config        auth.CallsConfig
		certificate   *tls.Certificate
		authorization []string
		want          auth.Defect
		subject       string
	}{
		{"token", token, nil, []string{bearer}, "", subject},
		{"token, none", token, nil, nil, auth.Missing, ""},
		{"token, of another kind", token, nil, []string{"Basic YTpi"}, auth.Missing, ""},
		{"token, two", token, nil, []string{bearer, bearer}, auth.Malformed, ""},
		{"token, a subscriber's", token, nil, []string{subscriber}, auth.WrongScope, ""},
		{"token, garbage", token, nil, []string{"Bearer garbage"}, auth.Malformed, ""},
		{"token or nothing, nothing", tokenIfAny, nil, nil, "", ""},
		{"token or nothing, a token", tokenIfAny, nil, []string{bearer}, "", subject},
		{"token or nothing, garbage", tokenIfAny, nil, []string{"Bearer garbage"}, auth.Malformed, ""},

		{"certificate", certificate, &listed, nil, "", "pub.rotki.example"},
		{"certificate beside a token", certificate, &listed, []string{bearer}, "", "pub.rotki.example"},
		{"certificate, none", certificate, nil, []string{bearer}, auth.Missing, ""},
		{"certificate, not listed", certificate, &unlisted, nil, auth.WrongCertificate, ""},
		{"certificate, of another CA", certificate, &foreign, nil, unconnected, ""},
		{"certificate, expired", certificate, &expired, nil, unconnected, ""},
		{"any certificate", auth.CallsConfig{Certificates: true}, &unlisted, nil, "", "rotki.example"},
		{"no certificate", auth.CallsConfig{Certificates: true, Anonymous: true}, nil, nil, auth.Missing, ""},

		{"both", both, &listed, []string{bearer}, "", subject},
		{"both, no token", both, &listed, nil, auth.Missing, ""},
		{"both, no certificate", both, nil, []string{bearer}, auth.Missing, ""},
		{"both, not listed", both, &unlisted, []string{bearer}, auth.WrongCertificate, ""},
		{"both, garbage", both, &listed, []string{"Bearer garbage"}, auth.Malformed, ""},
		{"certificate and perhaps a token", bothIfAny, &listed, nil, "", "pub.rotki.example"},

		{"nothing", auth.CallsConfig{}, nil, []string{bearer}, auth.Missing, ""},
		{"anybody", auth.CallsConfig{Anonymous: true}, nil, []string{bearer}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var a *authority
			if c.config.Certificates {
				a = ours
			}
			s := newServer(t, must(auth.NewCalls(c.config)), a)
			for _, make := range []func(*testing.T, *tls.Config, ...string) (verdict, bool){s.call, s.request} {
				v, ok := make(t, s.client(ours, c.certificate), c.authorization...)
				if !ok {
					if c.want != unconnected {
						t.Errorf("no connection; want %q", c.want)
					}
					continue
				}
				if got := defectOf(t, v.err); got != c.want || v.caller.Subject != c.subject {
					t.Errorf("%q, %v; want %q, %q", v.caller.Subject, v.err, c.subject, c.want)
				}
				if v.err == nil && c.certificate != nil && !v.caller.Expires.Equal(soon.Add(time.Second)) {
					t.Errorf("it expires at %s; want a second after %s, when the certificate does", v.caller.Expires, soon)
				}
			}
		})
	}
}

// TestNames: a name is compared with those of its kind alone.
func TestNames(t *testing.T) {
	t.Parallel()
	a := newAuthority()
	all := names{
		common: "common.example", dns: []string{"A.b.example", "*.wild.example", "192.0.2.9"},
		uri: "spiffe://example/publisher", email: "Ops@example", ip: "192.0.2.7",
	}
	leaf := a.issue(all, time.Now().Add(time.Hour)).Leaf
	// A CA may write anything anywhere.
	leaf.DNSNames = append(leaf.DNSNames, "spiffe://example/dns", "dns@example", ".b.example")
	leaf.EmailAddresses = append(leaf.EmailAddresses, "email.example")
	for name, want := range map[string]bool{
		"a.b.example":                 true,
		"*.b.example":                 true,
		"*.B.EXAMPLE":                 true,
		"*.a.b.example":               false,
		"*.other.example":             false,
		"b.example":                   false,
		"*.wild.example":              false,
		"x.wild.example":              false,
		"common.example":              false,
		"spiffe://example/publisher":  true,
		"spiffe://example/publisher/": false,
		"SPIFFE://example/Publisher":  false,
		"Ops@example":                 true,
		"192.0.2.7":                   true,
		"::ffff:192.0.2.7":            true,
		"192.0.2.9":                   false, // is there as a DNS name
		"spiffe://example/dns":        false,
		"dns@example":                 false,
		"email.example":               false, // is there as an email address
	} {
		calls := must(auth.NewCalls(auth.CallsConfig{Certificates: true, Names: []string{"none.example", name}}))
		r := request("/")
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf, a.certificate}}}
		_, err := calls.Request(r)
		if got := defectOf(t, err); (got == "") != want || !want && got != auth.WrongCertificate {
			t.Errorf("%s: %v; want %v", name, err, want)
		}
	}
	for _, name := range []string{"", "*", "*.example", "a.*.example", "*.*.example", "x*.b.example", "spiffe://%zz"} {
		_, err := auth.NewCalls(auth.CallsConfig{Certificates: true, Names: []string{name}})
		if err == nil || !strings.Contains(err.Error(), "identity") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := auth.NewCalls(auth.CallsConfig{Names: []string{"a.example"}}); err == nil {
		t.Error("names without a CA are taken")
	}
}

// TestCertificate: a certificate's subject is its first name, and it counts only once it was verified, until it
// expires.
func TestCertificate(t *testing.T) {
	t.Parallel()
	a := newAuthority()
	calls := must(auth.NewCalls(auth.CallsConfig{Certificates: true}))
	nobody := must(auth.NewCalls(auth.CallsConfig{Certificates: true, Names: []string{}}))
	in := time.Now().Add(time.Hour)
	for _, c := range []struct {
		calls   *auth.Calls
		names   names
		expires time.Time
		want    auth.Defect
		subject string
	}{
		{calls, names{common: "c"}, in, "", "c"},
		{calls, names{common: "c", ip: "192.0.2.7"}, in, "", "192.0.2.7"},
		{calls, names{ip: "192.0.2.7", email: "a@b"}, in, "", "a@b"},
		{calls, names{email: "a@b", uri: "spiffe://a"}, in, "", "spiffe://a"},
		{calls, names{uri: "spiffe://a", dns: []string{"a.example", "b.example"}}, in, "", "a.example"},
		{calls, names{}, in, auth.Unnamed, ""},
		{calls, names{common: "c"}, time.Now().Add(-time.Second), auth.WrongCertificate, ""},
		{nobody, names{common: "c"}, in, auth.WrongCertificate, ""},
		{nobody, names{dns: []string{"a.example"}}, in, auth.WrongCertificate, ""},
	} {
		leaf := a.issue(c.names, c.expires).Leaf
		r := request("/")
		r.TLS = &tls.ConnectionState{
			PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf, a.certificate}},
		}
		caller, err := c.calls.Request(r)
		if got := defectOf(t, err); got != c.want || caller.Subject != c.subject {
			t.Errorf("%+v: %q, %v; want %q, %q", c.names, caller.Subject, err, c.subject, c.want)
		}
		r.TLS.VerifiedChains = nil
		if _, err := c.calls.Request(r); defectOf(t, err) != auth.Missing {
			t.Errorf("%+v, not verified: %v", c.names, err)
		}
	}
}
