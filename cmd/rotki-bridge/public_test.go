package main_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/MicahParks/jwkset"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/testcert"
	adminv1 "github.com/rotki/notification-bridge/gen/go/rotki/bridge/admin/v1"
)

// keySet serves a public key as a JWK Set, over TLS.
func keySet(t *testing.T, ca *testcert.CA, id string, public any) *httptest.Server {
	t.Helper()
	key, err := jwkset.NewJWKFromKey(public, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: id}})
	if err != nil {
		t.Fatal(err)
	}
	set := jwkset.NewMemoryStorage()
	if err := set.KeyWrite(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	document, err := set.JSONPublic(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) }))
	certificate, err := tls.LoadX509KeyPair(ca.ServerFiles(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// trust returns a client's TLS that trusts an authority.
func trust(ca *testcert.CA) *tls.Config {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.PEM())
	return &tls.Config{RootCAs: pool}
}

// TestPublic tries public.toml: TLS on each listener, tokens by a JWK Set, publishers with a certificate beside theirs.
func TestPublic(t *testing.T) {
	dir, web, publishers := t.TempDir(), testcert.NewCA(t, "web"), testcert.NewCA(t, "publishers")
	private, public := newKey(t)
	m := newMinter(t, private, publicIssuer, "2026-a")
	web.ServerFiles(t, dir)
	publishers.File(t, dir, "publishers-ca.pem")
	ca := web.File(t, dir, "web-ca.pem")
	t.Setenv("SSL_CERT_FILE", ca) // whom the bridge trusts when it fetches the keys
	keys := keySet(t, web, "2026-a", public)
	p := startConfigured(t, "public.toml", "/etc/rotki-bridge/tls", dir, "https://id.example.org/.well-known/jwks.json", keys.URL+"/jwks.json")
	d := door{base: "wss://" + p.websocket, tls: trust(web)}

	const page = "https://one.apps.example.org"
	bearer := func(token string) http.Header {
		return http.Header{"Authorization": {"Bearer " + token}, "Origin": {page}}
	}
	byHeader := d.subscribe(t, "/ws/", bearer(m.token("ann")))
	byProtocol := d.subscribe(t, "/ws/", http.Header{
		"Sec-Websocket-Protocol": {"rotki.notifications.v1, bearer." + m.token("ann")}, "Origin": {"https://app.example.org"},
	})
	other := d.subscribe(t, "/ws/?token="+m.token("bob"), nil)

	t.Run("publish", func(t *testing.T) {
		cert, key := publishers.ClientFiles(t, t.TempDir(), "one.backends.example.org")
		shown := []string{"--ca", ca, "--cert", cert, "--key", key, "--token-file", file(t, m.token("backend", auth.ScopePublish))}
		for why, tc := range map[string]struct {
			status int
			says   string
			shown  []string
		}{
			"both":           {0, "1 accepted", shown},
			"no token":       {1, "a token is required", shown[:6]},
			"no certificate": {1, "gave up", append([]string{"--timeout", "1s", "--ca", ca}, shown[6:]...)},
			"a token that may subscribe only": {
				1, "the token does not allow this",
				append(shown[:6:6], "--token-file", file(t, m.token("ann"))),
			},
			"no TLS": {1, "gave up", append([]string{"--timeout", "1s"}, shown[6:]...)},
		} {
			runs(t, why, warningEnvelope("a"), tc.status, tc.says, append([]string{"publish", "--grpc-addr", p.grpc}, tc.shown...)...)
		}
		strange, strangeKey := publishers.ClientFiles(t, t.TempDir(), "backend.example.com")
		runs(t, "a certificate of another name", warningEnvelope("a"), 1, "the certificate does not allow this",
			append([]string{"publish", "--grpc-addr", p.grpc, "--ca", ca, "--cert", strange, "--key", strangeKey}, shown[6:]...)...)
		gets(t, "ann", byHeader, "a")
		gets(t, "ann by the subprotocol", byProtocol, "a")
		gets(t, "bob", other, "a")
	})
	t.Run("listen", func(t *testing.T) {
		runs(t, "a token", "", 0, warningEnvelope("a"), "listen", "--url", d.base+"/ws/",
			"--token-file", file(t, m.token("ann")), "--ca", ca, "--since", "earliest", "--count", "1")
	})
	t.Run("refused", func(t *testing.T) {
		other, _ := newKey(t)
		d.refused(t, "no token", "/ws/", nil, http.StatusUnauthorized, "a token is required")
		d.refused(t, "another key", "/ws/", bearer(newMinter(t, other, publicIssuer, "2026-a").token("ann")), http.StatusUnauthorized, "the token was refused")
		d.refused(t, "another issuer", "/ws/", bearer(newMinter(t, private, appIssuer, "2026-a").token("ann")), http.StatusUnauthorized, "not for this bridge")
		d.refused(t, "a publisher's token", "/ws/", bearer(m.token("backend", auth.ScopePublish)), http.StatusForbidden, "the token does not allow this")
		for _, origin := range []string{"https://example.com", "https://apps.example.org", "https://evilapps.example.org", "http://one.apps.example.org"} {
			d.refused(t, "a page of "+origin, "/ws/", http.Header{"Authorization": {"Bearer " + m.token("ann")}, "Origin": {origin}},
				http.StatusForbidden, "may not connect")
		}
	})
	t.Run("operators", func(t *testing.T) {
		operators := door{base: "wss://" + p.admin, tls: trust(web)}
		for why, tc := range map[string]struct {
			path   string
			header http.Header
			status int
		}{
			"probe":              {"/readyz", nil, http.StatusOK},
			"no token":           {"/metrics", nil, http.StatusUnauthorized},
			"a user's token":     {"/metrics", bearer(m.token("ann")), http.StatusForbidden},
			"profiles, no token": {"/debug/pprof/", nil, http.StatusUnauthorized},
			"an operator's":      {"/metrics", bearer(m.token("oz", auth.ScopeAdmin)), http.StatusOK},
		} {
			if got, text := operators.get(t, tc.path, tc.header); got != tc.status {
				t.Errorf("%s: %s answers %d %.80q, want %d", why, tc.path, got, text, tc.status)
			}
		}
		conn, err := grpc.NewClient(p.adminGRPC, grpc.WithTransportCredentials(credentials.NewTLS(trust(web))))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		service := adminv1.NewAdminServiceClient(conn)
		if _, err := service.ListConnections(t.Context(), new(adminv1.ListConnectionsRequest)); status.Code(err) != codes.Unauthenticated {
			t.Errorf("without a token: %v", err)
		}
		ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+m.token("oz", auth.ScopeAdmin))
		list, err := service.ListConnections(ctx, new(adminv1.ListConnectionsRequest))
		if err != nil || list.GetTotal() != 3 {
			t.Errorf("%d connections: %v", list.GetTotal(), err)
		}
	})
	if log := p.log.tail(); strings.Contains(log, "eyJ") {
		t.Error("there is a token in the log")
	}
}
