//go:build linux

package load

import (
	"encoding/binary"
	"fmt"
)

// Opcodes of RFC 6455 §11.8 that a server sends here.
const (
	textFrame  = 1
	closeFrame = 8
	pingFrame  = 9
	pongFrame  = 10
)

// frame is one that a server sent.
type frame struct {
	opcode     byte
	compressed bool
	payload    []byte // of what was parsed, not a copy
}

// nextFrame takes the first frame off p; it is not ok, and nothing is taken, until it is there as a whole.
func nextFrame(p []byte) (f frame, rest []byte, ok bool, err error) {
	if len(p) < 2 {
		return frame{}, p, false, nil
	}
	const final, compressed, reserved, masked = 0x80, 0x40, 0x30, 0x80
	if p[0]&final == 0 || p[0]&reserved != 0 || p[1]&masked != 0 {
		return frame{}, p, false, fmt.Errorf("a frame begins with %#x; want whole and unmasked messages", p[:2])
	}
	header, size := 2, uint64(p[1])
	switch size {
	case 126:
		header = 4
		if len(p) >= header {
			size = uint64(binary.BigEndian.Uint16(p[2:]))
		}
	case 127:
		header = 10
		if len(p) >= header {
			size = binary.BigEndian.Uint64(p[2:])
		}
	}
	if len(p) >= header && size > largestFrame {
		return frame{}, p, false, fmt.Errorf("a frame has %d bytes; none larger than %d was published", size, largestFrame)
	}
	end := header + int(size)
	if len(p) < header || len(p) < end {
		return frame{}, p, false, nil
	}
	return frame{opcode: p[0] & 0xf, compressed: p[0]&compressed != 0, payload: p[header:end]}, p[end:], true, nil
}

// pong returns the answer to a ping, masked with zeros.
func pong(payload []byte) []byte {
	const final, masked = 0x80, 0x80
	return append([]byte{final | pongFrame, masked | byte(len(payload)), 0, 0, 0, 0}, payload...)
}
