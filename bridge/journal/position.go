package journal

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
)

// NewEpoch returns an epoch that no other journal has.
func NewEpoch() uint64 {
	var epoch [8]byte
	_, _ = rand.Read(epoch[:]) // crypto/rand.Read never fails (its documentation, since Go 1.24)
	return binary.BigEndian.Uint64(epoch[:])
}

// Position is a place in a journal's order. Positions of different epochs cannot be compared: the journal that
// gave one of them out is gone.
type Position struct {
	Epoch uint64
	Seq   uint64
}

// String returns the position as it is shown to clients: 16 hexadecimal digits, a dash, a decimal number.
func (p Position) String() string {
	var epoch [8]byte
	binary.BigEndian.PutUint64(epoch[:], p.Epoch)
	text := hex.AppendEncode(make([]byte, 0, 16+1+20), epoch[:])
	return string(strconv.AppendUint(append(text, '-'), p.Seq, 10))
}

// ParsePosition reads what String returns, and nothing else.
func ParsePosition(text string) (Position, error) {
	const digits = 16
	malformed := fmt.Errorf("%q is no position; one looks like %v", text, Position{Epoch: 0xfeed, Seq: 42})
	if len(text) < digits+2 || text[digits] != '-' {
		return Position{}, malformed
	}
	epoch, err := strconv.ParseUint(text[:digits], 16, 64)
	if err != nil {
		return Position{}, malformed
	}
	seq, err := strconv.ParseUint(text[digits+1:], 10, 64)
	if p := (Position{Epoch: epoch, Seq: seq}); err == nil && p.String() == text {
		return p, nil
	}
	return Position{}, malformed
}
