package main_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/auth"
)

// Issuer and audience of the files in deploy.
const (
	appIssuer    = "https://app.example.org"
	publicIssuer = "https://id.example.org"
	audience     = "rotki-bridge"
)

// startConfigured runs a bridge with a file of deploy, in which each old is replaced by the new that follows it. The ports
// of its listeners become free ones; what they listen on else stays.
func startConfigured(t *testing.T, name string, pairs ...string) *process {
	t.Helper()
	text := readDeploy(t, name)
	for i := 3; i <= 6; i++ {
		pairs = append(pairs, fmt.Sprintf(`:504%d"`, i), `:0"`)
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(substitute(t, text, pairs...)), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	p := launch(t, exec.Command(path, "serve", "--config", file, "--log-format", "json"))
	for _, addr := range []*string{&p.websocket, &p.grpc, &p.admin, &p.adminGRPC} {
		*addr = reachable(t, *addr)
	}
	return p
}

// reachable returns where on this machine an address is that may be everywhere on it.
func reachable(t *testing.T, addr string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// newKey returns a private key for ES256 in PEM, and the public one.
func newKey(t *testing.T) (private []byte, public *ecdsa.PublicKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), &key.PublicKey
}

// minter makes tokens of one issuer.
type minter struct {
	t      *testing.T
	signer *auth.Signer
	issuer string
	keyID  string
}

func newMinter(t *testing.T, key []byte, issuer, keyID string) minter {
	t.Helper()
	signer, err := auth.ParseSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return minter{t, signer, issuer, keyID}
}

// token returns a subject's token, good for an hour.
func (m minter) token(subject string, scopes ...auth.Scope) string {
	m.t.Helper()
	token, err := m.signer.Sign(auth.Claims{
		Subject: subject, Issuer: m.issuer, Audience: audience, Scopes: scopes, Expires: time.Now().Add(time.Hour),
	}, m.keyID)
	if err != nil {
		m.t.Fatal(err)
	}
	return token
}

// file writes a text to a file and returns its path.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// door is where subscribers come in.
type door struct {
	base string      // wss://host:port
	tls  *tls.Config // nil for none
}

// get makes a request and returns the answer's status and text. A Host in the header is the request's.
func (d door) get(t *testing.T, path string, header http.Header) (status int, text string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: d.tls, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(d.base, "ws", "http", 1)+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header, request.Host = header.Clone(), header.Get("Host")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(content))
}

// subscribe opens a websocket that must be let in.
func (d door) subscribe(t *testing.T, path string, header http.Header) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{TLSClientConfig: d.tls}
	conn, response, err := dialer.DialContext(t.Context(), d.base+path, header)
	if err != nil {
		if response != nil {
			text, _ := io.ReadAll(response.Body)
			t.Fatalf("%v: %s %s", err, response.Status, text)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// refused checks that a handshake, and a request for events, is answered with a status and a sentence.
func (d door) refused(t *testing.T, why, path string, header http.Header, status int, says string) {
	t.Helper()
	upgrade := header.Clone()
	if upgrade == nil {
		upgrade = make(http.Header)
	}
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
	} {
		upgrade.Set(name, value)
	}
	if got, text := d.get(t, path, upgrade); got != status || !strings.Contains(text, says) {
		t.Errorf("%s: the websocket answers %d %q, want %d and %q", why, got, text, status, says)
	}
	events := strings.Replace(path, "/ws/", "/events", 1)
	if got, text := d.get(t, events, header); got != status || !strings.Contains(text, says) {
		t.Errorf("%s: /events answers %d %q, want %d and %q", why, got, text, status, says)
	}
}

// gets checks that the next message is a warning of that text.
func gets(t *testing.T, who string, conn *websocket.Conn, text string) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, got, err := conn.ReadMessage()
	if err != nil {
		t.Fatalf("%s: %v", who, err)
	}
	if string(got) != warningEnvelope(text) {
		t.Errorf("%s got %s", who, got)
	}
}

// command runs the program on a text, and returns its exit status and all that it said.
func command(t *testing.T, in string, args ...string) (status int, said string) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	run := exec.CommandContext(ctx, path, args...)
	output := new(bytes.Buffer)
	run.Stdin, run.Stdout, run.Stderr = strings.NewReader(in), output, output
	if err := run.Run(); err != nil && run.ProcessState == nil {
		t.Fatal(err)
	}
	return run.ProcessState.ExitCode(), output.String()
}

// runs checks how a command of the program ends, and what it says.
func runs(t *testing.T, why, in string, status int, says string, args ...string) {
	t.Helper()
	if got, said := command(t, in, args...); got != status || !strings.Contains(said, says) {
		t.Errorf("%s: %s ends with status %d, want %d and %q; it said:\n%s", why, args[0], got, status, says, said)
	}
}
