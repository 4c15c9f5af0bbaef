package delivery_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
	"github.com/rotki/notification-bridge/bridge/session"
)

// endsAtOnce fails unless a clean 1008 is the next that comes.
func endsAtOnce(t testing.TB, conn *websocket.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, message, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
		t.Errorf("got %q, %v instead of the end", message, err)
	}
}

// TestRevokedMeanwhile: a token that is revoked while its handshake goes on gets nothing.
func TestRevokedMeanwhile(t *testing.T) {
	var revoked atomic.Bool
	s := serve(t, delivery.Config{
		Authenticate: func(r *http.Request) (auth.Caller, error) {
			defer revoked.Store(true)
			return named(r)
		},
		Revoked: func(id string) bool { return id == "t1" && revoked.Load() },
	}, journal.MemoryConfig{})
	s.publishTo(t, "1")
	conn := s.dialAs(t, "ann", "?since=earliest", "Token-Id", "t1")
	endsAtOnce(t, conn)
}

// TestDisconnectedMeanwhile: one that is chosen while its handshake goes on counts, and gets nothing.
func TestDisconnectedMeanwhile(t *testing.T) {
	var engine atomic.Pointer[served]
	var ended atomic.Int64
	s := serve(t, delivery.Config{
		Authenticate: named,
		Subprotocol: func(*http.Request) string { // which is asked for when it has joined
			ended.Add(int64(engine.Load().Disconnect(delivery.Selector{Subject: "ann"}, delivery.Dismissed)))
			return ""
		},
	}, journal.MemoryConfig{})
	engine.Store(s)
	s.publishTo(t, "1")
	conn := s.dialAs(t, "ann", "?since=earliest")
	endsAtOnce(t, conn)
	if n := ended.Load(); n != 1 {
		t.Errorf("%d were ended", n)
	}
}

// TestDisconnect: whoever is chosen gets a clean 1008, and nothing that is published after the call has returned.
func TestDisconnect(t *testing.T) { onEveryWire(t, testDisconnect) }

func testDisconnect(t *testing.T, w wire) {
	s := serveOn(t, w, delivery.Config{
		Authenticate: named, Name: "engine", Sessions: session.New(session.Config{}),
	}, journal.MemoryConfig{})
	ann, another, bob := s.dialAs(t, "ann", "?types=legacy", "Token-Id", "t1"), s.dialAs(t, "ann", ""), s.dialAs(t, "bob", "")
	p := s.page()
	inPage, _ := p.connect(t, "")
	await(t, "all have joined", func() bool { return len(s.List(delivery.Selector{})) == 4 })

	listed := s.List(delivery.Selector{TokenID: "t1"})
	if len(listed) != 1 {
		t.Fatalf("the token has %d connections", len(listed))
	}
	c := listed[0]
	if c.Subject != "ann" || c.Events || !slices.Equal(c.Types, []string{"legacy"}) || !c.Address.IsLoopback() ||
		time.Since(c.ConnectedAt) > time.Minute || c.Session != "" || !strings.HasPrefix(c.ID, "engine-") || !c.ExpiresAt.IsZero() {
		t.Errorf("the connection is told as %+v", c)
	}
	sessions := slices.DeleteFunc(s.List(delivery.Selector{}), func(c delivery.Connection) bool { return c.Session == "" })
	if len(sessions) != 1 || strings.Contains(p.cookie, sessions[0].Session) {
		t.Fatalf("sessions: %+v", sessions)
	}
	for i, step := range []struct {
		what   string
		sel    delivery.Selector
		ended  []*websocket.Conn
		remain int
	}{
		{"a connection of nobody", delivery.Selector{Connection: "engine-999"}, nil, 4},
		{"a subject that is not there", delivery.Selector{Subject: "cy"}, nil, 4},
		{"a connection", delivery.Selector{Connection: c.ID}, []*websocket.Conn{ann}, 3},
		{"a subject", delivery.Selector{Subject: "ann"}, []*websocket.Conn{another}, 2},
		{"a session", delivery.Selector{Session: sessions[0].Session}, []*websocket.Conn{inPage}, 1},
	} {
		if got := s.Disconnect(step.sel, delivery.Dismissed); got != len(step.ended) {
			t.Errorf("%s: %d were ended", step.what, got)
		}
		s.publish(t, "legacy", fmt.Sprint(i))
		for _, conn := range step.ended {
			for earlier := range i {
				if got := receive(t, conn); got != envelopeOf("legacy", fmt.Sprint(earlier)) {
					t.Errorf("%s: before its end it got %s, want %d", step.what, got, earlier)
				}
			}
			endsAtOnce(t, conn)
		}
		await(t, step.what+": the others have got it", func() bool {
			left := s.List(delivery.Selector{})
			return s.Connections() == step.remain &&
				!slices.ContainsFunc(left, func(c delivery.Connection) bool { return c.Lag > 0 })
		})
	}
	if got := receive(t, bob); got != envelopeOf("legacy", "0") {
		t.Errorf("bob got %s", got)
	}
}

// TestHold: while it is held, the engine delivers nothing and lets nobody in, and afterwards nothing is missing.
func TestHold(t *testing.T) { onEveryWire(t, testHold) }

func testHold(t *testing.T, w wire) {
	s := serveOn(t, w, delivery.Config{Authenticate: named}, journal.MemoryConfig{})
	ann, bob := s.dialAs(t, "ann", ""), s.dialAs(t, "bob", "")
	s.Hold(true)
	s.publish(t, "legacy", "1")
	if status, retryAfter, _ := s.refusedAs(t, "cy"); status != http.StatusServiceUnavailable || retryAfter == "" {
		t.Errorf("while it is held a handshake got %d", status)
	}
	if ended := s.Disconnect(delivery.Selector{Subject: "bob"}, delivery.Revoked); ended != 1 {
		t.Errorf("%d were ended", ended)
	}
	endsAtOnce(t, bob)
	s.Hold(false)
	s.publish(t, "legacy", "2")
	for _, want := range []string{"1", "2"} {
		if got := receive(t, ann); got != envelopeOf("legacy", want) {
			t.Errorf("ann got %s, want %s", got, want)
		}
	}
	s.dialAs(t, "cy", "")
}

// TestLapsed: as soon as somebody may have been revoked without its knowing, the engine delivers nothing and lets
// nobody in, also before it is told to hold.
func TestLapsed(t *testing.T) {
	lapsed := new(atomic.Bool)
	s := serve(t, delivery.Config{Authenticate: named, Lapsed: lapsed.Load}, journal.MemoryConfig{})
	ann, bob := s.dialAs(t, "ann", ""), s.dialAs(t, "bob", "")
	s.publish(t, "legacy", "1")
	for _, conn := range []*websocket.Conn{ann, bob} {
		if got := receive(t, conn); got != envelopeOf("legacy", "1") {
			t.Fatalf("%s came", got)
		}
	}
	lapsed.Store(true)
	s.publish(t, "legacy", "2")
	if status, _, _ := s.refusedAs(t, "cy"); status != http.StatusServiceUnavailable {
		t.Errorf("a handshake got %d", status)
	}
	s.Hold(true)
	lapsed.Store(false)
	s.Disconnect(delivery.Selector{Subject: "bob"}, delivery.Revoked)
	endsAtOnce(t, bob)
	s.Hold(false)
	if got := receive(t, ann); got != envelopeOf("legacy", "2") {
		t.Errorf("ann got %s", got)
	}
}
