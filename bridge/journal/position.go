package journal

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

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
