// Package journal keeps the ordered, bounded log of notifications between those who publish and those who read.
//
// Every entry gets a sequence number, one more than the entry before it. Readers are cursors: they hold a sequence
// number and ask for what comes next, so that a reader costs the journal nothing, however far it lags. One that
// lags beyond the oldest record kept has lost its place and is told so.
//
// # Concurrency
//
// Every Journal is safe for concurrent use. Entries that one goroutine appends one after the other keep that order.
// Records are immutable and shared: nobody may write to their slices.
package journal

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

var (
	// ErrClosed: the journal takes no more entries.
	ErrClosed = errors.New("the journal is closed")
	// ErrTooLarge: the entry alone exceeds the journal's bound in bytes.
	ErrTooLarge = errors.New("the entry is larger than the whole journal may be")
	// ErrLost: the records that were asked for are no longer kept.
	ErrLost = errors.New("the position is no longer in the journal")
)

// Journal is an ordered, bounded log.
type Journal interface {
	// Append gives e the next place in the order and returns without waiting for it to be stored, so that one
	// publisher can have many entries on their way. An entry whose ID is known from the dedup window is not
	// appended; its receipt is the first one's. An error means that e was not appended and never will be.
	Append(ctx context.Context, e Entry) (Pending, error)
	// Epoch tells this journal's sequence numbers from those of another, or of an earlier life of this one.
	Epoch() uint64
	// Bounds returns the sequence number of the oldest record kept and the one that the next entry will get.
	// They are equal when the journal is empty.
	Bounds() (oldest, next uint64)
	// Read fills into with the records from the sequence number from on and returns how many there were, 0 at the
	// head. The error is ErrLost when from is older than the oldest record kept.
	Read(from uint64, into []*Record) (int, error)
	// Notify sends to c, without blocking, whenever the head has moved; give c a capacity of 1. Call stop when done.
	Notify(c chan<- struct{}) (stop func())
}

// Entry is what a publisher wants appended.
type Entry struct {
	// ID is the publisher's idempotency key; empty for none.
	ID string
	// Type is the notification's type.
	Type string
	// Data is the notification's JSON value. The journal keeps it: it must not be written to afterwards.
	Data []byte
	// Recipients are the user ids that may see it; empty for everyone.
	Recipients []string
	// Subscribers is how many subscribers it is for, to be repeated to whoever publishes it again.
	Subscribers uint32
}

// Receipt says where an entry was appended.
type Receipt struct {
	Position Position
	// Subscribers is that of the entry which was appended first under the same ID.
	Subscribers uint32
	// Duplicate says that an earlier entry with the same ID holds the position.
	Duplicate bool
}

// Pending is an append on its way. It is safe for concurrent use.
type Pending interface {
	// Settled reports whether Wait will return at once.
	Settled() bool
	// Wait returns once the entry is stored, or cannot be, or ctx is done.
	Wait(ctx context.Context) (Receipt, error)
}

// Variants is how many forms of a record can be kept with it.
const Variants = 4

// Record is an entry in the journal.
type Record struct {
	// Seq is its place in the order.
	Seq uint64
	// Time is when it was appended.
	Time time.Time
	// Type, Data and Recipients are the entry's.
	Type       string
	Data       []byte
	Recipients []string

	building sync.Mutex
	variants [Variants]atomic.Pointer[[]byte]
}

// Variant returns the form number i of the record, such as a ready websocket frame. It is built once, by the first who
// asks for it, and kept with the record, so that its cost does not grow with the number of readers. build must not call
// Variant.
func (r *Record) Variant(i int, build func(*Record) []byte) []byte {
	if form := r.variants[i].Load(); form != nil {
		return *form
	}
	r.building.Lock()
	defer r.building.Unlock()
	if form := r.variants[i].Load(); form != nil {
		return *form
	}
	form := build(r)
	r.variants[i].Store(&form)
	return form
}
