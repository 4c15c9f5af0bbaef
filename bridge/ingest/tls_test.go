package ingest_test

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/ingest"
	"github.com/rotki/notification-bridge/bridge/testcert"
	"github.com/rotki/notification-bridge/client"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// named is the identity in a client's certificate.
func named(ctx context.Context) (auth.Caller, error) {
	p, _ := peer.FromContext(ctx)
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return auth.Caller{}, &auth.Refusal{Defect: auth.Missing}
	}
	return auth.Caller{Subject: info.State.PeerCertificates[0].DNSNames[0]}, nil
}

// TestMutualTLS: a certificate of the right authority gets in, and no other does; the operator learns why.
func TestMutualTLS(t *testing.T) {
	ours, other := testcert.NewCA(t, "ours"), testcert.NewCA(t, "other")
	refused := make(chan auth.Defect, 100)
	log, sink := new(lines), new(quickSink)
	_, addr := listen(t, ingest.Config{
		Sink: sink, Logger: textLogger(log), Authenticate: named,
		TLS: &tls.Config{
			Certificates: []tls.Certificate{ours.Certificate(t, testcert.Options{})},
			ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ours.Pool(),
		},
		Refused: func(d auth.Defect) { refused <- d },
	})
	dialled := func(certificates ...tls.Certificate) *grpc.ClientConn {
		return dial(t, addr, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
			RootCAs: ours.Pool(),
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if len(certificates) == 0 {
					return new(tls.Certificate), nil
				}
				return &certificates[0], nil
			},
		})))
	}
	backend := testcert.Options{Client: true, Names: []string{"backend.test"}}
	s := open(t, dialled(ours.Certificate(t, backend)), "")
	send(t, s, "a")
	expect(t, s, "a", "1")
	if sink.by[0].Subject != "backend.test" {
		t.Errorf("the stream is by %+v", sink.by[0])
	}

	expired := backend
	expired.NotAfter = time.Now().Add(-time.Hour)
	for name, conn := range map[string]*grpc.ClientConn{
		"none": dialled(), "another authority's": dialled(other.Certificate(t, backend)), "expired": dialled(ours.Certificate(t, expired)),
		"a server's": dialled(ours.Certificate(t, testcert.Options{})), "plain text": dial(t, addr),
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		if err := conn.Invoke(ctx, "/grpc.health.v1.Health/Check", nil, nil); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	send(t, s, "b")
	expect(t, s, "b", "2")
	counts := make(map[auth.Defect]int)
	for timeout := time.After(30 * time.Second); counts[auth.Missing] == 0 || counts[auth.WrongCertificate] < 3; {
		select {
		case defect := <-refused: // a client may have tried more than once
			counts[defect]++
		case <-timeout:
			t.Fatalf("refused were %v", counts)
		}
	}
	if text := log.String(); !strings.Contains(text, "a publisher's TLS handshake failed") {
		t.Errorf("the log does not tell of it:\n%s", text)
	}
}

// TestPublisherOverTLS: the client package shows a certificate and a token, and says nothing in plain text.
func TestPublisherOverTLS(t *testing.T) {
	ca := testcert.NewCA(t, "ours")
	sink := new(quickSink)
	_, addr := listen(t, ingest.Config{
		Sink: sink, Authenticate: people{"good": {Subject: "ann"}}.authenticate,
		TLS: &tls.Config{
			Certificates: []tls.Certificate{ca.Certificate(t, testcert.Options{})},
			ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
		},
	})
	warning := &notificationsv1.Notification{Payload: &notificationsv1.Notification_Legacy{Legacy: new(notificationsv1.Legacy)}}
	outage := make(chan error, 1)
	plain, err := client.NewPublisher(client.PublisherConfig{Addr: addr, OnOutage: func(err error) { outage <- err }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plain.PublishAsync(t.Context(), warning); err != nil {
		t.Fatal(err)
	}
	<-outage
	now, cancel := context.WithCancel(t.Context())
	cancel()
	if err := plain.Close(now); err == nil {
		t.Error("something was published in plain text")
	}
	p, err := client.NewPublisher(client.PublisherConfig{
		Addr:  addr,
		Token: func(context.Context) (string, error) { return "good", nil },
		TLS: &tls.Config{
			RootCAs:      ca.Pool(),
			Certificates: []tls.Certificate{ca.Certificate(t, testcert.Options{Client: true, Names: []string{"backend.test"}})},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Publish(t.Context(), warning); err != nil {
		t.Error(err)
	}
	if err := p.Close(t.Context()); err != nil || sink.n != 1 || sink.by[0].Subject != "ann" {
		t.Errorf("%d requests by %+v, %v", sink.n, sink.by, err)
	}
}
