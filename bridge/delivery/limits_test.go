package delivery_test

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
)

// refusedAs tries to connect, and returns the status, the time to wait and the sentence of the refusal.
func (s *served) refusedAs(t *testing.T, subject string) (status int, retryAfter, sentence string) {
	t.Helper()
	conn, response, err := s.dialer().DialContext(t.Context(), s.url(""), http.Header{"Subject": {subject}})
	if err == nil {
		_ = conn.Close()
		return http.StatusSwitchingProtocols, "", ""
	}
	if response == nil {
		t.Fatalf("dial: %v", err)
	}
	defer response.Body.Close()
	body := make([]byte, 1024)
	n, _ := response.Body.Read(body)
	return response.StatusCode, response.Header.Get("Retry-After"), strings.TrimSpace(string(body[:n]))
}

func TestLimits(t *testing.T) {
	for name, tc := range map[string]struct {
		limits   delivery.Limits
		admits   int // the next one is refused
		metric   string
		sentence string
	}{
		"in all":                 {delivery.Limits{Connections: 2}, 2, "connections", "as many connections as it may"},
		"of a subject":           {delivery.Limits{PerSubject: 2}, 2, "connections_per_subject", "close one"},
		"from an address":        {delivery.Limits{PerAddress: 2}, 2, "connections_per_address", "from your address"},
		"handshakes":             {delivery.Limits{Handshakes: 0.01}, 1, "handshakes", "too many"},
		"handshakes per address": {delivery.Limits{HandshakesPerAddress: 0.01}, 1, "handshakes_per_address", "too many"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, delivery.Config{Authenticate: named, Limits: tc.limits}, journal.MemoryConfig{})
			var admitted []*websocket.Conn
			for range tc.admits {
				admitted = append(admitted, s.dialAs(t, "ann", ""))
			}
			status, retryAfter, sentence := s.refusedAs(t, "ann")
			wait, err := strconv.Atoi(retryAfter)
			if status != http.StatusServiceUnavailable || err != nil || !strings.Contains(sentence, tc.sentence) {
				t.Errorf("the next was answered with %d, Retry-After %q: %s", status, retryAfter, sentence)
			}
			if got := s.metric(t, "bridge_subscribers_limited_total", tc.metric); got != 1 {
				t.Errorf("counted %v times", got)
			}
			if got := s.metric(t, "bridge_handshakes_total", "limited"); got != 1 {
				t.Errorf("%v handshakes are counted as limited", got)
			}
			s.publish(t, "legacy", "1")
			for _, conn := range admitted {
				if got := receive(t, conn); got != envelopeOf("legacy", "1") {
					t.Errorf("one of those that were let in got %s", got)
				}
			}
			if tc.limits.Handshakes > 0 || tc.limits.HandshakesPerAddress > 0 {
				if wait < 50 {
					t.Errorf("told to come back after %d s, of 100", wait)
				}
				return
			}
			_ = admitted[0].Close()
			await(t, "it makes room for another", func() bool {
				status, _, _ := s.refusedAs(t, "ann")
				return status == http.StatusSwitchingProtocols
			})
		})
	}
	t.Run("of a subject, another", func(t *testing.T) {
		s := serve(t, delivery.Config{Authenticate: named, Limits: delivery.Limits{PerSubject: 1, PerAddress: 4}}, journal.MemoryConfig{})
		s.dialAs(t, "ann", "")
		for range 3 { // who are refused, and take nobody's place
			if status, _, _ := s.refusedAs(t, "ann"); status != http.StatusServiceUnavailable {
				t.Errorf("another of ann's got %d", status)
			}
		}
		s.dialAs(t, "bob", "")
		s.dialAs(t, "", "")
		s.dialAs(t, "", "") // anonymous ones are of no subject
	})
}

// TestClientRate: a client that says too much is ended for good, and the others notice nothing.
func TestClientRate(t *testing.T) { onEveryWire(t, testClientRate) }

func testClientRate(t *testing.T, w wire) {
	s := serveOn(t, w, delivery.Config{ClientRate: 50}, journal.MemoryConfig{})
	bystander, talkative := s.dial(t, ""), s.dial(t, "")
	if err := bystander.WriteMessage(websocket.TextMessage, nil); err != nil {
		t.Fatal(err)
	}
	_ = talkative.SetWriteDeadline(time.Now().Add(patience))
	for range 1000 {
		if talkative.WriteMessage(websocket.TextMessage, nil) != nil {
			break // it has been ended
		}
	}
	if code := closeCode(t, talkative); code != websocket.ClosePolicyViolation {
		t.Errorf("it ended with %d", code)
	}
	s.publish(t, "legacy", "1")
	if got := receive(t, bystander); got != envelopeOf("legacy", "1") {
		t.Errorf("the bystander got %s", got)
	}
	if got := s.metric(t, "bridge_subscribers_limited_total", "client_rate"); got != 1 {
		t.Errorf("counted %v times", got)
	}
}

// TestEndedStillCounts: one that was ended, and does not close its side, still takes its place for as long as it has the
// socket.
func TestEndedStillCounts(t *testing.T) {
	s := serve(t, delivery.Config{Limits: delivery.Limits{Connections: 1, PerAddress: 1}, CloseTimeout: patience}, journal.MemoryConfig{})
	conn := s.dial(t, "")
	if _, err := conn.NetConn().Write([]byte{0x81, 0}); err != nil { // no mask, which breaks the protocol
		t.Fatal(err)
	}
	await(t, "it has ended", func() bool { return s.Connections() == 0 })
	if status, _, _ := s.refusedAs(t, ""); status != http.StatusServiceUnavailable {
		t.Errorf("another got %d", status)
	}
	_ = conn.Close()
	await(t, "its place is free", func() bool {
		status, _, _ := s.refusedAs(t, "")
		return status == http.StatusSwitchingProtocols
	})
}

// TestTalkativeEvents: who reads events has nothing to say either.
func TestTalkativeEvents(t *testing.T) {
	s := serve(t, delivery.Config{ClientRate: 10}, journal.MemoryConfig{})
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	await(t, "it has joined", func() bool { return s.Connections() == 1 })
	for err == nil {
		_, err = conn.Write(make([]byte, 64<<10))
	}
	await(t, "it was ended", func() bool { return s.metric(t, "bridge_disconnects_total", "too_talkative") == 1 })
}
