package delivery_test

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
)

const extensionsHeader = "Sec-WebSocket-Extensions"

// offer connects with an offer of extensions and returns the connection and the answer to the offer.
func (s *served) offer(t testing.TB, offers ...string) (*websocket.Conn, string) {
	t.Helper()
	dialer := s.dialer()
	dialer.EnableCompression = false
	header := http.Header{"sec-websocket-extensions": offers} // gorilla's client refuses the header as it is usually written
	conn, response, err := dialer.DialContext(t.Context(), s.url(""), header)
	if err != nil {
		t.Fatalf("offer %q: %v", offers, err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, response.Header.Get(extensionsHeader)
}

// TestDeflateNegotiation: permessage-deflate is used exactly when it was agreed on, and agreed on exactly when the
// bridge can do what the client asks for.
func TestDeflateNegotiation(t *testing.T) {
	const answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	s := serve(t, delivery.Config{}, journal.MemoryConfig{})
	never := serve(t, delivery.Config{CompressFrom: -1}, journal.MemoryConfig{})
	data := `"` + digits(5000) + `"`
	for _, tc := range []struct {
		name   string
		s      *served
		offers []string
		want   string
	}{
		{"no offer", s, nil, ""},
		{"an empty offer", s, []string{""}, ""},
		{"anything", s, []string{"permessage-deflate"}, answer},
		{"as browsers do", s, []string{"permessage-deflate; client_max_window_bits"}, answer},
		{"as gorilla/websocket does", s, []string{answer}, answer},
		{"a small window of the client", s, []string{"permessage-deflate; client_max_window_bits=8"}, answer},
		{"a quoted value", s, []string{`permessage-deflate; client_max_window_bits="10"`}, answer},
		{"a small window of the server", s, []string{"permessage-deflate; server_max_window_bits=10"}, ""},
		{"a small window of the server, or not", s, []string{"permessage-deflate; server_max_window_bits=10, permessage-deflate"}, answer},
		{"the same in two headers", s, []string{"permessage-deflate; server_max_window_bits=10", "permessage-deflate"}, answer},
		{"a window that there is not", s, []string{"permessage-deflate; client_max_window_bits=16"}, ""},
		{"a flag with a value", s, []string{"permessage-deflate; server_no_context_takeover=1"}, ""},
		{"a parameter twice", s, []string{"permessage-deflate; client_max_window_bits; client_max_window_bits"}, ""},
		{"an unknown parameter", s, []string{"permessage-deflate; speed=9"}, ""},
		{"another extension", s, []string{"x-webkit-deflate-frame"}, ""},
		{"another extension too", s, []string{"permessage-bzip2, permessage-deflate"}, answer},
		{"turned off", never, []string{"permessage-deflate"}, ""},
		{"turned off, as browsers do", never, []string{"permessage-deflate; client_max_window_bits"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn, got := tc.s.offer(t, tc.offers...)
			if got != tc.want {
				t.Errorf("%q was answered with %q, want %q", tc.offers, got, tc.want)
			}
			tc.s.publish(t, "legacy", data)
			f, text := mustReadFrame(t, conn.NetConn())
			if f.packed != (got != "") || text != envelopeOf("legacy", data) {
				t.Errorf("compressed: %v; %d bytes came", f.packed, len(text))
			}
		})
	}
}

// TestDeflateOnTheWire: what is large is compressed, where that makes it shorter.
func TestDeflateOnTheWire(t *testing.T) {
	const from = 1000
	s := serveOn(t, wire{deflate: true}, delivery.Config{CompressFrom: from}, journal.MemoryConfig{})
	conn, plain := s.dial(t, ""), s.dialWith(t, &websocket.Dialer{}, "")
	random := make([]byte, 5000)
	_, _ = rand.Read(random)
	least := from - len(envelopeOf("legacy", `""`)) // with so many more, the message is as large as it must be
	for _, tc := range []struct {
		name, data string
		packed     bool
	}{
		{"small", `1`, false},
		{"a byte too small", `"` + strings.Repeat("x", least-1) + `"`, false},
		{"large enough", `"` + strings.Repeat("x", least) + `"`, true},
		{"large", `"` + digits(100_000) + `"`, true},
		{"incompressible", string(random), false}, // no JSON, of which the engine knows nothing
	} {
		s.publish(t, "legacy", tc.data)
		f, text := mustReadFrame(t, conn.NetConn())
		if f.packed != tc.packed || text != envelopeOf("legacy", tc.data) {
			t.Errorf("%s: compressed: %v; %d bytes came", tc.name, f.packed, len(text))
		}
		if f.packed && len(f.payload) >= len(text) {
			t.Errorf("%s: %d bytes are compressed to %d", tc.name, len(text), len(f.payload))
		}
		if f, text := mustReadFrame(t, plain.NetConn()); f.packed || text != envelopeOf("legacy", tc.data) {
			t.Errorf("%s: without an offer: compressed: %v; %d bytes came", tc.name, f.packed, len(text))
		}
	}
}

// TestDeflateForSome: with compression and without, in both forms, everyone gets the same.
func TestDeflateForSome(t *testing.T) {
	for _, w := range []wire{{deflate: true}, {deflate: true, tls: true}} {
		t.Run(w.String(), func(t *testing.T) {
			s := serveOn(t, w, delivery.Config{Shards: 2, SendBuffer: 1}, journal.MemoryConfig{})
			dialers := []*websocket.Dialer{s.dialer(), s.dialer()}
			dialers[1].EnableCompression = false
			var conns []*websocket.Conn
			for i := range 8 { // both shards have all four forms
				conns = append(conns, s.dialWith(t, dialers[i/2%2], []string{"", "?data=string"}[i/4]))
			}
			var want []string
			for _, size := range []int{0, 900, 1100, 70_000, 1, 5000} {
				want = append(want, `"`+digits(size)+`"`)
				s.publish(t, "legacy", want[len(want)-1])
			}
			for i, conn := range conns {
				for _, data := range want {
					if i/4 == 1 {
						data = strconv.Quote(data)
					}
					if got := receive(t, conn); got != envelopeOf("legacy", data) {
						t.Fatalf("subscriber %d got %d bytes for %d", i, len(got), len(data))
					}
				}
			}
		})
	}
}

// TestCompressedOnce: a message is compressed once, however many get it, and whenever.
func TestCompressedOnce(t *testing.T) {
	const shards = 3
	s := serveOn(t, wire{deflate: true}, delivery.Config{Shards: shards, SendBuffer: 1}, journal.MemoryConfig{})
	var late []*websocket.Conn
	for i := range 2 * shards {
		late = append(late, s.dialSlow(t, []string{"", "?types=legacy"}[i/shards]))
	}
	// The late ones stand still at a message that is too large for their sockets, in front of those that count.
	first := `"` + digits(1<<20) + `"`
	s.publish(t, "legacy", first)
	await(t, "all are blocked", func() bool { return s.metric(t, "bridge_blocked_writes_total", "") >= 2*shards })
	early := s.dial(t, "")
	want := []string{first}
	for i := range 20 {
		want = append(want, `"`+digits(2000+i)+`"`)
		s.publish(t, "legacy", want[len(want)-1])
	}
	for _, data := range want[1:] {
		if got := receive(t, early); got != envelopeOf("legacy", data) {
			t.Fatalf("the early one got %d bytes for %d", len(got), len(data))
		}
	}
	// From here on nothing can be compressed: what the others get is what was made for the first.
	defer s.HoldCompressor()()
	var done sync.WaitGroup
	for i, conn := range late {
		done.Go(func() {
			for _, data := range want {
				_ = conn.SetReadDeadline(time.Now().Add(patience))
				if _, got, err := conn.ReadMessage(); err != nil || string(got) != envelopeOf("legacy", data) {
					t.Errorf("late subscriber %d got %d bytes for %d: %v", i, len(got), len(data), err)
					return
				}
			}
		})
	}
	done.Wait()
}

// TestVariantOnce: shards that need a form of a record at the same time wait for the one that makes it.
func TestVariantOnce(t *testing.T) {
	var record journal.Record
	var built atomic.Int32
	var frames [8]*byte
	var asked, done sync.WaitGroup
	asked.Add(len(frames))
	for i := range frames {
		done.Go(func() {
			asked.Done()
			asked.Wait()
			form := record.Variant(3, func(*journal.Record) []byte {
				built.Add(1)
				return []byte("form")
			})
			frames[i] = &form[0]
		})
	}
	done.Wait()
	if built.Load() != 1 {
		t.Errorf("it was built %d times", built.Load())
	}
	for i, frame := range frames {
		if frame != frames[0] {
			t.Errorf("%d got another copy", i)
		}
	}
}
