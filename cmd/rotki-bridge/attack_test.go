//go:build linux

package main_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// attackers runs do for each of n, many at the same time, and returns how often each answer came.
func attackers(n int, do func(i int) string) map[string]int {
	answers := make(map[string]int)
	var mu sync.Mutex
	var attacking sync.WaitGroup
	var next atomic.Int64
	for range dialers {
		attacking.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				answer := do(i)
				mu.Lock()
				answers[answer]++
				mu.Unlock()
			}
		})
	}
	attacking.Wait()
	return answers
}

// from dials from one of several addresses of this machine, and leaves nothing behind when it is closed.
func from(i int, addr string) (*net.TCPConn, error) {
	dialer := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+i%sources))}}
	conn, err := dialer.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	tcp := conn.(*net.TCPConn)
	_ = tcp.SetLinger(0)
	_ = tcp.SetDeadline(time.Now().Add(patience))
	return tcp, nil
}

// slowLoris begins handshakes and never ends them, until the bridge has given up on all.
func (f *flooded) slowLoris(t *testing.T, n int) string {
	halves := make([]*net.TCPConn, n)
	for i := range halves {
		conn, err := from(i, f.websocket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET /ws/ HTTP/1.1\r\nHost: localhost\r\nX-Slow: "); err != nil {
			t.Fatal(err)
		}
		halves[i] = conn
	}
	_ = f.subscribe(t, websocket.DefaultDialer, "?types=no_available_indexers").Close() // others still get in
	ended := attackers(n, func(i int) string {
		for {
			if _, err := halves[i].Write([]byte("x")); err != nil {
				return "ended"
			}
			_ = halves[i].SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			if _, err := io.Copy(io.Discard, halves[i]); err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
				return "ended"
			}
		}
	})
	return fmt.Sprintf("%d half-open handshakes: %v", n, ended)
}

// crowdIn connects more subscribers than there may be.
func (f *flooded) crowdIn(t *testing.T, n int) string {
	var mu sync.Mutex
	var inside []net.Conn
	answers := attackers(n, func(i int) string {
		conn, err := from(i, f.websocket)
		if err != nil {
			return "not connected"
		}
		_, _ = io.WriteString(conn, strings.Replace(handshake, "/ws/", "/ws/?types=no_available_indexers", 1))
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			_ = conn.Close()
			return "no answer"
		}
		if response.StatusCode != http.StatusSwitchingProtocols {
			_ = conn.Close()
			return response.Status + ", Retry-After: " + response.Header.Get("Retry-After")
		}
		mu.Lock()
		inside = append(inside, conn)
		mu.Unlock()
		return response.Status
	})
	if len(inside) != floodLimit-witnesses {
		t.Errorf("%d were let in beside the %d that there were, of %d at the most", len(inside), witnesses, floodLimit)
	}
	for _, conn := range inside {
		_ = conn.Close()
	}
	await(t, "the crowd has gone", func() bool { return f.metric(t, "bridge_connections") == witnesses })
	return fmt.Sprintf("%d handshakes: %v", n, answers)
}

// hugeHeaders sends heads of a megabyte.
func (f *flooded) hugeHeaders(t *testing.T, n int) string {
	head := strings.TrimSuffix(handshake, "\r\n") + "X-Huge: " + strings.Repeat("x", 1<<20) + "\r\n\r\n"
	answers := attackers(n, func(i int) string {
		conn, err := from(i, f.websocket)
		if err != nil {
			return "not connected"
		}
		defer conn.Close()
		_, writeErr := io.WriteString(conn, head)
		if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			return response.Status
		}
		if writeErr != nil {
			return "reset"
		}
		return "no answer"
	})
	for answer := range answers {
		if strings.HasPrefix(answer, "101") {
			t.Error("one was let in")
		}
	}
	return fmt.Sprintf("%d heads: %v", n, answers)
}

