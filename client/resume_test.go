package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/client"
)

// TestSubscriberResumes: over connections that are cut again and again, a subscriber gets everything once and in order.
func TestSubscriberResumes(t *testing.T) {
	const n, cuts = 5000, 20
	b := start(t, bridge.Config{})
	addr, cut := cutting(t, b.HTTPAddr(), cuts)
	l := listen(t, client.SubscriberConfig{URL: "ws://" + addr + "/ws/", OnLost: func(err error) { t.Errorf("lost: %v", err) }})
	p := newPublisher(t, client.PublisherConfig{Addr: b.GRPCAddr()})
	go func() {
		for i := range n {
			if _, err := p.PublishAsync(t.Context(), warning(fmt.Sprint(i))); err != nil {
				t.Errorf("publish: %v", err)
				return
			}
		}
	}()
	for i, text := range l.texts(t, n) {
		if text != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, text)
		}
	}
	if cut() == 0 {
		t.Error("no connection was cut")
	}
	t.Logf("%d connections were cut", cut())
}

// TestSubscriberResumesFromNothing: what is published while a subscriber is away comes, though it had got nothing yet.
func TestSubscriberResumesFromNothing(t *testing.T) {
	b := start(t, bridge.Config{})
	p := newPublisher(t, client.PublisherConfig{Addr: b.GRPCAddr()})
	publish := func(text string) client.Accepted {
		t.Helper()
		pending, err := p.PublishAsync(t.Context(), warning(text))
		if err != nil {
			t.Fatal(err)
		}
		return mustWait(t, pending)
	}
	publish("before")
	away := make(chan struct{})
	l := listen(t, client.SubscriberConfig{
		URL:      b.url(),
		Dialer:   cutDialer(t, away),
		OnOutage: func(error) { publish("meanwhile") },
	})
	close(away)
	if got := await(t, l.messages); got.Notification.GetLegacy().GetValue() != "meanwhile" {
		t.Errorf("got %s", got.Envelope)
	}
}

func TestSubscriberSince(t *testing.T) {
	b := start(t, bridge.Config{})
	p := newPublisher(t, client.PublisherConfig{Addr: b.GRPCAddr()})
	for i := range 3 {
		pending, err := p.PublishAsync(t.Context(), warning(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		mustWait(t, pending)
	}
	all := listen(t, client.SubscriberConfig{URL: b.url(), Since: "earliest"})
	first := await(t, all.messages)
	if first.ID == "" || string(first.Envelope) != `{"type":"legacy","data":{"verbosity":"warning","value":"0"}}` {
		t.Errorf("got %q %s", first.ID, first.Envelope)
	}
	for name, config := range map[string]client.SubscriberConfig{
		"an id":       {URL: b.url(), Since: first.ID},
		"in the URL":  {URL: b.url() + "?since=" + first.ID + "&data=string"},
		"of one type": {URL: b.url(), Since: first.ID, Types: []string{"legacy"}},
	} {
		if got := listen(t, config).texts(t, 2); got[0] != "1" || got[1] != "2" {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// TestSubscriberLost: a bridge that was restarted no longer has what its journal in memory held, and the subscriber is
// told.
func TestSubscriberLost(t *testing.T) {
	first := start(t, bridge.Config{})
	addrs := bridge.Config{HTTPAddr: first.HTTPAddr(), GRPCAddr: first.GRPCAddr(), AdminAddr: first.AdminAddr(), AdminGRPCAddr: first.AdminGRPCAddr()}
	lost := make(chan error, 10)
	l := listen(t, client.SubscriberConfig{URL: first.url(), OnLost: func(err error) { lost <- err }})
	first.stop()
	second := start(t, addrs)
	await(t, l.connected)
	var refused *client.HandshakeError
	if err := await(t, lost); !errors.As(err, &refused) || refused.Status != http.StatusGone {
		t.Errorf("lost: %v", err)
	}
	p := newPublisher(t, client.PublisherConfig{Addr: second.GRPCAddr()})
	if _, err := p.PublishAsync(t.Context(), warning("after")); err != nil {
		t.Fatal(err)
	}
	if got := l.texts(t, 1); got[0] != "after" {
		t.Errorf("got %v", got)
	}
	if len(lost) != 0 {
		t.Error("told twice")
	}
}

// cutDialer returns a dialer whose first connection is reset once cut is closed.
func cutDialer(t *testing.T, cut <-chan struct{}) *websocket.Dialer {
	first := true
	return &websocket.Dialer{NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil && first {
			first = false
			go func() {
				select {
				case <-cut:
					_ = conn.(*net.TCPConn).SetLinger(0)
					_ = conn.Close()
				case <-t.Context().Done():
				}
			}()
		}
		return conn, err
	}}
}
