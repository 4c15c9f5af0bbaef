package delivery_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
)

// TestStalledSubscribersHarmNobody: some never read and fall off the journal's tail; the others get everything.
func TestStalledSubscribersHarmNobody(t *testing.T) { onEveryWire(t, testStalledSubscribersHarmNobody) }

func testStalledSubscribersHarmNobody(t *testing.T, w wire) {
	s := serveOn(t, w, delivery.Config{SendBuffer: 1}, journal.MemoryConfig{Messages: 100})
	var stalled []*websocket.Conn
	for i := range 6 {
		stalled = append(stalled, s.dialSlow(t, []string{"", "?close=codes"}[i%2]))
	}
	healthy := s.dial(t, "")
	data := `"` + digits(1000) + `"`
	const n = 2000
	for range n {
		s.publish(t, "legacy", data)
		if got := receive(t, healthy); got != envelopeOf("legacy", data) {
			t.Fatalf("the healthy one got %s", got)
		}
	}
	await(t, "the stalled are dropped", func() bool { return s.metric(t, "bridge_disconnects_total", "too_slow") == 6 })
	if got := s.metric(t, "bridge_connections", ""); got != 1 {
		t.Errorf("%v connections are left", got)
	}
	for i, conn := range stalled {
		// Whoever asked for codes gets one unless its last frame is torn.
		if code := closeCode(t, conn); code != 0 && (i%2 == 0 || code != websocket.CloseTryAgainLater) {
			t.Errorf("stalled subscriber %d was told %d", i, code)
		}
	}
}

func TestWriteTimeout(t *testing.T) { onEveryWire(t, testWriteTimeout) }

func testWriteTimeout(t *testing.T, w wire) {
	t.Parallel() // it mostly waits
	s := serveOn(t, w, delivery.Config{SendBuffer: 1, WriteTimeout: time.Second}, journal.MemoryConfig{})
	stalled, healthy := s.dialSlow(t, ""), s.dial(t, "")
	data := `"` + digits(1<<20) + `"`
	s.publish(t, "legacy", data)
	s.publish(t, "legacy", data)
	for range 2 {
		if got := receive(t, healthy); len(got) < 1<<20 {
			t.Errorf("the healthy one got %d bytes", len(got))
		}
	}
	await(t, "the stalled one is dropped", func() bool { return s.metric(t, "bridge_disconnects_total", "write_timeout") == 1 })
	if code := closeCode(t, stalled); code != 0 {
		t.Errorf("it was told %d", code)
	}
}

// TestSlowIsTold: one that is dropped for not reading, and then does, gets the code that it asked for, behind the frame
// of which it had a part.
func TestSlowIsTold(t *testing.T) { onEveryWire(t, testSlowIsTold) }

func testSlowIsTold(t *testing.T, w wire) {
	t.Parallel() // it mostly waits
	s := serveOn(t, w, delivery.Config{SendBuffer: 1, WriteTimeout: 300 * time.Millisecond, CloseTimeout: patience}, journal.MemoryConfig{})
	slow := s.dialSlow(t, "?close=codes")
	for range 2 {
		s.publish(t, "legacy", `"`+digits(1<<20)+`"`)
	}
	await(t, "it is to be dropped", func() bool { return s.Ending() == 1 })
	slow.SetCloseHandler(func(int, string) error { return nil }) // to answer would hide that the connection was reset
	if code := closeCode(t, slow); code != websocket.CloseTryAgainLater {
		t.Errorf("it was told %d", code)
	}
	if _, err := slow.NetConn().Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the connection ended with %v", err)
	}
	await(t, "it is counted", func() bool { return s.metric(t, "bridge_disconnects_total", "write_timeout") == 1 })
}

// frames reads server frames off a raw connection until it ends, and returns their opcodes and lengths. A frame that
// is torn, or a byte that is no frame, fails the test.
func frames(t *testing.T, conn net.Conn) (opcodes []int, lengths []int) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	r := bufio.NewReader(conn)
	for {
		f, err := readFrame(r)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("it ended with %v", err)
			}
			return opcodes, lengths
		}
		text, err := f.message()
		if err != nil || f.opcode == websocket.TextMessage && !json.Valid([]byte(text)) {
			t.Fatalf("something stands inside a frame of %d bytes: %v", len(f.payload), err)
		}
		opcodes, lengths = append(opcodes, f.opcode), append(lengths, len(f.payload))
	}
}

// TestCloseWaitsForTheFrame: a close frame never stands inside another, whoever closes.
func TestCloseWaitsForTheFrame(t *testing.T) { onEveryWire(t, testCloseWaitsForTheFrame) }