// garbageHandshakes sends what is no handshake, or one that cannot be accepted.
func (f *flooded) garbageHandshakes(t *testing.T, n int) string {
	kinds := []func(*rand.Rand) string{
		func(r *rand.Rand) string { return randomText(r, 1+r.IntN(200)) + "\r\n\r\n" },
		func(r *rand.Rand) string { return "GET /ws/?" + randomText(r, 20) + " HTTP/1.1\r\n\r\n" },
		func(r *rand.Rand) string {
			return strings.Replace(handshake, "Version: 13", "Version: "+randomText(r, 3), 1)
		},
		func(r *rand.Rand) string {
			return strings.Replace(handshake, "dGhlIHNhbXBsZSBub25jZQ==", randomText(r, 8), 1)
		},
		func(r *rand.Rand) string {
			return strings.Replace(handshake, "\r\n", "\r\nOrigin: https://"+randomText(r, 9)+".example.org\r\n", 1)
		},
		func(r *rand.Rand) string {
			return strings.Replace(handshake, "/ws/", "/ws/?types="+randomText(r, 9), 1)
		},
		func(r *rand.Rand) string {
			return strings.Replace(handshake, "/ws/", "/ws/?since=!"+randomText(r, 9), 1)
		},
		func(*rand.Rand) string { return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" },
	}
	answers := attackers(n, func(i int) string {
		conn, err := from(i, f.websocket)
		if err != nil {
			return "not connected"
		}
		defer conn.Close()
		garbage := kinds[i%len(kinds)](rand.New(rand.NewPCG(uint64(i), 6)))
		_, _ = io.WriteString(conn, garbage)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return "no answer"
		}
		if response.StatusCode == http.StatusSwitchingProtocols {
			t.Errorf("let in with %q", garbage)
		}
		return response.Status
	})
	for answer := range answers {
		if strings.HasPrefix(answer, "5") && !strings.HasPrefix(answer, "505") {
			t.Errorf("%s to garbage", answer)
		}
	}
	return fmt.Sprintf("%d: %v", n, answers)
}

// randomText returns printable text that means nothing.
func randomText(r *rand.Rand, n int) string {
	text := make([]byte, n)
	for i := range text {
		text[i] = byte('!' + r.IntN('~'-'!'))
	}
	return string(text)
}

// garbageFrames sends HTTP/2 frames that mean nothing, and messages that are no requests.
func (f *flooded) garbageFrames(t *testing.T, n int) string {
	const perConnection = 100
	frames := attackers(n/2/perConnection, func(i int) string {
		conn, err := from(i, f.grpc)
		if err != nil {
			return "not connected"
		}
		defer conn.Close()
		r := rand.New(rand.NewPCG(uint64(i), 7))
		all := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
		for range perConnection - 1 {
			all = appendFrame(all, byte(0x10+r.IntN(0xe0)), r.Uint32()>>1, r.IntN(64))
		}
		all = appendFrame(all, byte(r.IntN(10)), r.Uint32()>>1, r.IntN(64)) // of a known kind
		_, _ = conn.Write(all)
		_ = conn.CloseWrite()
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			return "still open"
		}
		return "ended"
	})
	if frames["still open"] > 0 {
		t.Errorf("%d connections are still open", frames["still open"])
	}
	rejected := f.garbageMessages(t, n/2)
	return fmt.Sprintf("%d frames on connections: %v; %d messages, %d rejected", n/2, frames, n/2, rejected)
}

// appendFrame appends an HTTP/2 frame (RFC 9113 §4.1) of so many bytes that mean nothing.
func appendFrame(dst []byte, kind byte, stream uint32, size int) []byte {
	dst = append(dst, byte(size>>16), byte(size>>8), byte(size), kind, byte(size))
	dst = binary.BigEndian.AppendUint32(dst, stream)
	return append(dst, make([]byte, size)...)
}

// garbageMessages publishes bytes that are no request, and returns how many were rejected as such.
func (f *flooded) garbageMessages(t *testing.T, n int) int {
	ctx, conn := f.dial(t)
	description := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	stream, err := conn.NewStream(ctx, description, notificationsv1.NotificationService_Publish_FullMethodName,
		grpc.ForceCodecV2(bytesOut{}))
	if err != nil {
		t.Fatal(err)
	}
	var sending sync.WaitGroup
	sending.Go(func() {
		r := rand.New(rand.NewPCG(6, 8))
		for range n {
			if stream.SendMsg([]byte("\xff"+randomText(r, r.IntN(100)))) != nil {
				break
			}
		}
		_ = stream.CloseSend()
	})
	defer sending.Wait()
	rejected := 0
	for {
		response := new(notificationsv1.PublishResponse)
		if err := stream.RecvMsg(response); err != nil {
			if !errors.Is(err, io.EOF) || rejected != n {
				t.Errorf("of %d messages %d were rejected, and then: %v", n, rejected, err)
			}
			return rejected
		}
		if response.GetRejected().GetReason() != notificationsv1.Reason_REASON_MALFORMED {
			t.Errorf("answered with %v", response)
		}
		rejected++
	}
}

// bytesOut is gRPC's codec, but that what is sent is bytes as they are.
type bytesOut struct{}

// Marshal implements encoding.CodecV2.
func (bytesOut) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

// Unmarshal implements encoding.CodecV2.
func (bytesOut) Unmarshal(data mem.BufferSlice, v any) error {
	return proto.Unmarshal(data.Materialize(), v.(*notificationsv1.PublishResponse))
}

// Name implements encoding.CodecV2.
func (bytesOut) Name() string { return "proto" }
