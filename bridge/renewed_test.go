package bridge_test

import (
	"crypto/tls"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/bridge/testcert"
	"github.com/rotki/notification-bridge/client"
)

// TestCertificateRenewed: a publisher whose certificate expires while it is connected goes on with the one that it has
// got since.
func TestCertificateRenewed(t *testing.T) {
	ca, dir := testcert.NewCA(t, "ours"), t.TempDir()
	cert, key := ca.ServerFiles(t, dir)
	b := start(t, bridge.Config{GRPCTLS: bridge.TLSFiles{Cert: cert, Key: key, ClientCA: ca.File(t, dir, "clients.pem")}})

	var shown atomic.Int64
	short := ca.Certificate(t, testcert.Options{Client: true, NotAfter: time.Now().Add(3 * time.Second)})
	renewed := ca.Certificate(t, testcert.Options{Client: true})
	publisher, err := client.NewPublisher(client.PublisherConfig{
		Addr: b.GRPCAddr(),
		TLS: &tls.Config{
			RootCAs: ca.Pool(),
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if shown.Add(1) == 1 {
					return &short, nil
				}
				return &renewed, nil
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close(t.Context())
	await(t, "it shows the other", func() bool {
		if _, err := publisher.Publish(t.Context(), legacy("a")); err != nil {
			t.Fatal(err)
		}
		return shown.Load() > 1
	})
}