func testCloseWaitsForTheFrame(t *testing.T, w wire) {
	for _, tc := range []struct {
		name string
		end  func(*served, *websocket.Conn)
	}{
		{"the client closes", func(_ *served, conn *websocket.Conn) {
			_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience))
		}},
		{"the client breaks the protocol", func(_ *served, conn *websocket.Conn) {
			_, _ = conn.NetConn().Write([]byte{0xa1, 0x80, 0, 0, 0, 0})
		}},
		{"the bridge closes", func(s *served, _ *websocket.Conn) { s.Disconnect(delivery.Selector{}, delivery.Dismissed) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serveOn(t, w, delivery.Config{SendBuffer: 1}, journal.MemoryConfig{})
			conn := s.dialSlow(t, "")
			_ = conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(patience))
			for range 3 {
				s.publish(t, "legacy", `"`+digits(400_000)+`"`)
			}
			await(t, "it is blocked", func() bool { return s.metric(t, "bridge_blocked_writes_total", "") > 0 })
			tc.end(s, conn)
			_ = conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(patience))
			opcodes, lengths := frames(t, conn.NetConn())
			if n := len(opcodes); n == 0 || opcodes[n-1] != websocket.CloseMessage {
				t.Errorf("the frames %v of %v bytes do not end in a close frame", opcodes, lengths)
			}
		})
	}
}

// TestRevokedAmidAFrame: when a revocation's call has returned, not even the rest of a notification comes, also to a client
// that was about to be ended otherwise.
func TestRevokedAmidAFrame(t *testing.T) { onEveryWire(t, testRevokedAmidAFrame) }

func testRevokedAmidAFrame(t *testing.T, w wire) {
	const size = 1 << 20 // more than the buffers on the way take
	for _, tc := range []struct {
		name   string
		ending bool
	}{{"it stands", false}, {"it has said goodbye", true}} {
		t.Run(tc.name, func(t *testing.T) {
			s := serveOn(t, w, delivery.Config{SendBuffer: 1, CloseTimeout: patience}, journal.MemoryConfig{})
			conn := s.dialSlow(t, "")
			s.publish(t, "legacy", `"`+digits(size)+`"`)
			await(t, "it is blocked", func() bool { return s.metric(t, "bridge_blocked_writes_total", "") > 0 })
			if tc.ending {
				_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience))
				await(t, "it is ending", func() bool { return s.Ending() == 1 })
			}
			s.Disconnect(delivery.Selector{}, delivery.Revoked)
			_ = conn.NetConn().SetReadDeadline(time.Now().Add(patience))
			if n, err := io.Copy(io.Discard, conn.NetConn()); err == nil || n >= size {
				t.Errorf("%d bytes came, and then %v", n, err)
			}
		})
	}
}

// TestSlowReaderIsAlive: as long as a full socket takes bytes, its peer is alive, though a pong is far away.
func TestSlowReaderIsAlive(t *testing.T) {
	for _, w := range []wire{{}, {tls: true}} {
		t.Run(w.String(), func(t *testing.T) {
			t.Parallel()
			testSlowReaderIsAlive(t, w)
		})
	}
}

func testSlowReaderIsAlive(t *testing.T, w wire) {
	s := serveOn(t, w, delivery.Config{SendBuffer: 1, PingInterval: time.Second, WriteTimeout: patience}, journal.MemoryConfig{})
	conn := s.dialSlow(t, "").NetConn()
	s.publish(t, "legacy", `"`+digits(1<<20)+`"`)
	slowly := time.NewTicker(300 * time.Millisecond)
	defer slowly.Stop()
	for range 16 { // well beyond the two pings that a silent peer is given
		<-slowly.C
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(conn, make([]byte, 64<<10)); err != nil {
			t.Fatalf("dropped: %v", err)
		}
	}
	if s.metric(t, "bridge_disconnects_total", "ping_timeout") != 0 {
		t.Error("dropped as silent")
	}
}

// TestDrainedMayTalk: what a client says while the last frames are on their way to it costs it none of them.
func TestDrainedMayTalk(t *testing.T) { onEveryWire(t, testDrainedMayTalk) }

func testDrainedMayTalk(t *testing.T, w wire) {
	s := serveOn(t, w, delivery.Config{SendBuffer: 64 << 10}, journal.MemoryConfig{})
	conn := s.dialSlow(t, "")
	const n = 12
	data := `"` + digits(2_000) + `"`
	for range n {
		s.publish(t, "legacy", data)
	}
	await(t, "all is with the kernel", func() bool { return s.metric(t, "bridge_delivered_frames_total", "") == n })
	drained := make(chan struct{})
	go func() {
		s.Drain(t.Context(), 0)
		s.stop()
		close(drained)
	}()
	await(t, "it is let go", func() bool { return s.metric(t, "bridge_disconnects_total", "shutdown") == 1 })
	if err := conn.WriteMessage(websocket.TextMessage, nil); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if got := receive(t, conn); got != envelopeOf("legacy", data) {
			t.Fatalf("message %d: %d bytes", i, len(got))
		}
	}
	_ = conn.Close()
	<-drained
}
