package testcert_test

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/testcert"
)

func TestCertificates(t *testing.T) {
	ca := testcert.NewCA(t, "one")
	server, client := x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth
	hourAgo := time.Now().Add(-time.Hour)
	for _, test := range []struct {
		name    string
		options testcert.Options
		trusted *testcert.CA
		usage   x509.ExtKeyUsage
		host    string
		valid   bool
	}{
		{"a server's", testcert.Options{}, ca, server, "127.0.0.1", true},
		{"a server's by name", testcert.Options{Names: []string{"a.example"}}, ca, server, "a.example", true},
		{"of another name", testcert.Options{Names: []string{"a.example"}}, ca, server, "b.example", false},
		{"a client's", testcert.Options{Names: []string{"spiffe://x/y"}, Client: true}, ca, client, "", true},
		{"a client's at a server", testcert.Options{Client: true}, ca, server, "", false},
		{"expired", testcert.Options{NotAfter: hourAgo}, ca, server, "", false},
		{"of another authority", testcert.Options{}, testcert.NewCA(t, "one"), server, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			leaf := ca.Certificate(t, test.options).Leaf
			_, err := leaf.Verify(x509.VerifyOptions{
				Roots: test.trusted.Pool(), KeyUsages: []x509.ExtKeyUsage{test.usage}, DNSName: test.host,
			})
			if (err == nil) != test.valid {
				t.Errorf("valid is %t, want %t: %v", err == nil, test.valid, err)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	ca, dir := testcert.NewCA(t, "one"), t.TempDir()
	for range 2 { // the second time in place of the first's
		for _, files := range []func(testing.TB, string, ...string) (string, string){ca.ServerFiles, ca.ClientFiles} {
			if _, err := tls.LoadX509KeyPair(files(t, dir, "a.example")); err != nil {
				t.Error(err)
			}
		}
	}
}
