package journal

import (
	"fmt"
	"strconv"
	"strings"
)

// Position is a place in a journal's order. Positions of different epochs cannot be compared: the journal that
// gave one of them out is gone.
type Position struct {
	Epoch uint64
	Seq   uint64
}

// String returns the position as it is shown to clients: 16 hexadecimal digits, a dash, a decimal number.
func (p Position) String() string { return fmt.Sprintf("%016x-%d", p.Epoch, p.Seq) }

// ParsePosition reads what String wrote. Any other text is an error.
func ParsePosition(text string) (Position, error) {
	epoch, seq, ok := strings.Cut(text, "-")
	if ok && len(epoch) == 16 {
		e, epochErr := strconv.ParseUint(epoch, 16, 64)
		s, seqErr := strconv.ParseUint(seq, 10, 64)
		if p := (Position{Epoch: e, Seq: s}); epochErr == nil && seqErr == nil && p.String() == text {
			return p, nil
		}
	}
	return Position{}, fmt.Errorf("%q is not a position", text)
}
