//go:build linux

package load

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const accepted = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + handshakeAccept + "\r\n\r\n"

// message returns the frame of a message.
func message(number, size int) string {
	payload := Prefix + string(AppendValue(nil, time.Now(), number, size)) + Suffix
	header := []byte{0x81, byte(len(payload))}
	if len(payload) > 125 {
		header = binary.BigEndian.AppendUint16([]byte{0x81, 126}, uint16(len(payload)))
	}
	return string(header) + payload
}

// outcome is what a subscriber has made of what came.
type outcome struct {
	got  int
	held string
	err  string
}

// receiveParts lets a subscriber read what comes in these parts.
func receiveParts(t *testing.T, parts ...string) outcome {
	t.Helper()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(pair[1])
	r, err := newReceiver(Config{Count: 1}, new(atomic.Bool), new(atomic.Int64))
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	r.subscribers = []subscriber{{fd: pair[0]}}
	s := &r.subscribers[0]
	for _, part := range parts {
		if part == "" {
			continue
		}
		if _, err := syscall.Write(pair[1], []byte(part)); err != nil {
			t.Fatal(err)
		}
		if err := r.read(s); err != nil {
			return outcome{got: s.got, err: err.Error()}
		}
	}
	return outcome{got: s.got, held: string(s.held)}
}

func TestReceiver(t *testing.T) {
	ping := "\x89\x02hi"
	for name, test := range map[string]struct {
		stream string
		got    int
		held   string
		err    string // a part of it
	}{
		"nothing yet":       {accepted, 0, "", ""},
		"messages":          {accepted + message(0, 150) + message(1, 100) + message(2, 5000), 3, "", ""},
		"half a message":    {accepted + message(0, 150) + message(1, 150)[:40], 1, message(1, 150)[:40], ""},
		"a ping between":    {accepted + message(0, 150) + ping + message(1, 150), 2, "", ""},
		"half an answer":    {accepted[:20], 0, accepted[:20], ""},
		"one twice":         {accepted + message(0, 150) + message(0, 150), 1, "", "message 0 came, want 1"},
		"one missing":       {accepted + message(0, 150) + message(2, 150), 1, "", "message 2 came, want 1"},
		"another text":      {accepted + "\x81\x02hi", 0, "", `"hi" is no message`},
		"digits missing":    {accepted + strings.Replace(message(0, 150), "value\":\"1", "value\":\"x", 1), 0, "", "is no message"},
		"a closing frame":   {accepted + message(0, 150) + "\x88\x02\x03\xe9", 1, "", "opcode 8"},
		"a fragment":        {accepted + "\x01\x02hi", 0, "", "whole and unmasked"},
		"a masked frame":    {accepted + "\x81\x82....hi", 0, "", "whole and unmasked"},
		"an enormous frame": {accepted + "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 0, "", "none larger"},
		"refused":           {"HTTP/1.1 503 Service Unavailable\r\n\r\n", 0, "", "refused"},
		"another accept":    {"HTTP/1.1 101 Switching Protocols\r\n\r\n", 0, "", "Sec-WebSocket-Accept"},
	} {
		t.Run(name, func(t *testing.T) {
			whole := receiveParts(t, test.stream)
			if whole.got != test.got || len(whole.held) != len(test.held) || !strings.Contains(whole.err, test.err) || (whole.err == "") != (test.err == "") {
				t.Errorf("got %+v, want %+v", whole, test)
			}
			if bytewise := receiveParts(t, strings.Split(test.stream, "")...); bytewise != whole {
				t.Errorf("byte by byte it is %+v, else %+v", bytewise, whole)
			}
		})
	}
}

// FuzzReceiver checks that it makes no difference how what comes is split.
func FuzzReceiver(f *testing.F) {
	f.Add([]byte(accepted+message(0, 150)+message(1, 200)), uint16(3), uint16(200))
	f.Add([]byte(accepted+"\x89\x00"+message(0, 60)+"\x88\x00"), uint16(130), uint16(1))
	f.Fuzz(func(t *testing.T, stream []byte, first, second uint16) {
		if len(stream) > 16<<10 {
			t.Skip("more than a socket may take at once")
		}
		a := min(int(first), len(stream))
		b := min(a+int(second), len(stream))
		whole := receiveParts(t, string(stream))
		parts := receiveParts(t, string(stream[:a]), string(stream[a:b]), string(stream[b:]))
		if whole != parts {
			t.Errorf("split it is %+v, else %+v", parts, whole)
		}
	})
}

func TestPong(t *testing.T) {
	if got, want := pong([]byte("hi")), []byte("\x8a\x82\x00\x00\x00\x00hi"); !bytes.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMessage(t *testing.T) {
	at := time.Unix(1_700_000_000, 123_456_789)
	for _, size := range []int{0, 86, 87, 150, 151, 2048} {
		envelope := fmt.Appendf(nil, "%s%s%s", Prefix, AppendValue(nil, at, 42, size), Suffix)
		stamp, number, ok := parseEnvelope(envelope)
		if !ok || stamp != at.UnixNano() || number != 42 {
			t.Errorf("size %d: %q is %d, %d, %v", size, envelope, stamp, number, ok)
		}
		if size > 87 && len(envelope) != size {
			t.Errorf("the envelope has %d bytes, want %d", len(envelope), size)
		}
	}
}
