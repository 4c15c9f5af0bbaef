package delivery_test

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
)

// eventReader reads a text/event-stream.
type eventReader struct {
	*http.Response
	lines *bufio.Scanner
}

func (s *served) events(t testing.TB, query, lastEventID string) *eventReader {
	t.Helper()
	scheme := "http"
	if s.wire.tls {
		scheme = "https"
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+s.addr+"/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastEventID != "" {
		request.Header.Set("Last-Event-ID", lastEventID)
	}
	request.Header.Set("Origin", "http://localhost:1234")
	transport := &http.Transport{TLSClientConfig: s.trust}
	t.Cleanup(transport.CloseIdleConnections)
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	return &eventReader{response, lines}
}

// next returns the next block of lines.
func (r *eventReader) next(t testing.TB) string {
	t.Helper()
	var block strings.Builder
	for r.lines.Scan() {
		if r.lines.Text() == "" {
			return block.String()
		}
		block.WriteString(r.lines.Text() + "\n")
	}
	t.Fatalf("the stream ended after %q: %v", block.String(), r.lines.Err())
	return ""
}

func TestEvents(t *testing.T) { onEveryWire(t, testEvents) }

func testEvents(t *testing.T, w wire) {
	s := serveOn(t, w, delivery.Config{}, journal.MemoryConfig{})
	position := func(seq uint64) string { return journal.Position{Epoch: s.journal.Epoch(), Seq: seq}.String() }
	event := func(seq uint64, env string) string { return "id: " + position(seq) + "\ndata: " + env + "\n" }
	s.publish(t, "legacy", `"before"`)

	stream := s.events(t, "", "")
	if stream.StatusCode != http.StatusOK || stream.Header.Get("Content-Type") != "text/event-stream" ||
		stream.Header.Get("Access-Control-Allow-Origin") != "http://localhost:1234" || stream.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %s, %v", stream.Status, stream.Header)
	}
	if got := stream.next(t); got != "retry: 2000\nid: "+position(1)+"\n" {
		t.Errorf("it begins with %q", got)
	}
	long := `"` + strings.Repeat("é\\n", 100_000) + `"`
	s.publish(t, "legacy", `{"a":1}`)
	s.publish(t, "other", long)
	for _, want := range []string{event(2, envelopeOf("legacy", `{"a":1}`)), event(3, envelopeOf("other", long))} {
		if got := stream.next(t); got != want {
			t.Fatalf("got %.200q, want %.200q", got, want)
		}
	}

	for name, resumed := range map[string]*eventReader{
		"last event id": s.events(t, "?types=legacy&since=earliest", position(1)),
		"since":         s.events(t, "?types=legacy&since="+position(1), ""),
	} {
		resumed.next(t) // retry
		if got, want := resumed.next(t), event(2, envelopeOf("legacy", `{"a":1}`)); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	text := s.events(t, "?data=string&since="+position(1), "")
	text.next(t)
	if got, want := text.next(t), event(2, envelopeOf("legacy", `"{\"a\":1}"`)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEventsHeartbeat(t *testing.T) {
	s := serve(t, delivery.Config{PingInterval: 20 * time.Millisecond}, journal.MemoryConfig{})
	stream := s.events(t, "", "")
	stream.next(t)
	at := journal.Position{Epoch: s.journal.Epoch()}
	for range 5 { // more than a websocket may leave unanswered
		if got := stream.next(t); got != fmt.Sprintf(": heartbeat\nid: %v\n", at) {
			t.Errorf("got %q", got)
		}
	}
}

// TestEventsLost: an EventSource that has lost its place is told in an event, since it would not come back after a refusal.
func TestEventsLost(t *testing.T) {
	s := serve(t, delivery.Config{}, journal.MemoryConfig{Messages: 2})
	for i := range 5 {
		s.publish(t, "legacy", fmt.Sprint(i+1))
	}
	stream := s.events(t, "", journal.Position{Epoch: s.journal.Epoch(), Seq: 1}.String())
	stream.next(t)
	if got := stream.next(t); !strings.HasPrefix(got, "event: lost\ndata: ") {
		t.Errorf("got %q", got)
	}
	if got := stream.next(t); !strings.HasSuffix(got, "data: "+envelopeOf("legacy", "4")+"\n") {
		t.Errorf("got %q", got)
	}
}

func TestEventsEnd(t *testing.T) {
	s := serve(t, delivery.Config{}, journal.MemoryConfig{})
	stream := s.events(t, "?close=codes", "")
	stream.next(t)
	await(t, "it has joined", func() bool { return s.Connections() == 1 })
	s.Disconnect(delivery.Selector{}, delivery.Dismissed)
	if stream.lines.Scan() || stream.lines.Err() != nil {
		t.Errorf("after the end came %q, %v", stream.lines.Text(), stream.lines.Err())
	}
	left := s.events(t, "", "")
	await(t, "the other has joined", func() bool { return s.Connections() == 1 })
	_ = left.Body.Close()
	await(t, "it is gone", func() bool { return s.Connections() == 0 })
}

// TestEventsWhileDraining: an EventSource would not come back after an answer that refuses it.
func TestEventsWhileDraining(t *testing.T) {
	s := serve(t, delivery.Config{}, journal.MemoryConfig{})
	s.Drain(t.Context(), 0)
	response, err := http.Get("http://" + s.addr + "/events")
	if err == nil {
		_ = response.Body.Close()
		t.Errorf("got %s", response.Status)
	}
	if n := s.metric(t, "bridge_handshakes_total", "draining"); n != 1 && n != 2 { // a client may try twice
		t.Errorf("%v handshakes were refused", n)
	}
}

func TestEventsRefused(t *testing.T) {
	s := serve(t, delivery.Config{}, journal.MemoryConfig{})
	response, err := http.Post("http://"+s.addr+"/events", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed || response.Header.Get("Allow") != "GET" {
		t.Errorf("POST: %s", response.Status)
	}
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+"/events", nil)
	request.Header.Set("Origin", "https://evil.example.org")
	foreign, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = foreign.Body.Close()
	if foreign.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign page: %s", foreign.Status)
	}
	if s.Connections() != 0 {
		t.Errorf("%d connections", s.Connections())
	}
}

// TestEventsPreflight: a browser is told that an allowed page may show a token, and of another page that it may not.
func TestEventsPreflight(t *testing.T) {
	s := serve(t, delivery.Config{AllowedOrigins: []string{"https://rotki.example.org"}}, journal.MemoryConfig{})
	for origin, status := range map[string]int{
		"https://rotki.example.org": http.StatusNoContent, "https://evil.example.org": http.StatusForbidden,
		"": http.StatusMethodNotAllowed,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, "http://"+s.addr+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Close = true
		if origin != "" {
			request.Header.Set("Origin", origin)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		allowed := response.Header.Get("Access-Control-Allow-Origin")
		if response.StatusCode != status || (allowed == origin) != (status == http.StatusNoContent || origin == "") {
			t.Errorf("%q: got %d, allowed %q", origin, response.StatusCode, allowed)
		}
	}
}

// TestEventsTurnedAway: who comes for the first time to a full bridge is told so; a browser that comes back is not, or it
// would never try again.
func TestEventsTurnedAway(t *testing.T) {
	s := serve(t, delivery.Config{Limits: delivery.Limits{Connections: 1}}, journal.MemoryConfig{})
	s.events(t, "", "").next(t)
	if status := s.events(t, "", "").StatusCode; status != http.StatusServiceUnavailable {
		t.Errorf("got %d", status)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Last-Event-ID", fmt.Sprintf("%016x-1", s.journal.Epoch()))
	if response, err := http.DefaultClient.Do(request); err == nil {
		_ = response.Body.Close()
		t.Errorf("who comes back got %d", response.StatusCode)
	}
	if got := s.metric(t, "bridge_handshakes_total", "limited"); got != 2 {
		t.Errorf("%v were turned away", got)
	}
}
