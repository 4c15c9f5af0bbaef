package bridge_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/delivery"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// TestProbesAreNobody: a probe of a bridge that is not ready shows no credential, and so none of its is refused.
func TestProbesAreNobody(t *testing.T) {
	p, log := newProvider(t), new(transcript)
	access := p.access()
	access.AdminToken, access.Anonymous = true, []auth.Scope{auth.ScopePublish, auth.ScopeSubscribe}
	b := start(t, bridge.Config{Access: access, SendBuffer: 1, DrainTimeout: time.Minute, Logger: log.logger()})
	slow := b.subscribe(t, "") // holds the drain
	if err := slow.NetConn().(interface{ SetReadBuffer(int) error }).SetReadBuffer(16 << 10); err != nil {
		t.Fatal(err)
	}
	operator := p.token(t, "operator", "t1", auth.ScopeAdmin)
	publisher := b.publisher(t)
	for strings.Contains(b.metrics(t, operator), "\nbridge_blocked_writes_total 0\n") {
		publisher.accepted(t, &notificationsv1.PublishRequest{Notification: legacy(strings.Repeat("x", 1_000_000))})
	}
	stopped := make(chan error, 1)
	go func() { stopped <- b.stop() }()
	await(t, "the bridge drains", func() bool {
		status, body := get(t, "http://"+b.AdminAddr()+"/readyz")
		return status == http.StatusServiceUnavailable && body == "not ready\n"
	})
	if lines := log.refusals(t); len(lines) > 0 {
		t.Errorf("the log says %+v", lines)
	}
	readAll(slow)
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// readAll reads until the end of a connection.
func readAll(conn *websocket.Conn) {
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return
		}
	}
}

// TestProbesAreNotKeptOut: where as many are connecting as may, probes still get an answer: a bridge that was restarted
// for the want of one would lose its subscribers.
func TestProbesAreNotKeptOut(t *testing.T) {
	b := start(t, bridge.Config{Limits: delivery.Limits{PerAddress: 1}})
	begin := func() net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", b.HTTPAddr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, "G"); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	begin()
	refused := begin()
	if err := refused.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil { // the first may take ten
		t.Fatal(err)
	}
	if _, err := refused.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("there is room for another: %v", err)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		response, err := http.Get("http://" + b.AdminAddr() + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, response.Status)
		}
	}
}
