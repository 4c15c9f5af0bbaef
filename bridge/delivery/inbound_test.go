package delivery

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// said is a message or a control frame of a client's, in a form that can be compared.
type said struct {
	opcode  int
	payload string
}

func (s said) String() string { return fmt.Sprintf("%d:%.50q", s.opcode, s.payload) }

// reading is what came of a client's bytes.
type reading struct {
	said []said
	code violation // 0 for none
	in   inbound   // how it was left
}

// closed reports whether the client said goodbye.
func (r *reading) closed() bool {
	return len(r.said) > 0 && r.said[len(r.said)-1].opcode == websocket.CloseMessage
}

// readPieces reads a client's bytes as a shard does, until a close frame or a violation.
func readPieces(pieces [][]byte, deflate bool, inflate inflateFunc) (r reading) {
	for _, piece := range pieces {
		if r.in.idle() {
			r.in = inbound{deflate: deflate} // a shard keeps nothing between two messages
		}
		buffer := bytes.Clone(piece)
		for p := buffer; len(p) > 0; {
			var got received
			var err error
			if got, p, err = r.in.take(p, inflate); err != nil {
				r.code = err.(violation)
				return r
			}
			if got.opcode != 0 {
				r.said = append(r.said, said{got.opcode, string(got.payload)})
			}
			if r.closed() {
				return r
			}
		}
		clear(buffer) // a shard reads the next client's bytes into it
	}
	return r
}

func whole(stream string) [][]byte { return [][]byte{[]byte(stream)} }

// bytewise cuts a stream into single bytes.
func bytewise(stream string) [][]byte { return slices.Collect(slices.Chunk([]byte(stream), 1)) }

func masked(payload string) string {
	const mask = "\x81\xff\x00\x5a"
	p := []byte(payload)
	for i := range p {
		p[i] ^= mask[i%4]
	}
	return mask + string(p)
}

// client returns a client's frame, its length in the shortest form.
func client(first byte, payload string) string {
	if len(payload) < 126 {
		return string([]byte{first, maskBit | byte(len(payload))}) + masked(payload)
	}
	return client16(first, len(payload), payload)
}

// client16 returns a frame with its length in 16 bits.
func client16(first byte, length int, payload string) string {
	return string(binary.BigEndian.AppendUint16([]byte{first, maskBit | 126}, uint16(length))) + masked(payload)
}

// client64 returns a frame with its length in 64 bits.
func client64(first byte, length uint64, payload string) string {
	return string(binary.BigEndian.AppendUint64([]byte{first, maskBit | 127}, length)) + masked(payload)
}

func packed(message string) string { return string(new(compressor).deflate([]byte(message))) }

func text(payload string) said   { return said{websocket.TextMessage, payload} }
func binmsg(payload string) said { return said{websocket.BinaryMessage, payload} }
func ping(payload string) said   { return said{websocket.PingMessage, payload} }
func pong(payload string) said   { return said{websocket.PongMessage, payload} }
func bye(payload string) said    { return said{websocket.CloseMessage, payload} }

// xs is a message of n bytes.
func xs(n int) string { return strings.Repeat("x", n) }

// TestInbound reads byte sequences whole, cut in two at every position, and byte by byte.
func TestInbound(t *testing.T) {
	for _, tc := range inboundCases() {
		t.Run(tc.name, func(t *testing.T) {
			check := func(how string, pieces [][]byte) {
				t.Helper()
				got := readPieces(pieces, tc.deflate, new(inflater).inflate)
				if !slices.Equal(got.said, tc.said) || got.code != tc.code {
					t.Fatalf("%s: said %v, code %d; want %v, %d", how, got.said, got.code, tc.said, tc.code)
				}
				if got.code == 0 && got.in.idle() == tc.partial {
					t.Fatalf("%s: between two messages: %t", how, got.in.idle())
				}
			}
			check("whole", whole(tc.stream))
			check("byte by byte", bytewise(tc.stream))
			for i := range len(tc.stream) {
				check(fmt.Sprintf("cut at %d", i), [][]byte{[]byte(tc.stream[:i]), []byte(tc.stream[i:])})
			}
		})
	}
}

// TestCloseCodes holds all close codes against RFC 6455 §7.4 and IANA's registry.
func TestCloseCodes(t *testing.T) {
	allowed := func(code int) bool {
		switch code {
		case 1004, 1005, 1006, 1015: // reserved: never in a close frame
			return false
		}
		// Up to 1014 they are registered; 1016 to 2999 are for what comes after RFC 6455.
		return code >= 1000 && code <= 1014 || code >= 3000 && code <= 4999
	}
	for code := range 1 << 16 {
		payload := string(binary.BigEndian.AppendUint16(nil, uint16(code))) + "why"
		want := reading{code: protocolError}
		if allowed(code) {
			want = reading{said: []said{bye(payload)}}
		}
		got := readPieces(whole(client(0x88, payload)), false, new(inflater).inflate)
		if !slices.Equal(got.said, want.said) || got.code != want.code {
			t.Errorf("%d: said %v, code %d; want %v, %d", code, got.said, got.code, want.said, want.code)
		}
	}
}

// TestOpcodes: of the 16 opcodes six have a meaning.
func TestOpcodes(t *testing.T) {
	for opcode := range byte(16) {
		for _, final := range []byte{0, finalBit} {
			for _, reserved := range []byte{0, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70} {
				got := readPieces(whole(client(final|reserved|opcode, "")), false, new(inflater).inflate)
				isData := opcode == 1 || opcode == 2
				isEvent := opcode >= 8 && opcode <= 10 && final != 0
				if want := (isData || isEvent) && reserved == 0; (got.code == 0) != want || got.code != 0 && got.code != protocolError {
					t.Errorf("first byte %#x: code %d, allowed: %t", final|reserved|opcode, got.code, want)
				}
			}
		}
	}
}
