package delivery_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
)

// TestNothingIsLeft: however connections stand when the engine stops, its goroutines are gone once Run has returned.
func TestNothingIsLeft(t *testing.T) { onEveryWire(t, testNothingIsLeft) }

func testNothingIsLeft(t *testing.T, w wire) {
	before := goleak.IgnoreCurrent()
	s := serveOn(t, w, delivery.Config{SendBuffer: 1}, journal.MemoryConfig{})
	idle, stalled, half, closing, gone := s.dial(t, ""), s.dialSlow(t, ""), s.dial(t, ""), s.dialSlow(t, ""), s.dial(t, "")
	for range 2 {
		s.publish(t, "legacy", `"`+digits(400_000)+`"`)
	}
	receive(t, idle)
	await(t, "they are blocked", func() bool { return s.metric(t, "bridge_blocked_writes_total", "") > 3 })
	if _, err := half.NetConn().Write(masked(0x81, make([]byte, 100))[:50]); err != nil {
		t.Error(err)
	}
	_ = closing.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience))
	_ = transport(gone.NetConn()).SetLinger(0)
	_ = transport(gone.NetConn()).Close()
	await(t, "one is gone", func() bool { return s.Connections() == 4 })
	s.stop()
	if s.Connections() != 0 {
		t.Errorf("%d connections are counted", s.Connections())
	}
	for name, conn := range map[string]*websocket.Conn{"idle": idle, "stalled": stalled, "half": half, "closing": closing} {
		if code := closeCode(t, conn); code != 0 {
			t.Errorf("%s was told %d", name, code)
		}
	}
	goleak.VerifyNone(t, before)
}

// TestDrainEndsTheStream: after the last whole frame comes the end of TCP, and of TLS in its own words, without a close
// frame: TLS's goodbye tells the client that nobody has cut the connection.
func TestDrainEndsTheStream(t *testing.T) { onEveryWire(t, testDrainEndsTheStream) }

func testDrainEndsTheStream(t *testing.T, w wire) {
	s := serveOn(t, w, delivery.Config{SendBuffer: 1}, journal.MemoryConfig{})
	conn := s.dialSlow(t, "").NetConn()
	const n = 20
	for range n {
		s.publish(t, "legacy", `"`+digits(10_000)+`"`)
	}
	drained := make(chan struct{})
	go func() {
		s.Drain(t.Context(), 0)
		close(drained)
	}()
	opcodes, _ := frames(t, conn) // which fails unless it ends with io.EOF
	if len(opcodes) != n || slices.Contains(opcodes, websocket.CloseMessage) {
		t.Errorf("the frames were %v", opcodes)
	}
	_ = conn.Close()
	<-drained
	if got := s.metric(t, "bridge_disconnects_total", "shutdown"); got != 1 {
		t.Errorf("%v ended by the shutdown", got)
	}
}

// TestBrokenTLS: a client that breaks TLS, or is cut off within a record, is lost, and nobody else notices.
func TestBrokenTLS(t *testing.T) {
	s := serveOn(t, wire{tls: true}, delivery.Config{}, journal.MemoryConfig{})
	bystander := s.dial(t, "")
	record := []byte{23, 3, 3, 0, 40} // the header of one that holds 40 bytes
	for i, tc := range []struct {
		name  string
		bytes []byte
		cut   bool
	}{
		{"within a record's header", record[:3], true},
		{"within a record", append(bytes.Clone(record), 1, 2, 3), true},
		{"between two records", nil, true},
		{"a forged record", append(bytes.Clone(record), make([]byte, 40)...), false},
		{"no record", []byte("GET / HTTP/1.1\r\n\r\n"), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn := s.dial(t, "?close=codes")
			tcp := transport(conn.NetConn())
			if _, err := tcp.Write(tc.bytes); err != nil {
				t.Fatal(err)
			}
			if tc.cut {
				_ = tcp.CloseWrite()
			}
			if code := closeCode(t, conn); code != 0 {
				t.Errorf("it was told %d", code)
			}
			await(t, "it is lost", func() bool {
				return s.metric(t, "bridge_disconnects_total", "connection_lost") == float64(i+1) && s.Connections() == 1
			})
			s.publish(t, "legacy", fmt.Sprint(i))
			if got := receive(t, bystander); got != envelopeOf("legacy", fmt.Sprint(i)) {
				t.Errorf("the bystander got %s", got)
			}
		})
	}
}

