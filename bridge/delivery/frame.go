package delivery

import (
	"encoding/binary"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/envelope"
	"github.com/rotki/notification-bridge/bridge/journal"
)

// form is how a record is written for a subscriber, as a set of bits. Each is made once per record, at the most.
type form uint8

const (
	jsonData   form = 0      // data is a JSON value
	stringData form = 1 << 0 // data is a string that holds JSON
	deflated   form = 1 << 1 // compressed, where that pays
	forms           = 1 << 2
)

// A journal must keep every form with its record.
var _ [journal.Variants - forms]struct{}

// framer turns records into websocket frames. It is safe for concurrent use.
type framer struct {
	compressFrom int // from how many bytes on a message is compressed
	compressor   compressor
}

// frame returns the record as a websocket frame.
func (f *framer) frame(form form, r *journal.Record) []byte {
	if form&deflated != 0 {
		plain := f.frame(form&^deflated, r)
		return r.Variant(int(form), func(*journal.Record) []byte { return f.compressed(plain) })
	}
	return r.Variant(int(form), func(r *journal.Record) []byte {
		env := envelope.Envelope{Type: r.Type, Data: r.Data}
		if form&stringData != 0 {
			return appendFrame(nil, websocket.TextMessage, env.AppendStringData(nil))
		}
		return appendFrame(nil, websocket.TextMessage, env.AppendJSON(nil))
	})
}

// compressed returns a frame with its message compressed, or as it is where that is shorter (RFC 7692 §6 leaves the
// choice open for each message).
func (f *framer) compressed(frame []byte) []byte {
	message := framePayload(frame)
	if len(message) < f.compressFrom {
		return frame
	}
	payload := f.compressor.deflate(message)
	if packed := appendFrame(nil, int(frame[0]&opcodeBits)|compressedBit, payload); len(packed) < len(frame) {
		return packed
	}
	return frame
}

// appendFrame appends a final, unmasked frame (RFC 6455 §5.2).
func appendFrame(dst []byte, opcode int, payload []byte) []byte {
	if dst == nil {
		dst = make([]byte, 0, 10+len(payload))
	}
	dst = append(dst, finalBit|byte(opcode))
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
	return append(dst, payload...)
}

// framePayload returns the payload of a frame that appendFrame made.
func framePayload(frame []byte) []byte {
	switch frame[1] {
	case 126:
		return frame[4:]
	case 127:
		return frame[10:]
	}
	return frame[2:]
}
