package ingest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/rotki/notification-bridge/bridge/ingest"
)

// garbage returns the kinds of what no gRPC client sends.
func garbage(t *testing.T, random *rand.Rand) map[string][]byte {
	t.Helper()
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	frames := func(write func(f *http2.Framer) error) []byte {
		var b bytes.Buffer
		b.WriteString(http2.ClientPreface)
		f := http2.NewFramer(&b, nil)
		f.AllowIllegalWrites = true
		if err := errors.Join(f.WriteSettings(), write(f)); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	var huge bytes.Buffer
	encoder := hpack.NewEncoder(&huge)
	for _, field := range [][2]string{
		{":method", "POST"},
		{":scheme", "http"},
		{":path", "/rotki.notifications.v1.NotificationService/Publish"},
		{":authority", "localhost"},
		{"content-type", "application/grpc"},
		{"authorization", "Bearer " + strings.Repeat("x", 1<<20)},
	} {
		if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			t.Fatal(err)
		}
	}
	return map[string][]byte{
		"noise":             noise(1 + random.IntN(4096)),
		"HTTP/1":            []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"TLS":               append([]byte{22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3}, noise(512)...),
		"preface and noise": append([]byte(http2.ClientPreface), noise(256)...),
		"broken HPACK": frames(func(f *http2.Framer) error {
			return f.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, noise(64))
		}),
		"even stream":    frames(func(f *http2.Framer) error { return f.WriteData(2, true, noise(64)) }),
		"huge frame":     frames(func(f *http2.Framer) error { return f.WriteRawFrame(http2.FrameData, 0, 1, noise(1<<20)) }),
		"no window":      frames(func(f *http2.Framer) error { return f.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, []byte{0, 0, 0, 0}) }),
		"unknown frames": frames(func(f *http2.Framer) error { return f.WriteRawFrame(http2.FrameType(200), 0xff, 7, noise(128)) }),
		"huge headers": frames(func(f *http2.Framer) error {
			rest := huge.Bytes()
			err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: rest[:1<<14]})
			for rest = rest[1<<14:]; err == nil && len(rest) > 0; {
				n := min(len(rest), 1<<14)
				err = f.WriteContinuation(1, n == len(rest), rest[:n])
				rest = rest[n:]
			}
			return err
		}),
	}
}

// TestGarbage: what is no gRPC costs the connection that it came on, and no other.
func TestGarbage(t *testing.T) {
	_, addr := listen(t, ingest.Config{Sink: new(quickSink), MaxConnections: 20})
	s := open(t, dial(t, addr), "")
	published := 0
	publish := func() {
		t.Helper()
		published++
		send(t, s, "a")
		expect(t, s, "a", fmt.Sprint(published))
	}
	publish()
	random := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		for kind, bytes := range garbage(t, random) {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			_, _ = conn.Write(bytes) // the other side may close in the middle of it
			_ = conn.(*net.TCPConn).CloseWrite()
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: the connection was left open", kind)
			}
			_ = conn.Close()
		}
		publish()
	}
}
