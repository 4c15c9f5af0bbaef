package keypair_test

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/keypair"
	"github.com/rotki/notification-bridge/bridge/testcert"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

func TestVersionsAndSuites(t *testing.T) {
	ca := testcert.NewCA(t, "one")
	cert, key := ca.ServerFiles(t, t.TempDir())
	server := serve(t, keypair.Config{Cert: cert, Key: key})
	for _, test := range []struct {
		name     string
		from, to uint16
		suite    uint16
		accepted bool
	}{
		{"TLS 1.3", tls.VersionTLS13, tls.VersionTLS13, 0, true},
		{"AES-GCM", tls.VersionTLS12, tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true},
		{"ChaCha20", tls.VersionTLS12, tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, true},
		{"CBC", tls.VersionTLS12, tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, false},
		{"CBC of SHA-2", tls.VersionTLS12, tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, false},
		{"RC4", tls.VersionTLS12, tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA, false},
		{"RSA without forward secrecy", tls.VersionTLS12, tls.VersionTLS12, tls.TLS_RSA_WITH_AES_128_GCM_SHA256, false},
		{"TLS 1.1", tls.VersionTLS11, tls.VersionTLS11, 0, false},
		{"TLS 1.0", tls.VersionTLS10, tls.VersionTLS10, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := clientConfig(ca)
			config.MinVersion, config.MaxVersion = test.from, test.to
			if test.suite != 0 {
				config.CipherSuites = []uint16{test.suite}
			}
			if _, err := server.try(t, config); (err == nil) != test.accepted {
				t.Errorf("accepted is %t, want %t: %v", err == nil, test.accepted, err)
			}
		})
	}
}

// TestSuites: what cannot be offered with the certificates above is not there either.
func TestSuites(t *testing.T) {
	cert, key := testcert.NewCA(t, "one").ServerFiles(t, t.TempDir())
	pair, err := keypair.Load(keypair.Config{Cert: cert, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	config, err := pair.TLS().GetConfigForClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, config := range []*tls.Config{pair.TLS(), config} {
		if config.MinVersion != tls.VersionTLS12 || len(config.CipherSuites) == 0 {
			t.Errorf("from %s on, with %d suites", tls.VersionName(config.MinVersion), len(config.CipherSuites))
		}
		for _, suite := range config.CipherSuites {
			name := tls.CipherSuiteName(suite)
			if !strings.HasPrefix(name, "TLS_ECDHE_") || !strings.Contains(name, "_GCM_") && !strings.Contains(name, "_CHACHA20_") {
				t.Errorf("%s is accepted", name)
			}
		}
	}
}

func TestClientCertificates(t *testing.T) {
	ca, clients, dir := testcert.NewCA(t, "one"), testcert.NewCA(t, "clients"), t.TempDir()
	cert, key := ca.ServerFiles(t, dir)
	server := serve(t, keypair.Config{Cert: cert, Key: key, ClientCA: clients.File(t, dir, "ca.pem")})
	client := func(ca *testcert.CA, o testcert.Options) []tls.Certificate {
		return []tls.Certificate{ca.Certificate(t, o)}
	}
	hourAgo := time.Now().Add(-time.Hour)
	for _, test := range []struct {
		name     string
		shown    []tls.Certificate
		accepted bool
	}{
		{"good", client(clients, testcert.Options{Client: true}), true},
		{"none", nil, false},
		{"of another authority", client(testcert.NewCA(t, "clients"), testcert.Options{Client: true}), false},
		{"expired", client(clients, testcert.Options{Client: true, NotAfter: hourAgo}), false},
		{"a server's", client(clients, testcert.Options{}), false},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(test.name+" with "+tls.VersionName(version), func(t *testing.T) {
				config := clientConfig(ca)
				config.MaxVersion = version
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					if len(test.shown) == 0 {
						return new(tls.Certificate), nil
					}
					return &test.shown[0], nil // whatever the server asks for
				}
				if _, err := server.try(t, config); (err == nil) != test.accepted {
					t.Errorf("accepted is %t, want %t: %v", err == nil, test.accepted, err)
				}
			})
		}
	}
}

// Without a client CA a session may be resumed; with one it must not, or it would outlive the authority.
func TestSessionTickets(t *testing.T) {
	ca := testcert.NewCA(t, "one")
	for name, test := range map[string]struct{ clientCA, resumes bool }{
		"without a client CA": {false, true},
		"with one":            {true, false},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+" with "+tls.VersionName(version), func(t *testing.T) {
				dir := t.TempDir()
				cert, key := ca.ServerFiles(t, dir)
				config := keypair.Config{Cert: cert, Key: key}
				if test.clientCA {
					config.ClientCA = ca.File(t, dir, "ca.pem")
				}
				server := serve(t, config)
				client := clientConfig(ca, ca.Certificate(t, testcert.Options{Client: true}))
				client.ClientSessionCache = tls.NewLRUClientSessionCache(0)
				client.MaxVersion = version
				server.dial(t, client)
				if got := server.dial(t, client).ConnectionState().DidResume; got != test.resumes {
					t.Errorf("resumed is %t, want %t", got, test.resumes)
				}
			})
		}
	}
}

func TestNextProtos(t *testing.T) {
	ca := testcert.NewCA(t, "one")
	cert, key := ca.ServerFiles(t, t.TempDir())
	client := clientConfig(ca)
	client.NextProtos = []string{"h2", "http/1.1"}
	server := serve(t, keypair.Config{Cert: cert, Key: key, NextProtos: []string{"http/1.1"}})
	if got := server.dial(t, client).ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("%q was agreed on", got)
	}
}

func TestGRPC(t *testing.T) {
	ca, dir := testcert.NewCA(t, "one"), t.TempDir()
	cert, key := ca.ServerFiles(t, dir)
	pair, err := keypair.Load(keypair.Config{Cert: cert, Key: key, ClientCA: ca.File(t, dir, "ca.pem")})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(pair.TLS())))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	for code, config := range map[codes.Code]*tls.Config{
		codes.Unimplemented: clientConfig(ca, ca.Certificate(t, testcert.Options{Client: true})), // it was let in
		codes.Unavailable:   clientConfig(ca),
	} {
		conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(config)))
		if err != nil {
			t.Fatal(err)
		}
		err = conn.Invoke(t.Context(), "/nothing/There", &emptypb.Empty{}, &emptypb.Empty{})
		if status.Code(err) != code {
			t.Errorf("got %v, want %v", err, code)
		}
		conn.Close()
	}
}
