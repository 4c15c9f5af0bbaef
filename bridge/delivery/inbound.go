package delivery

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// maxClientMessage is the largest message a client may send, in bytes. None means anything to the bridge.
const maxClientMessage = 4 << 10

const (
	finalBit      = 0x80
	compressedBit = 0x40 // RSV1, with permessage-deflate (RFC 7692 §6)
	reservedBits  = 0x70
	opcodeBits    = 0x0f
	maskBit       = 0x80

	continuation = 0
	// maxControl is the largest payload of a control frame (RFC 6455 §5.5).
	maxControl = 125
)

// inbound reads the client's side of a websocket (RFC 6455 §5), from however the bytes come. Its zero value is a
// connection between two messages, so nothing need be kept for one that says nothing.
type inbound struct {
	deflate bool // permessage-deflate was negotiated

	header [14]byte // of the frame that comes
	have   int      // how much of it has come
	left   int      // how much of the frame's payload has not; counts once the header is whole
	whole  bool     // the header is
	masked int      // how many bytes of the payload the mask was taken off

	control []byte // the payload of a control frame of which a part has come
	message []byte // the payload of a message of which a part has come
	kind    int    // of that message: text or binary; 0 when there is none
	packed  bool   // that message is compressed
}

// received is a message or a control frame. Its payload is valid until the next call of take.
type received struct {
	opcode  int // 0 for none
	payload []byte
}

// violation is how a client broke the protocol: the close code (RFC 6455 §7.4.1) that tells it so.
type violation int

func (v violation) Error() string {
	return fmt.Sprintf("the client broke the websocket protocol (close code %d)", int(v))
}

const (
	protocolError  = violation(websocket.CloseProtocolError)
	invalidPayload = violation(websocket.CloseInvalidFramePayloadData)
	tooBig         = violation(websocket.CloseMessageTooBig)
)

// idle reports whether the client is between two messages.
func (in *inbound) idle() bool { return in.have == 0 && in.kind == 0 }

// take reads on in p, which it changes, until a message or a control frame is whole, and returns that and the rest of
// p. After a violation nothing more can be read.
func (in *inbound) take(p []byte, inflate inflateFunc) (received, []byte, error) {
	for {
		if !in.whole {
			if p = in.takeHeader(p); !in.whole {
				return received{}, p, nil
			}
			if err := in.checkHeader(); err != nil {
				return received{}, p, err
			}
		}
		if in.left > 0 && len(p) == 0 {
			return received{}, p, nil
		}
		n := min(in.left, len(p))
		part := p[:n:n]
		p = p[n:]
		in.unmask(part)
		if in.left -= n; in.left > 0 {
			in.keep(part)
			return received{}, p, nil
		}
		if r, err := in.endFrame(part, inflate); err != nil || r.opcode != 0 {
			return r, p, err
		}
	}
}

// takeHeader reads on in a frame's header, which has 6 to 14 bytes.
func (in *inbound) takeHeader(p []byte) []byte {
	for len(p) > 0 {
		need := 6
		if in.have >= 2 {
			switch in.header[1] &^ maskBit {
			case 126:
				need = 8
			case 127:
				need = 14
			}
		} else {
			need = 2
		}
		n := copy(in.header[in.have:need], p)
		in.have, p = in.have+n, p[n:]
		// A header without a mask, which no client may send, ends with its second byte.
		if in.have == need && (need > 2 || in.header[1]&maskBit == 0) {
			in.whole = true
			break
		}
	}
	return p
}

// checkHeader refuses what no client may send, and prepares for the payload.
func (in *inbound) checkHeader() error {
	first, opcode := in.header[0], in.opcode()
	length := uint64(in.header[1] &^ maskBit)
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(in.header[2:]))
	case 127:
		length = binary.BigEndian.Uint64(in.header[2:])
	}
	in.masked = 0
	if in.header[1]&maskBit == 0 {
		return protocolError
	}
	packed := first&compressedBit != 0
	if first&reservedBits&^compressedBit != 0 || packed && (!in.deflate || isControl(opcode) || opcode == continuation) {
		return protocolError
	}
	switch opcode {
	case websocket.CloseMessage, websocket.PingMessage, websocket.PongMessage:
		if first&finalBit == 0 || in.header[1]&^maskBit > maxControl { // the shortest form of the length is a must too
			return protocolError
		}
	case websocket.TextMessage, websocket.BinaryMessage:
		if in.kind != 0 {
			return protocolError
		}
		in.kind, in.packed = opcode, packed
	case continuation:
		if in.kind == 0 {
			return protocolError
		}
	default:
		return protocolError
	}
	if !isControl(opcode) && length > uint64(maxClientMessage-len(in.message)) {
		return tooBig
	}
	in.left = int(length)
	return nil
}

func (in *inbound) opcode() int { return int(in.header[0] & opcodeBits) }

func isControl(opcode int) bool { return opcode >= websocket.CloseMessage }

// unmask takes the mask off the next bytes of the payload (RFC 6455 §5.3). It is the header's last four bytes.
func (in *inbound) unmask(p []byte) {
	mask := in.header[in.have-4 : in.have]
	for i := range p {
		p[i] ^= mask[in.masked&3]
		in.masked++
	}
}

// keep stores a part of a payload, because the rest of it has not come.
func (in *inbound) keep(part []byte) {
	if isControl(in.opcode()) {
		in.control = append(in.control, part...)
	} else {
		in.message = append(in.message, part...)
	}
}

// endFrame sees to a frame that is whole with this last part. It returns a control frame, or the message that it ends.
func (in *inbound) endFrame(part []byte, inflate inflateFunc) (received, error) {
	opcode, final := in.opcode(), in.header[0]&finalBit != 0
	in.have, in.whole = 0, false
	if isControl(opcode) {
		payload := joined(in.control, part)
		in.control = nil
		if opcode == websocket.CloseMessage {
			return received{opcode, payload}, checkClose(payload)
		}
		return received{opcode, payload}, nil
	}
	if !final {
		in.message = append(in.message, part...)
		return received{}, nil
	}
	r := received{in.kind, joined(in.message, part)}
	in.kind, in.message = 0, nil
	if in.packed {
		in.packed = false
		var err error
		if r.payload, err = inflate(r.payload, maxClientMessage); err != nil {
			return received{}, err
		}
	}
	if r.opcode == websocket.TextMessage && !utf8.Valid(r.payload) {
		return received{}, invalidPayload
	}
	return r, nil
}

// joined spares the copy where all came at once.
func joined(before, part []byte) []byte {
	if len(before) == 0 {
		return part
	}
	return append(before, part...)
}

// checkClose refuses the payload of a close frame that RFC 6455 does not allow (§5.5.1, §7.4).
func checkClose(payload []byte) error {
	switch {
	case len(payload) == 0:
		return nil
	case len(payload) == 1:
		return protocolError
	case !utf8.Valid(payload[2:]):
		return invalidPayload
	}
	switch code := binary.BigEndian.Uint16(payload); {
	case code >= 3000 && code < 5000:
		return nil
	case code < 1000 || code > 1014 || code >= 1004 && code <= 1006:
		return protocolError
	}
	return nil
}
