package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"google.golang.org/grpc/metadata"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/ingest"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// files writes files into a directory, and returns a function for their paths.
func files(t *testing.T, contents map[string]string) func(name string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range contents {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(name string) string { return filepath.Join(dir, name) }
}

func TestWrongCredentials(t *testing.T) {
	path := files(t, map[string]string{"token": "t\n", "empty": " \n", "two": "a b"})
	for _, tc := range []struct {
		args string
		says string
	}{
		{"publish --token-file nowhere", "--token-file: open nowhere: no such file"},
		{"publish --token-file " + path("empty"), "empty does not hold a token, and nothing else"},
		{"listen --token-file " + path("two"), "two does not hold a token, and nothing else"},
		{"publish --cert a", "--cert and --key belong together: give both"},
		{"publish --cert a --key b", "--cert a and --key b: open a: no such file"},
		{"publish --ca nowhere", "--ca: open nowhere: no such file"},
		{"listen --ca " + path("token"), "token holds no certificate in PEM"},
		{"publish --grpc-addr bridge.test:1 --token-file " + path("token"), "the token would go to bridge.test:1 unencrypted: use TLS"},
		{"listen --url ws://bridge.test/ws/ --token-file " + path("token"), "the token would go to bridge.test unencrypted: use a wss URL"},
	} {
		r := begin(t, strings.NewReader(""), strings.Fields(tc.args)...)
		r.exit(t, 1)
		if !strings.Contains(r.err.String(), tc.says) {
			t.Errorf("%s: it says:\n%s", tc.args, r.err)
		}
	}
}

// accepting takes whatever is published. It implements ingest.Sink, ingest.Publisher and ingest.Pending.
type accepting struct{}

func (a accepting) Open(auth.Caller) ingest.Publisher { return a }

func (a accepting) Publish(context.Context, *notificationsv1.PublishRequest) (ingest.Pending, error) {
	return a, nil
}

func (accepting) Settled() bool { return true }

func (accepting) Wait(context.Context) (*notificationsv1.Accepted, error) {
	return new(notificationsv1.Accepted), nil
}

// TestCredentialsAreShown: both commands show the token over TLS, and publish a certificate.
func TestCredentialsAreShown(t *testing.T) {
	subscribers := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t" {
			http.Error(w, "a token is required", http.StatusUnauthorized)
			return
		}
		conn, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.WriteMessage(websocket.TextMessage, []byte(warningLine("a")))
		_, _, _ = conn.ReadMessage()
	}))
	defer subscribers.Close()
	pair := subscribers.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))
	path := files(t, map[string]string{
		"token": "t\n", "ca": certificate, "key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	})

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	publishers := ingest.New(ingest.Config{
		Sink: accepting{},
		TLS:  &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert},
		Authenticate: func(ctx context.Context) (auth.Caller, error) {
			if values := metadata.ValueFromIncomingContext(ctx, "authorization"); len(values) != 1 || values[0] != "Bearer t" {
				return auth.Caller{}, &auth.Refusal{Defect: auth.Missing}
			}
			return auth.Caller{}, nil
		},
	})
	ended := make(chan error, 1)
	go func() { ended <- publishers.Serve(l) }()
	defer func() {
		publishers.Drain(context.Background())
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()

	for _, tc := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"--token-file", path("token")}, 0, "1 accepted"},
		{nil, 1, "the bridge refused the credential (Unauthenticated): a token is required"},
	} {
		args := []string{"publish", "--grpc-addr", l.Addr().String(), "--ca", path("ca"), "--cert", path("ca"), "--key", path("key")}
		r := begin(t, strings.NewReader(warningLine("a")), append(args, tc.args...)...)
		r.exit(t, tc.status)
		if !strings.Contains(r.err.String(), tc.says) {
			t.Errorf("publish %v: it says:\n%s", tc.args, r.err)
		}
		args = []string{"listen", "--url", "wss" + strings.TrimPrefix(subscribers.URL, "https"), "--ca", path("ca"), "--count", "1"}
		begin(t, nil, append(args, tc.args...)...).exit(t, tc.status)
	}
}