// TestFlood: of a client that says much at once every word is heard, and the others are not kept waiting for long.
func TestFlood(t *testing.T) { onEveryWire(t, testFlood) }

func testFlood(t *testing.T, w wire) {
	s := serveOn(t, w, delivery.Config{Shards: 1, ClientRate: -1}, journal.MemoryConfig{})
	bystander, flooding := s.dial(t, ""), s.dial(t, "?types=other")
	heard := make(chan error, 1)
	flooding.SetPongHandler(func(payload string) error {
		if payload == "last" {
			return io.EOF // ends the reader
		}
		return nil
	})
	_ = flooding.NetConn().SetDeadline(time.Now().Add(patience))
	go func() {
		_, _, err := flooding.ReadMessage()
		heard <- err
	}()
	var flood []byte
	for range 400 {
		flood = append(append(flood, masked(0x89, []byte("ping"))...), masked(0x82, make([]byte, 4096))...)
	}
	flood = append(flood, masked(0x89, []byte("last"))...)
	written := make(chan error, 1)
	go func() {
		_, err := flooding.NetConn().Write(flood)
		written <- err
	}()
	for i := range 100 {
		s.publish(t, "legacy", fmt.Sprint(i))
		if got := receive(t, bystander); got != envelopeOf("legacy", fmt.Sprint(i)) {
			t.Fatalf("the bystander got %s", got)
		}
	}
	if err := <-written; err != nil {
		t.Errorf("write: %v", err)
	}
	if err := <-heard; !errors.Is(err, io.EOF) {
		t.Errorf("the last ping was not answered: %v", err)
	}
}

// TestFloodOfMany: more clients that never stop talking than a shard looks at in one go do not keep it from the others.
func TestFloodOfMany(t *testing.T) {
	s := serve(t, delivery.Config{Shards: 1, ClientRate: -1}, journal.MemoryConfig{})
	bystander := s.dial(t, "")
	said := masked(0x82, make([]byte, 1000))
	var flooding sync.WaitGroup
	var conns []net.Conn
	for range 300 {
		conns = append(conns, s.dial(t, "?types=other").NetConn())
	}
	for _, conn := range conns {
		flooding.Go(func() {
			for {
				if _, err := conn.Write(said); err != nil {
					return
				}
			}
		})
	}
	for i := range 20 {
		s.publish(t, "legacy", fmt.Sprint(i))
		if got := receive(t, bystander); got != envelopeOf("legacy", fmt.Sprint(i)) {
			t.Errorf("the bystander got %s", got)
		}
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	flooding.Wait()
}

// TestByteByByte: however a client's words are cut, they are heard.
func TestByteByByte(t *testing.T) { onEveryWire(t, testByteByByte) }

func testByteByByte(t *testing.T, w wire) {
	s := serveOn(t, w, delivery.Config{}, journal.MemoryConfig{})
	conn := s.dial(t, "").NetConn()
	_ = conn.SetDeadline(time.Now().Add(patience))
	for _, word := range []string{"", "ping", string(make([]byte, 125))} {
		said := append(masked(0x01, []byte("a message ")), masked(0x89, []byte(word))...)
		said = append(said, masked(0x80, bytes.Repeat([]byte("x"), 130))...)
		for i := range said {
			if _, err := conn.Write(said[i : i+1]); err != nil {
				t.Fatal(err)
			}
		}
		f, err := readFrame(conn)
		if err != nil || f.opcode != websocket.PongMessage || string(f.payload) != word {
			t.Fatalf("the ping %q was answered with %+v, %v", word, f, err)
		}
	}
}
