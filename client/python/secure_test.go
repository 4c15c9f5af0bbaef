package python_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/ingest"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// slowedDown broadcasts so much that a bridge with a rate limit has to say something, over TLS.
const slowedDown = `
import pathlib, sys
from rotki_bridge import Notifier
address, ca, key = sys.argv[1], *(pathlib.Path(path).read_bytes() for path in sys.argv[2:])
with Notifier(address, token=lambda: "t", root_certificates=ca, private_key=key, certificate_chain=ca) as notifier:
    futures = [notifier.broadcast("legacy", {"verbosity": "warning", "value": str(i)}) for i in range(300)]
    notifier.flush(60)
print(sum(future.result(0).error is None for future in futures), "accepted")
`

// keeping keeps what is published. It implements ingest.Sink, ingest.Publisher and ingest.Pending.
type keeping struct{ texts chan string }

func (k keeping) Open(auth.Caller) ingest.Publisher { return k }

func (k keeping) Publish(_ context.Context, r *notificationsv1.PublishRequest) (ingest.Pending, error) {
	k.texts <- r.GetNotification().GetLegacy().GetValue()
	return k, nil
}

func (keeping) Settled() bool { return true }

func (keeping) Wait(context.Context) (*notificationsv1.Accepted, error) {
	return &notificationsv1.Accepted{Position: "1", Subscribers: 1}, nil
}

// TestOverTLS: with a token, a certificate, and a rate limit that is a third of what is broadcast.
func TestOverTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil) // for its certificate
	defer certified.Close()
	pair := certified.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sink := keeping{make(chan string, 1000)}
	server := ingest.New(ingest.Config{
		Sink: sink, PublishRate: 100,
		TLS: &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert},
		Authenticate: func(ctx context.Context) (auth.Caller, error) {
			if values := metadata.ValueFromIncomingContext(ctx, "authorization"); len(values) != 1 || values[0] != "Bearer t" {
				return auth.Caller{}, &auth.Refusal{Defect: auth.Missing}
			}
			return auth.Caller{Subject: "ann"}, nil
		},
	})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	defer func() {
		server.Drain(context.Background())
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	command := python(t, "-c", slowedDown, l.Addr().String(),
		write("ca.pem", "CERTIFICATE", pair.Certificate[0]), write("key.pem", "PRIVATE KEY", key))
	said, err := command.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(said), "300 accepted\n") {
		t.Fatalf("%v: it said:\n%s", err, said)
	}
	close(sink.texts)
	n := 0
	for text := range sink.texts {
		if text != strconv.Itoa(n) {
			t.Fatalf("%q came as number %d", text, n)
		}
		n++
	}
	if n != 300 {
		t.Errorf("%d came", n)
	}
}
