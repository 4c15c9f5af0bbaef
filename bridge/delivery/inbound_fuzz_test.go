package delivery

import (
	"bufio"
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// FuzzInbound: a client's bytes say the same to gorilla/websocket, and however they are cut.
func FuzzInbound(f *testing.F) {
	for _, tc := range inboundCases() {
		f.Add([]byte(tc.stream), tc.deflate, uint64(len(tc.name)))
	}
	f.Fuzz(func(t *testing.T, stream []byte, deflate bool, seed uint64) {
		got := readPieces([][]byte{stream}, deflate, new(inflater).inflate)
		for how, pieces := range map[string][][]byte{"byte by byte": bytewise(string(stream)), "at random": cutAtRandom(stream, seed)} {
			if cut := readPieces(pieces, deflate, new(inflater).inflate); !slices.Equal(cut.said, got.said) || cut.code != got.code {
				t.Fatalf("cut %s: said %v, code %d; whole: %v, %d", how, cut.said, cut.code, got.said, got.code)
			}
		}
		var odd oddity
		got = readPieces([][]byte{stream}, deflate, odd.inflate)
		want := readGorilla(stream, deflate)
		// Of a compressed message of which only a part came, gorilla has inflated that.
		if odd.found || got.in.packed && isOdd(got.in.message) {
			compareOdd(t, got, want, odd)
		} else {
			compare(t, got, want)
		}
	})
}

// compare holds a reading against gorilla's. The cases are all in which they may differ.
func compare(t *testing.T, got, want reading) {
	t.Helper()
	n := len(got.said)
	if got.code == 0 && want.code != 0 && !got.in.idle() && !got.in.whole && !got.closed() {
		// gorilla judges a header before all of it has come.
		if _, _, err := got.in.take(make([]byte, len(got.in.header)-got.in.have), new(inflater).inflate); err != nil {
			got.code = err.(violation)
		}
	}
	switch {
	case got.code == invalidPayload && got.in.opcode() == websocket.CloseMessage:
		// A reason that is no UTF-8 is 1002 to gorilla; RFC 6455 §8.1 has 1007 for it.
		got.code = protocolError
	case got.code == invalidPayload && n < len(want.said) && want.said[n].opcode == websocket.TextMessage:
		// gorilla takes any bytes for text (RFC 6455 §8.1: 1007).
		if utf8.ValidString(want.said[n].payload) {
			t.Errorf("code 1007 for the good text %q", want.said[n].payload)
		}
		got.code, want.code, want.said = 0, 0, want.said[:n]
	case got.code == protocolError && got.in.opcode() == websocket.CloseMessage && n < len(want.said) && want.said[n] == bye(""):
		// gorilla takes a close payload of one byte for none (RFC 6455 §5.5.1: the code has two).
		got.code, want.said = 0, want.said[:n]
	case got.code == protocolError && got.in.header[0]&compressedBit != 0 && got.in.deflate:
		// gorilla ignores RSV1 on control frames and continuations (RFC 7692 §6: it must be 0 there).
		if opcode := got.in.opcode(); !isControl(opcode) && opcode != continuation {
			break
		}
		got.code, want.code, want.said = 0, 0, want.said[:min(n, len(want.said))]
	case n > 0 && got.said[n-1].opcode == websocket.CloseMessage && got.said[n-1].payload[:min(2, len(got.said[n-1].payload))] == "\x03\xf6":
		// 1014 was registered with IANA after gorilla's list was made.
		got.said, got.code = got.said[:n-1], protocolError
	}
	if !slices.Equal(got.said, want.said) || got.code != want.code {
		t.Fatalf("said %v, code %d; gorilla: %v, %d", got.said, got.code, want.said, want.code)
	}
}

// oddity is a compressed message that gorilla need not read to its end.
type oddity struct {
	found   bool
	message []byte
	err     error
}

// inflate stops at the first message that is odd.
func (o *oddity) inflate(p []byte, limit int) ([]byte, error) {
	message, err := new(inflater).inflate(p, limit)
	if err != nil || isOdd(p) {
		*o = oddity{found: true, message: message, err: err}
		return nil, violation(0)
	}
	return message, nil
}

// isOdd reports whether the payload of a compressed message, or a part of it, is corrupt, ends its deflate stream, or
// holds too much.
func isOdd(p []byte) bool {
	n, err := io.Copy(io.Discard, io.LimitReader(flate.NewReader(bytes.NewReader(p)), maxClientMessage+1))
	return n > maxClientMessage || !errors.Is(err, io.ErrUnexpectedEOF)
}

// compareOdd holds a reading that ends at, or within, an odd message against gorilla's. gorilla inflates as it reads,
// so that it is done with such a message before that ends, and has no limit for what it inflates.
func compareOdd(t *testing.T, got, want reading, odd oddity) {
	t.Helper()
	pick := func(all []said, control bool) (picked []said) {
		for _, one := range all {
			if isControl(one.opcode) == control {
				picked = append(picked, one)
			}
		}
		return picked
	}
	a, b := pick(got.said, true), pick(want.said, true)
	if n := min(len(a), len(b)); !slices.Equal(a[:n], b[:n]) {
		t.Fatalf("said %v; gorilla: %v", got.said, want.said)
	}
	a, b = pick(got.said, false), pick(want.said, false)
	n := len(a)
	if len(b) < n || !slices.Equal(a, b[:n]) {
		t.Fatalf("said %v; gorilla: %v", got.said, want.said)
	}
	switch b = b[n:]; {
	case !odd.found:
	case odd.err == nil && (len(b) == 0 || b[0].payload != string(odd.message)):
		t.Fatalf("inflated %.50q; gorilla: %v", odd.message, b)
	case odd.err == error(invalidPayload) && (len(b) > 0 || want.code != invalidPayload):
		t.Fatalf("corrupt, code %d to gorilla: %v", want.code, b)
	case odd.err == error(tooBig) && want.code != invalidPayload && (len(b) == 0 || len(b[0].payload) <= maxClientMessage):
		t.Fatalf("too large, code %d to gorilla: %v", want.code, b)
	}
}

func cutAtRandom(stream []byte, seed uint64) (pieces [][]byte) {
	random := rand.New(rand.NewPCG(seed, 0))
	for len(stream) > 0 {
		n := min(1+random.IntN(20), len(stream))
		pieces, stream = append(pieces, stream[:n]), stream[n:]
	}
	return pieces
}

// readGorilla reads a client's bytes with gorilla/websocket.
func readGorilla(stream []byte, deflate bool) (r reading) {
	conn := upgradeGorilla(stream, deflate)
	conn.SetReadLimit(maxClientMessage)
	conn.SetPingHandler(func(data string) error { r.said = append(r.said, ping(data)); return nil })
	conn.SetPongHandler(func(data string) error { r.said = append(r.said, pong(data)); return nil })
	conn.SetCloseHandler(func(code int, reason string) error {
		r.said = append(r.said, bye(string(websocket.FormatCloseMessage(code, reason))))
		return nil
	})
	for {
		kind, message, err := conn.ReadMessage()
		if err == nil {
			r.said = append(r.said, said{kind, string(message)})
			continue
		}
		closed := (*websocket.CloseError)(nil)
		corrupt := flate.CorruptInputError(0)
		switch {
		case errors.As(err, &closed), errors.Is(err, io.EOF): // or a CloseError for bytes that end too early
		case errors.Is(err, websocket.ErrReadLimit):
			r.code = tooBig
		case errors.As(err, &corrupt), errors.Is(err, io.ErrUnexpectedEOF):
			r.code = invalidPayload
		default:
			r.code = protocolError
		}
		return r
	}
}

// upgradeGorilla returns a server's connection to which a client has said the stream, and nothing more.
func upgradeGorilla(stream []byte, deflate bool) *websocket.Conn {
	upgrader := websocket.Upgrader{EnableCompression: deflate}
	request := offering("permessage-deflate")
	conn, err := upgrader.Upgrade(hijackable{conn: &playback{Reader: bytes.NewReader(stream)}}, request, nil)
	if err != nil {
		panic(err)
	}
	return conn
}

// offering is a handshake that offers extensions.
func offering(offers ...string) *http.Request {
	return &http.Request{Method: http.MethodGet, Header: http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Extensions": offers,
	}}
}

// hijackable is an http.ResponseWriter for nothing but an upgrade.
type hijackable struct {
	http.ResponseWriter
	conn *playback
}

func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

// playback is a connection whose peer says what was recorded. It keeps what is said to the peer.
type playback struct {
	net.Conn
	*bytes.Reader
	written bytes.Buffer
}

func (p *playback) Read(b []byte) (int, error)       { return p.Reader.Read(b) }
func (p *playback) Write(b []byte) (int, error)      { return p.written.Write(b) }
func (p *playback) Close() error                     { return nil }
func (p *playback) SetDeadline(time.Time) error      { return nil }
func (p *playback) SetWriteDeadline(time.Time) error { return nil }
