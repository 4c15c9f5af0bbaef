package delivery

import (
	"encoding/binary"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/envelope"
	"github.com/rotki/notification-bridge/bridge/journal"
)

// form is how a record is written for a subscriber. Each is made at most once per record.
type form int

const (
	jsonData   form = iota // data is a JSON value
	stringData             // data is a string that holds JSON
	forms
)

// A journal must keep every form with its record.
var _ [journal.Variants - forms]struct{}

// frame returns the record as a websocket frame.
func (f form) frame(r *journal.Record) []byte {
	return r.Variant(int(f), func(r *journal.Record) []byte {
		env := envelope.Envelope{Type: r.Type, Data: r.Data}
		if f == stringData {
			return appendFrame(nil, websocket.TextMessage, env.AppendStringData(nil))
		}
		return appendFrame(nil, websocket.TextMessage, env.AppendJSON(nil))
	})
}

// appendFrame appends a final, unmasked frame (RFC 6455 §5.2).
func appendFrame(dst []byte, opcode int, payload []byte) []byte {
	const final = 0x80
	if dst == nil {
		dst = make([]byte, 0, 10+len(payload))
	}
	dst = append(dst, final|byte(opcode))
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

// opcode returns what kind of frame p begins with.
func opcode(p []byte) int { return int(p[0] & 0x0f) }
