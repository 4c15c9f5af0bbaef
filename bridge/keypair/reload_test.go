package keypair_test

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rotki/notification-bridge/bridge/keypair"
	"github.com/rotki/notification-bridge/bridge/testcert"
)

const (
	certificateReloaded  = "certificate reloaded"
	certificateKept      = "certificate not reloaded, the one before stays in force"
	authorityReloaded    = "client CA reloaded"
	authorityKept        = "client CA not reloaded, the one before stays in force"
	expiry, reloadsTotal = "bridge_certificate_expiry_timestamp_seconds", "bridge_certificate_reloads_total"
)

// swap replaces certificate and key in one step, as Kubernetes does: the files are links into a directory that a link
// names, and that link is replaced. It returns what Config wants.
func swap(t *testing.T, dir string, ca *testcert.CA, o testcert.Options) (cert, key string) {
	t.Helper()
	certPEM, keyPEM := ca.Leaf(t, o)
	data, err := os.MkdirTemp(dir, "data-")
	if err != nil {
		t.Fatal(err)
	}
	testcert.Write(t, data, "tls.crt", certPEM)
	testcert.Write(t, data, "tls.key", keyPEM)
	link := filepath.Join(dir, "..data")
	if err := os.Symlink(filepath.Base(data), link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for _, file := range []string{cert, key} {
		if err := os.Symlink(filepath.Join("..data", filepath.Base(file)), file); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestRotationKeepsConnections(t *testing.T) {
	before, after, dir := testcert.NewCA(t, "before"), testcert.NewCA(t, "after"), t.TempDir()
	cert, key := swap(t, dir, before, testcert.Options{})
	server := serve(t, keypair.Config{Cert: cert, Key: key, Listener: "http"})
	old := server.dial(t, clientConfig(before))
	talking, stop := make(chan error, 1), make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				talking <- exchange(old)
				return
			default:
			}
			if err := exchange(old); err != nil {
				talking <- err
				return
			}
		}
	}()

	notAfter := time.Now().Add(time.Hour).Truncate(time.Second)
	swap(t, dir, after, testcert.Options{NotAfter: notAfter})
	line := server.log.await(t, certificateReloaded)
	if want := "not_after=" + notAfter.UTC().Format(time.RFC3339); !strings.Contains(line, want) {
		t.Errorf("the log says %s, want %s", line, want)
	}
	server.dial(t, clientConfig(after))
	if _, err := server.try(t, clientConfig(before)); err == nil {
		t.Error("the old certificate is still shown")
	}
	close(stop)
	if err := <-talking; err != nil {
		t.Errorf("the connection from before: %v", err)
	}
	gather(t, server.registry, map[string]float64{
		expiry + "/http": float64(notAfter.Unix()), reloadsTotal + "/http/ok": 1, reloadsTotal + "/http/failed": 0,
	})
}

func TestOldClientCAIsRefused(t *testing.T) {
	ca, dir := testcert.NewCA(t, "one"), t.TempDir()
	before, after := testcert.NewCA(t, "clients"), testcert.NewCA(t, "clients")
	cert, key := ca.ServerFiles(t, dir)
	server := serve(t, keypair.Config{Cert: cert, Key: key, ClientCA: before.File(t, dir, "clients.pem")})
	old := clientConfig(ca, before.Certificate(t, testcert.Options{Client: true}))
	old.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	conn := server.dial(t, old)
	server.dial(t, old)

	both := append(before.PEM(), after.PEM()...) // as one does it: both for a while, then the new one only
	testcert.Write(t, dir, "clients.pem", both)
	if line := server.log.await(t, authorityReloaded); !strings.Contains(line, "certificates=2") {
		t.Errorf("the log says %s", line)
	}
	fresh := clientConfig(ca, after.Certificate(t, testcert.Options{Client: true}))
	server.dial(t, old)
	server.dial(t, fresh)

	after.File(t, dir, "clients.pem")
	server.log.await(t, authorityReloaded)
	if _, err := server.try(t, old); err == nil {
		t.Error("the old authority's client is let in")
	}
	server.dial(t, fresh)
	if err := exchange(conn); err != nil {
		t.Errorf("the connection from before: %v", err)
	}
}

// A client CA takes effect though the certificate beside it is spoilt, and the other way round.
func TestPartsAreReloadedAlone(t *testing.T) {
	ca, clients, dir := testcert.NewCA(t, "one"), testcert.NewCA(t, "clients"), t.TempDir()
	cert, key := ca.ServerFiles(t, dir)
	server := serve(t, keypair.Config{Cert: cert, Key: key, ClientCA: ca.File(t, dir, "clients.pem")})
	testcert.Write(t, dir, "server.pem", nil)
	server.log.await(t, certificateKept)
	clients.File(t, dir, "clients.pem")
	server.log.await(t, authorityReloaded)
	server.dial(t, clientConfig(ca, clients.Certificate(t, testcert.Options{Client: true})))

	testcert.Write(t, dir, "clients.pem", nil)
	server.log.await(t, authorityKept)
	other := testcert.NewCA(t, "other")
	certPEM, keyPEM := other.Leaf(t, testcert.Options{})
	both := append(certPEM, keyPEM...) // in one file, so that no look comes between them
	testcert.Write(t, dir, "server-key.pem", both)
	server.log.await(t, certificateKept)
	testcert.Write(t, dir, "server.pem", both)
	server.log.await(t, certificateReloaded)
	server.dial(t, clientConfig(other, clients.Certificate(t, testcert.Options{Client: true})))
}

