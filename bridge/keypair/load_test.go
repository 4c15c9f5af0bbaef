package keypair_test

import (
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/keypair"
	"github.com/rotki/notification-bridge/bridge/testcert"
)

func TestLoadRefuses(t *testing.T) {
	ca, dir := testcert.NewCA(t, "one"), t.TempDir()
	now := time.Now()
	write := func(name string, data []byte) string { return testcert.Write(t, dir, name, data) }
	leaf := func(name string, o testcert.Options) (string, string) {
		cert, key := ca.Leaf(t, o)
		return write(name+".pem", cert), write(name+"-key.pem", key)
	}
	cert, key := leaf("good", testcert.Options{})
	expired, expiredKey := leaf("expired", testcert.Options{NotAfter: now.Add(-time.Hour)})
	early, earlyKey := leaf("early", testcert.Options{NotBefore: now.Add(time.Hour)})
	_, anotherKey := leaf("another", testcert.Options{})
	certPEM, keyPEM := ca.Leaf(t, testcert.Options{})
	chain := append(certPEM, ca.PEM()...)
	scrambled := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("not DER")})
	for _, test := range []struct {
		name   string
		config keypair.Config
		want   string // what the sentence has in it, with DIR for the directory
	}{
		{"nothing", keypair.Config{}, "--http-tls-cert is required for TLS"},
		{"no key", keypair.Config{Cert: cert}, "--http-tls-key is required for TLS"},
		{
			"a missing certificate",
			keypair.Config{Cert: filepath.Join(dir, "none"), Key: key},
			"--http-tls-cert: open DIR/none: no such file",
		},
		{
			"a missing key",
			keypair.Config{Cert: cert, Key: filepath.Join(dir, "none")},
			"--http-tls-key: open DIR/none: no such file",
		},
		{
			"the key of another",
			keypair.Config{Cert: cert, Key: anotherKey},
			"--http-tls-key: DIR/another-key.pem is no key for the certificate of --http-tls-cert, DIR/good.pem: " +
				"tls: private key does not match public key",
		},
		{
			"expired",
			keypair.Config{Cert: expired, Key: expiredKey},
			"--http-tls-cert: the certificate in DIR/expired.pem expired on " +
				now.Add(-time.Hour).UTC().Format("2006-01-02T"),
		},
		{
			"not yet valid",
			keypair.Config{Cert: early, Key: earlyKey},
			"--http-tls-cert: the certificate in DIR/early.pem is valid only from ",
		},
		{
			"a key in place of the certificate",
			keypair.Config{Cert: key, Key: key},
			"--http-tls-cert: DIR/good-key.pem: there is no certificate in it",
		},
		{
			"scrambled",
			keypair.Config{Cert: write("scrambled", scrambled), Key: key},
			"--http-tls-cert: DIR/scrambled: is no certificate: ",
		},
		{
			"an empty file",
			keypair.Config{Cert: write("empty", nil), Key: key},
			"--http-tls-cert: DIR/empty: there is no certificate in it",
		},
		{
			"half a chain",
			keypair.Config{
				Cert: write("half", chain[:len(chain)-40]), Key: write("half-key", keyPEM),
			},
			"--http-tls-cert: DIR/half: a PEM block in it is incomplete",
		},
		{
			"half a key",
			keypair.Config{Cert: cert, Key: write("half-key", keyPEM[:len(keyPEM)/2])},
			"--http-tls-key: DIR/half-key is no key for",
		},
		{
			"a missing client CA",
			keypair.Config{Cert: cert, Key: key, ClientCA: filepath.Join(dir, "none")},
			"--http-client-ca: open DIR/none: no such file",
		},
		{
			"a client CA without certificates",
			keypair.Config{Cert: cert, Key: key, ClientCA: write("empty", nil)},
			"--http-client-ca: DIR/empty: there is no certificate in it",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.config.CertFlag, test.config.KeyFlag = "http-tls-cert", "http-tls-key"
			test.config.ClientCAFlag = "http-client-ca"
			_, err := keypair.Load(test.config)
			if want := strings.ReplaceAll(test.want, "DIR", dir); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
			if err != nil && strings.Contains(err.Error(), "PRIVATE KEY-----") {
				t.Errorf("it shows a key: %v", err)
			}
		})
	}
	_, err := keypair.Load(keypair.Config{Cert: filepath.Join(dir, "none"), Key: key})
	if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "--tls-cert: ") {
		t.Errorf("without names of flags the error is %v", err)
	}
}

func TestLoadWarnsOfReaders(t *testing.T) {
	ca := testcert.NewCA(t, "one")
	for mode, warns := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true} {
		cert, key := ca.ServerFiles(t, t.TempDir())
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
		log := newRecords()
		if _, err := keypair.Load(keypair.Config{Cert: cert, Key: key, Logger: log.logger()}); err != nil {
			t.Error(mode, err)
		}
		lines := log.lines()
		if !warns && len(lines) > 0 || warns && (len(lines) != 1 || lines[0].Level != slog.LevelWarn) {
			t.Errorf("mode %o: the log says %v", mode, lines)
		}
	}
}

// The certificate and its key may be in one file, as some deployments have them.
func TestLoadOneFile(t *testing.T) {
	cert, key := testcert.NewCA(t, "one").Leaf(t, testcert.Options{})
	file := testcert.Write(t, t.TempDir(), "both.pem", append(cert, key...))
	if _, err := keypair.Load(keypair.Config{Cert: file, Key: file}); err != nil {
		t.Error(err)
	}
}

func TestHandshakeHasTheChain(t *testing.T) {
	ca, dir := testcert.NewCA(t, "one"), t.TempDir()
	cert, keyPEM := ca.Leaf(t, testcert.Options{})
	server := serve(t, keypair.Config{
		Cert: testcert.Write(t, dir, "chain.pem", append(cert, ca.PEM()...)),
		Key:  testcert.Write(t, dir, "key.pem", keyPEM),
	})
	conn := server.dial(t, clientConfig(ca))
	chain := conn.ConnectionState().PeerCertificates
	if len(chain) != 2 || chain[1].Subject.CommonName != "one" {
		t.Errorf("the client was shown %d certificates", len(chain))
	}
}
