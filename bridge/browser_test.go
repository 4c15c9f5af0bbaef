package bridge_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/bridge/internal/browsertest"
	"github.com/rotki/notification-bridge/bridge/journal"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// TestBrowserSeesRestart: to the page a restart is no clean close, so it comes back, and gets what is published then.
func TestBrowserSeesRestart(t *testing.T) {
	b := start(t, bridge.Config{})
	page := browsertest.Open(t, "ws://"+b.HTTPAddr()+"/ws/")
	b.publisher(t).accepted(t, &notificationsv1.PublishRequest{Notification: legacy("before")})
	page.Await("it came", "page.messages.length === 1")
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	page.Await("a reconnect was refused", "page.closes.length >= 2")

	b = start(t, bridge.Config{HTTPAddr: b.HTTPAddr()})
	page.CameBack(2)
	const text = "🚀 <b>bold</b> & \"quoted\" \\ \u2028 über"
	accepted := b.publisher(t).accepted(t, &notificationsv1.PublishRequest{Notification: legacy(text)})
	if accepted.GetSubscribers() != 1 {
		t.Errorf("it was for %d subscribers", accepted.GetSubscribers())
	}
	page.Await("it came", "page.messages.length === 2")
	want := []string{
		legacyEnvelope("before"),
		`{"type":"legacy","data":{"verbosity":"warning","value":"🚀 <b>bold</b> & \"quoted\" \\ ` + "\u2028" + ` über"}}`,
	}
	if got := page.Messages(); !slices.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
	type envelope struct {
		Type string
		Data map[string]string
	}
	parsed := browsertest.Evaluate[envelope](page, "JSON.parse(page.messages[1])")
	if parsed.Type != "legacy" || len(parsed.Data) != 2 || parsed.Data["verbosity"] != "warning" || parsed.Data["value"] != text {
		t.Errorf("the page parsed it as %+v", parsed)
	}
}

// TestBrowserSeesRestartAsCode: a client that asked for codes is told 1001, which is a clean close.
func TestBrowserSeesRestartAsCode(t *testing.T) {
	b := start(t, bridge.Config{})
	page := browsertest.Open(t, "ws://"+b.HTTPAddr()+"/ws/?close=codes")
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	page.StaysAway(websocket.CloseGoingAway)
}

// incompressible returns text of n bytes of which a browser's permessage-deflate makes nothing small.
func incompressible(n int) string {
	random := make([]byte, n*3/4)
	_, _ = rand.Read(random) // never fails (crypto/rand's documentation)
	return base64.StdEncoding.EncodeToString(random)
}

// TestBrowserTooSlow: a page that takes nothing in falls off the journal's tail, unnoticed by others, and comes back
// once it can.
func TestBrowserTooSlow(t *testing.T) {
	// With its session the page would begin at the journal's tail, and fall off again with the next message.
	b := start(t, bridge.Config{Journal: journal.MemoryConfig{Messages: 4}, SendBuffer: 16 << 10, NoSessions: true})
	page := browsertest.Open(t, "ws://"+b.HTTPAddr()+"/ws/")
	thaw := page.Freeze()
	p, bystander := b.publisher(t), b.subscribe(t, "")
	large := incompressible(1_000_000)
	// How much the browser and the kernel take in for the page is theirs to decide.
	const most = 300
	published := 0
	for b.metric(t, `bridge_disconnects_total{reason="too_slow"}`) == 0 {
		if published++; published > most {
			t.Fatalf("it is still connected after %d MB", most)
		}
		p.accepted(t, &notificationsv1.PublishRequest{Notification: legacy(large)})
		if got := receive(t, bystander); got != legacyEnvelope(large) {
			t.Fatalf("the bystander received %.80s", got)
		}
	}
	thaw()
	page.CameBack(2)
	if accepted := p.accepted(t, &notificationsv1.PublishRequest{Notification: legacy("next")}); accepted.GetSubscribers() != 2 {
		t.Errorf("it was for %d subscribers", accepted.GetSubscribers())
	}
	if got := receive(t, bystander); got != legacyEnvelope("next") {
		t.Errorf("the bystander received %.80s", got)
	}
	page.Await("it came", fmt.Sprintf("page.messages.at(-1) === `%s`", legacyEnvelope("next")))
	state := page.State()
	t.Logf("of %d MB the page saw %d before it was dropped: %+v", published, state.Messages-1, state.Closes)
	if state.Messages > published {
		t.Error("it lost nothing: the test did not test what it should")
	}
	whole := fmt.Sprintf("page.messages.slice(0, -1).every((text) => JSON.parse(text).data.value.length === %d)", len(large))
	if !browsertest.Evaluate[bool](page, whole) {
		t.Error("a message came torn")
	}
	if state.Attempts != 2 || len(state.Closes) != 1 {
		t.Errorf("want one close and one reconnect; the page has seen %+v", state)
	}
}