// What cannot be used is said once, however often it is tried, and the old pair is shown meanwhile.
func TestHalfWritten(t *testing.T) {
	before, after := testcert.NewCA(t, "before"), testcert.NewCA(t, "after")
	certPEM, keyPEM := after.Leaf(t, testcert.Options{})
	expired, expiredKey := after.Leaf(t, testcert.Options{NotAfter: time.Now().Add(-time.Hour)})
	remove := func(t *testing.T, dir, file string) {
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		spoil func(t *testing.T, dir string)
		why   string
	}{
		"the certificate only": {func(t *testing.T, dir string) {
			testcert.Write(t, dir, "server.pem", certPEM)
		}, "private key does not match"},
		"the key only": {func(t *testing.T, dir string) {
			testcert.Write(t, dir, "server-key.pem", keyPEM)
		}, "private key does not match"},
		"half a certificate": {func(t *testing.T, dir string) {
			testcert.Write(t, dir, "server.pem", certPEM[:len(certPEM)/2])
		}, "incomplete"},
		"half a key": {func(t *testing.T, dir string) {
			testcert.Write(t, dir, "server-key.pem", keyPEM[:len(keyPEM)/2])
		}, "is no key for"},
		"an expired one": {func(t *testing.T, dir string) {
			testcert.Write(t, dir, "server.pem", expired)
			testcert.Write(t, dir, "server-key.pem", expiredKey)
		}, "expired on"},
		"no certificate": {func(t *testing.T, dir string) { remove(t, dir, "server.pem") }, "server.pem: no such"},
		"no key":         {func(t *testing.T, dir string) { remove(t, dir, "server-key.pem") }, "key.pem: no such"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cert, key := before.ServerFiles(t, dir)
			server := serve(t, keypair.Config{Cert: cert, Key: key})
			test.spoil(t, dir)
			for !strings.Contains(server.log.await(t, certificateKept), test.why) {
				continue // a look may come between two files
			}
			server.dial(t, clientConfig(before))
			testcert.Write(t, dir, "server.pem", certPEM)
			testcert.Write(t, dir, "server-key.pem", keyPEM)
			for record := range server.log.next {
				if record.Message == certificateReloaded {
					break
				}
			}
			server.dial(t, clientConfig(after))
		})
	}
}

func TestSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, dir, log, registry := testcert.NewCA(t, "one"), t.TempDir(), newRecords(), prometheus.NewRegistry()
		cert, key := ca.ServerFiles(t, dir)
		config := keypair.Config{Cert: cert, Key: key, Logger: log.logger(), Registerer: registry, Listener: "grpc"}
		pair, err := keypair.Load(config)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer cancel()
		go func() { _ = pair.Run(ctx) }()
		said := func(want ...string) {
			t.Helper()
			time.Sleep(time.Minute) // sixty looks
			synctest.Wait()
			var got []string
			for len(log.next) > 0 {
				got = append(got, (<-log.next).Message)
			}
			if strings.Join(got, ", ") != strings.Join(want, ", ") {
				t.Errorf("the log says %q, want %q", got, want)
			}
		}
		said()
		testcert.Write(t, dir, "server.pem", nil)
		said(certificateKept)
		testcert.Write(t, dir, "server.pem", []byte("-----BEGIN"))
		said(certificateKept)
		if err := os.Remove(cert); err != nil {
			t.Fatal(err)
		}
		said(certificateKept)
		ca.ServerFiles(t, dir)
		said(certificateReloaded)
		gather(t, registry, map[string]float64{reloadsTotal + "/grpc/ok": 1, reloadsTotal + "/grpc/failed": 3})

		// One that is not valid yet comes into force when it is, without another change.
		testcert.Write(t, dir, "server.pem", nil)
		said(certificateKept)
		certPEM, keyPEM := ca.Leaf(t, testcert.Options{NotBefore: time.Now().Add(2 * time.Minute)})
		testcert.Write(t, dir, "server.pem", append(certPEM, keyPEM...))
		testcert.Write(t, dir, "server-key.pem", keyPEM)
		said(certificateKept)
		said(certificateReloaded)
	})
}

func TestPairsShareARegistry(t *testing.T) {
	ca, registry, want := testcert.NewCA(t, "one"), prometheus.NewPedanticRegistry(), map[string]float64{}
	for i, listener := range []string{"http", "grpc"} {
		notAfter, dir := time.Now().Add(time.Duration(i+1)*time.Hour), t.TempDir()
		cert, key := swap(t, dir, ca, testcert.Options{NotAfter: notAfter})
		config := keypair.Config{Cert: cert, Key: key, Registerer: registry, Listener: listener}
		if _, err := keypair.Load(config); err != nil {
			t.Fatal(err)
		}
		want[expiry+"/"+listener] = float64(notAfter.Unix())
		want[reloadsTotal+"/"+listener+"/ok"], want[reloadsTotal+"/"+listener+"/failed"] = 0, 0
	}
	gather(t, registry, want)
}
