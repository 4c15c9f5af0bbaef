package delivery_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
)

// deepLog has a window's few newest records at hand, and all the others in store, as a journal on disk does.
type deepLog struct {
	*journal.Window
	store *journal.Memory

	mu      sync.Mutex
	recalls int
	hole    [2]uint64     // first and last of what is missing in the store; 0 for nothing
	hold    chan struct{} // while not nil, reading from the store waits for it to be closed
}

func newDeepLog(atHand, stored int) *deepLog {
	return &deepLog{
		Window: journal.NewWindow(journal.WindowConfig{Messages: atHand}, 1),
		store:  journal.NewMemory(journal.MemoryConfig{Messages: stored}),
	}
}

func (l *deepLog) Epoch() uint64 { return l.store.Epoch() }

func (l *deepLog) Since(ctx context.Context, t time.Time) (uint64, error) {
	return l.store.Since(ctx, t)
}

func (l *deepLog) Recall(ctx context.Context, from uint64, into []*journal.Record) (int, error) {
	l.mu.Lock()
	l.recalls++
	hold := l.hold
	l.mu.Unlock()
	if hold != nil && len(into) > 1 { // a handshake looks at one
		select {
		case <-hold:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if from >= l.hole[0] && from <= l.hole[1] {
		return 0, &journal.LostError{Next: l.hole[1] + 1}
	}
	if from < l.hole[0] {
		into = into[:min(uint64(len(into)), l.hole[0]-from)]
	}
	return l.store.Recall(ctx, from, into)
}

func (l *deepLog) publish(t testing.TB, typ, data string) {
	t.Helper()
	pending, err := l.store.Append(t.Context(), journal.Entry{Type: typ, Data: []byte(data)})
	if err != nil {
		t.Fatal(err)
	}
	receipt, _ := pending.Wait(t.Context())
	l.Add(&journal.Record{Seq: receipt.Position.Seq, Time: time.Now(), Type: typ, Data: []byte(data)})
}

func identified(typ, data string, epoch, seq uint64) string {
	return fmt.Sprintf(`{"type":%q,"data":%s,"id":"%v"}`, typ, data, journal.Position{Epoch: epoch, Seq: seq})
}

func TestSince(t *testing.T) { onEveryWire(t, testSince) }

func testSince(t *testing.T, w wire) {
	const published = 25 // of which 10 are kept
	for name, tc := range map[string]struct {
		since string // # is the epoch
		first uint64
	}{
		"after a position":     {"#-20", 21},
		"after the one before": {"#-15", 16},
		"after the newest":     {"#-25", 26},
		"earliest":             {"earliest", 16},
		"an age":               {"10h", 16},
		"a moment":             {"1ns", 26},
		"now":                  {"now", 26},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveOn(t, w, delivery.Config{CompressFrom: 1, SendBuffer: 1}, journal.MemoryConfig{Messages: 10})
			for i := range published {
				s.publish(t, "legacy", fmt.Sprint(i+1))
			}
			epoch := s.journal.Epoch()
			conn := s.dial(t, "?since="+strings.Replace(tc.since, "#", fmt.Sprintf("%016x", epoch), 1))
			for seq := tc.first; seq <= published+5; seq++ {
				if seq > published {
					s.publish(t, "legacy", fmt.Sprint(seq))
				}
				if got, want := receive(t, conn), identified("legacy", fmt.Sprint(seq), epoch, seq); got != want {
					t.Fatalf("got %s, want %s", got, want)
				}
			}
		})
	}
}

// TestSinceForms: what else a client asks for holds for what it missed, too.
func TestSinceForms(t *testing.T) {
	s := serve(t, delivery.Config{}, journal.MemoryConfig{})
	s.publish(t, "legacy", `{"a":"b"}`)
	s.publish(t, "other", `{}`)
	s.publish(t, "legacy", `[]`)
	conn := s.dial(t, "?since=earliest&types=legacy&data=string")
	for _, want := range []string{
		identified("legacy", `"{\"a\":\"b\"}"`, s.journal.Epoch(), 1),
		identified("legacy", `"[]"`, s.journal.Epoch(), 3),
	} {
		if got := receive(t, conn); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestSinceRefused(t *testing.T) {
	s := serve(t, delivery.Config{}, journal.MemoryConfig{Messages: 10})
	for range 25 {
		s.publish(t, "legacy", `{}`)
	}
	epoch := s.journal.Epoch()
	position := func(epoch, seq uint64) string { return journal.Position{Epoch: epoch, Seq: seq}.String() }
	for name, tc := range map[string]struct {
		since  string
		status int
	}{
		"no longer held":      {position(epoch, 14), http.StatusGone},
		"from another life":   {position(epoch+1, 20), http.StatusGone},
		"never was":           {position(epoch, 26), http.StatusGone},
		"far beyond":          {"ffffffffffffffff-18446744073709551615", http.StatusGone},
		"the largest":         {position(epoch, 1<<64-1), http.StatusGone},
		"empty":               {"", http.StatusBadRequest},
		"no position":         {"25", http.StatusBadRequest},
		"an age of nothing":   {"0s", http.StatusBadRequest},
		"an age to come":      {"-30s", http.StatusBadRequest},
		"given twice":         {"30s&since=30s", http.StatusBadRequest},
		"upper case":          {"EARLIEST", http.StatusBadRequest},
		"a bad Last-Event-ID": {"earliest", http.StatusBadRequest},
	} {
		for _, path := range []string{"/ws/", "/events"} {
			if path == "/ws/" && name == "a bad Last-Event-ID" {
				continue // means nothing there
			}
			t.Run(name+" at "+path, func(t *testing.T) {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+path+"?since="+tc.since, nil)
				if err != nil {
					t.Fatal(err)
				}
				if path == "/ws/" {
					for key, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
						request.Header.Set(key, value)
					}
				}
				if name == "a bad Last-Event-ID" {
					request.Header.Set("Last-Event-ID", "nonsense")
				}
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				body, _ := io.ReadAll(response.Body)
				if response.StatusCode != tc.status || !strings.HasPrefix(string(body), "since: ") {
					t.Errorf("got %s: %s", response.Status, body)
				}
				if gone := tc.status == http.StatusGone; gone != (response.Header.Get("Bridge-Position") == position(epoch, 15)) {
					t.Errorf("to be resumed from: %s", response.Header.Get("Bridge-Position"))
				}
				earliest := position(epoch, 16)
				if gone := tc.status == http.StatusGone; gone != (response.Header.Get("Bridge-Earliest-Position") == earliest) || gone != strings.Contains(string(body), earliest) {
					t.Errorf("the earliest position is %s, and the client was told: %v %s", earliest, response.Header, body)
				}
			})
		}
	}
	if s.Connections() != 0 {
		t.Errorf("%d connections", s.Connections())
	}
}

