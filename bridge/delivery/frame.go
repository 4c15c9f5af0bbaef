package delivery

import (
	"encoding/binary"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/envelope"
	"github.com/rotki/notification-bridge/bridge/journal"
)

// form is how a record is written for a subscriber, as a set of bits.
type form uint8

const (
	jsonData   form = 0      // data is a JSON value
	stringData form = 1 << 0 // data is a string that holds JSON
	deflated   form = 1 << 1 // compressed, where that pays
	identified form = 1 << 2 // the envelope has the position as its id; never compressed
	eventLines form = 1 << 3 // an event of a text/event-stream with the position as its id, instead of a websocket frame

	kept = stringData | deflated // the bits of the forms that stay with the record, each made once; the others cost a copy
)

// A journal must keep every form with its record.
var _ [journal.Variants - (kept + 1)]struct{}

// framer turns records into what is written to subscribers. It is safe for concurrent use.
type framer struct {
	epoch        uint64 // of the journal
	compressFrom int    // from how many bytes on a message is compressed
	compressor   compressor
}

// frame returns the record as a websocket frame, or as an event.
func (f *framer) frame(form form, r *journal.Record) []byte {
	switch {
	case form&eventLines != 0:
		return f.event(r, framePayload(f.frame(form&stringData, r)))
	case form&identified != 0:
		return f.identify(r, framePayload(f.frame(form&stringData, r)))
	case form&deflated != 0:
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

func (f *framer) position(seq uint64) string {
	return journal.Position{Epoch: f.epoch, Seq: seq}.String()
}

// appendHeartbeat appends a comment, which shows proxies and the bridge that the connection lives, and an id without
// data, which makes no event: the client resumes from there, though nothing may have been for it for long (WHATWG HTML
// §9.2.6).
func (f *framer) appendHeartbeat(dst []byte, next uint64) []byte {
	return append(append(append(dst, ": heartbeat\nid: "...), f.position(next-1)...), "\n\n"...)
}

// identify returns an envelope as a frame, with the record's position as its last key: {"type":…,"data":…,"id":"…"}.
func (f *framer) identify(r *journal.Record, env []byte) []byte {
	const begin, end = `,"id":"`, `"}`
	id := f.position(r.Seq)
	frame := appendHeader(make([]byte, 0, maxHeader+len(env)+len(begin)+len(id)+len(end)),
		websocket.TextMessage, len(env)-1+len(begin)+len(id)+len(end))
	frame = append(frame, env[:len(env)-1]...)
	frame = append(append(frame, begin...), id...)
	return append(frame, end...)
}

// event returns an envelope, which has no line breaks, as an event (WHATWG HTML §9.2.6).
func (f *framer) event(r *journal.Record, env []byte) []byte {
	const idField, dataField, end = "id: ", "\ndata: ", "\n\n"
	id := f.position(r.Seq)
	event := make([]byte, 0, len(idField)+len(id)+len(dataField)+len(env)+len(end))
	event = append(append(event, idField...), id...)
	event = append(append(event, dataField...), env...)
	return append(event, end...)
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

// maxHeader is the length of the longest header of a frame that the bridge writes.
const maxHeader = 10

// appendFrame appends a final, unmasked frame (RFC 6455 §5.2).
func appendFrame(dst []byte, opcode int, payload []byte) []byte {
	if dst == nil {
		dst = make([]byte, 0, maxHeader+len(payload))
	}
	return append(appendHeader(dst, opcode, len(payload)), payload...)
}

// appendHeader appends the header of such a frame, whose payload has n bytes.
func appendHeader(dst []byte, opcode, n int) []byte {
	dst = append(dst, finalBit|byte(opcode))
	switch {
	case n < 126:
		return append(dst, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
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
