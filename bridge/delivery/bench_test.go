package delivery_test

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
)

const benchSubscribers = 500

// counter counts the bytes that arrive at many connections, and lets a benchmark wait for a total.
type counter struct {
	got  atomic.Int64
	want atomic.Int64
	full chan struct{}
	done sync.WaitGroup
}

func newCounter() *counter { return &counter{full: make(chan struct{}, 1)} }

func (c *counter) read(conn net.Conn) {
	c.done.Go(func() {
		var buffer [4096]byte
		for {
			n, err := conn.Read(buffer[:])
			if c.got.Add(int64(n)) == c.want.Load() && n > 0 {
				c.full <- struct{}{}
			}
			if err != nil {
				return
			}
		}
	})
}

// BenchmarkFanOut delivers one message to many subscribers: the bare write system call against the bridge. Compare
// the two's ns/delivery.
func BenchmarkFanOut(b *testing.B) {
	data := []byte(`{"verbosity":"warning","value":"Could not query the price of ETH at 1674640800. Check the logs for details."}`)
	frame := int64(len(`{"type":"legacy","data":}`) + len(data) + 4)

	b.Run("bare", func(b *testing.B) {
		c := newCounter()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		var servers []net.Conn
		for range benchSubscribers {
			conn, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			server, err := listener.Accept()
			if err != nil {
				b.Fatal(err)
			}
			servers = append(servers, server)
			c.read(conn)
			defer conn.Close()
		}
		message := make([]byte, frame)
		for b.Loop() {
			c.want.Store(c.got.Load() + frame*benchSubscribers)
			for _, server := range servers {
				if _, err := server.Write(message); err != nil {
					b.Fatal(err)
				}
			}
			<-c.full
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchSubscribers, "ns/delivery")
		for _, server := range servers {
			_ = server.Close()
		}
		_ = listener.Close()
		c.done.Wait()
	})

	b.Run("bridge", func(b *testing.B) {
		c := newCounter()
		s := serve(b, delivery.Config{}, journal.MemoryConfig{})
		for range benchSubscribers {
			conn := s.dial(b, "").NetConn()
			c.read(conn)
		}
		entry := journal.Entry{Type: "legacy", Data: data}
		for b.Loop() {
			c.want.Store(c.got.Load() + frame*benchSubscribers)
			if _, err := s.journal.Append(context.Background(), entry); err != nil {
				b.Fatal(err)
			}
			<-c.full
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchSubscribers, "ns/delivery")
		s.stop()
		c.done.Wait()
	})
}

// BenchmarkHandshake is a whole connection: handshake, and a close by the client.
func BenchmarkHandshake(b *testing.B) {
	s := serve(b, delivery.Config{}, journal.MemoryConfig{})
	request := "GET /ws/ HTTP/1.1\r\nHost: " + s.addr + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	var answer [512]byte
	for b.Loop() {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.WriteString(conn, request); err != nil {
			b.Fatal(err)
		}
		if n, err := conn.Read(answer[:]); err != nil || n < 12 || string(answer[9:12]) != "101" {
			b.Fatalf("answered %q, %v", answer[:n], err)
		}
		_ = conn.Close()
	}
}
