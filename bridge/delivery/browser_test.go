package delivery_test

import (
	"slices"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/internal/browsertest"
	"github.com/rotki/notification-bridge/bridge/journal"
)

// TestBrowserExpelled: whoever may not be here gets a clean 1008, after which rotki's frontend stays away.
func TestBrowserExpelled(t *testing.T) {
	s := serve(t, delivery.Config{}, journal.MemoryConfig{})
	page := browsertest.Open(t, "ws://"+s.addr+"/ws/")
	s.Disconnect(delivery.Selector{}, delivery.Dismissed)
	page.StaysAway(websocket.ClosePolicyViolation)
	await(t, "nobody is left", func() bool { return s.Connections() == 0 })
	if got := s.metric(t, "bridge_disconnects_total", "dismissed"); got != 1 {
		t.Errorf("%v were expelled", got)
	}
}

// TestBrowserMessages: what the page sends changes nothing, unless it is too large: then the close is clean.
func TestBrowserMessages(t *testing.T) {
	s := serve(t, delivery.Config{}, journal.MemoryConfig{})
	page := browsertest.Open(t, "ws://"+s.addr+"/ws/")
	page.Do("socket.send(''); socket.send('{}'); socket.send(new Uint8Array(4096))")
	for _, data := range []string{`"one"`, `"two"`} {
		s.publish(t, "legacy", data)
	}
	page.Await("both came", "page.messages.length === 2")
	// The engine has seen all that was sent before by the time it sees this.
	page.Do("socket.send('x'.repeat(5 << 10))")
	page.StaysAway(websocket.CloseMessageTooBig)
	if got, want := page.Messages(), []string{envelopeOf("legacy", `"one"`), envelopeOf("legacy", `"two"`)}; !slices.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
	await(t, "nobody is left", func() bool { return s.Connections() == 0 })
	if got := s.metric(t, "bridge_disconnects_total", "protocol_error"); got != 1 {
		t.Errorf("%v protocol errors were counted", got)
	}
}