// TestRecall: what is no longer at hand is fetched, and meanwhile everybody else gets what is new.
func TestRecall(t *testing.T) { onEveryWire(t, testRecall) }

func testRecall(t *testing.T, w wire) {
	const n, more = 5000, 100
	log := newDeepLog(50, 4*n)
	s := serveOn(t, w, delivery.Config{Log: log, SendBuffer: 1, Shards: 2}, journal.MemoryConfig{})
	padding := strings.Repeat("x", 200)
	publish := func(i int) { log.publish(t, "legacy", fmt.Sprintf(`"%d %s"`, i, padding)) }
	for i := range n {
		publish(i + 1)
	}
	hold := make(chan struct{})
	log.mu.Lock()
	log.hold = hold
	log.mu.Unlock()
	live := s.dial(t, "")
	const resuming = 20
	var ended sync.WaitGroup
	for i := range resuming {
		since := fmt.Sprintf("?since=%v", journal.Position{Epoch: log.Epoch(), Seq: uint64(i * 10)})
		conn := s.dialSlow(t, since)
		ended.Go(func() {
			for seq := i*10 + 1; seq <= n+more; seq++ {
				_ = conn.SetReadDeadline(time.Now().Add(patience))
				_, text, err := conn.ReadMessage()
				if err != nil {
					t.Errorf("after %d: %v", seq-1, err)
					return
				}
				if want := identified("legacy", fmt.Sprintf(`"%d %s"`, seq, padding), log.Epoch(), uint64(seq)); string(text) != want {
					t.Errorf("got %s, want %s", text, want)
					return
				}
			}
		})
	}
	for i := range more {
		publish(n + i + 1)
		if got, want := receive(t, live), envelopeOf("legacy", fmt.Sprintf(`"%d %s"`, n+i+1, padding)); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	close(hold)
	ended.Wait()
	log.mu.Lock()
	defer log.mu.Unlock()
	t.Logf("%d subscribers that lacked %d records each took %d reads of the store", resuming, n, log.recalls)
}

// TestRecallLost: whoever lags behind what is stored has lost its place.
func TestRecallLost(t *testing.T) {
	log := newDeepLog(10, 100)
	s := serve(t, delivery.Config{Log: log}, journal.MemoryConfig{})
	for range 100 {
		log.publish(t, "legacy", `{}`)
	}
	hold := make(chan struct{})
	log.mu.Lock()
	log.hold = hold
	log.mu.Unlock()
	conn := s.dial(t, fmt.Sprintf("?since=%v&close=codes", journal.Position{Epoch: log.Epoch()}))
	for range 100 {
		log.publish(t, "legacy", `{}`)
	}
	close(hold)
	if code := closeCode(t, conn); code != 1013 {
		t.Errorf("close code %d", code)
	}
	await(t, "it was too slow", func() bool { return s.metric(t, "bridge_disconnects_total", "too_slow") == 1 })
}

// TestHole: a browser is led past what is missing in what is stored, and a client that resumes by itself is told.
func TestHole(t *testing.T) {
	log := newDeepLog(10, 1000)
	log.hole = [2]uint64{101, 200}
	s := serveSessions(t, wire{}, delivery.Config{Log: log}, journal.MemoryConfig{})
	p := s.page()
	conn, _ := p.connect(t, "")
	reset(conn)
	await(t, "the connection has ended", func() bool { return s.Connections() == 0 })
	for i := range 500 {
		log.publish(t, "legacy", fmt.Sprint(i+1))
	}
	again, _ := p.connect(t, "")
	expect(t, again, 1, 100)
	expect(t, again, 201, 500)
	if n := s.metric(t, "bridge_session_lost_total", ""); n != 100 {
		t.Errorf("%v lost", n)
	}
	since := func(seq uint64) string { return "?since=" + journal.Position{Epoch: log.Epoch(), Seq: seq}.String() }
	_, response, err := s.dialer().DialContext(t.Context(), s.url(since(150)), nil)
	if err == nil || response.StatusCode != http.StatusGone {
		t.Fatalf("in the hole: %v", response)
	}
	resume := response.Header.Get("Bridge-Position")
	if want := since(200); "?since="+resume != want {
		t.Errorf("to be resumed from %s, want %s", resume, want)
	}
	if got, want := receive(t, s.dial(t, "?since="+resume)), identified("legacy", "201", log.Epoch(), 201); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
