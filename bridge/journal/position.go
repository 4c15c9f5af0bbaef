package journal

import "fmt"

// Position is a place in a journal's order. Positions of different epochs cannot be compared: the journal that
// gave one of them out is gone.
type Position struct {
	Epoch uint64
	Seq   uint64
}

// String returns the position as it is shown to clients: 16 hexadecimal digits, a dash, a decimal number.
func (p Position) String() string { return fmt.Sprintf("%016x-%d", p.Epoch, p.Seq) }
