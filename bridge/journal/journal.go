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
	// ErrUnavailable: the journal cannot store anything at the moment, or nobody knows whether it has.
	ErrUnavailable = errors.New("the journal is unavailable")
	// ErrTermOver: something of the term in which the publisher began may be lost, and nothing must overtake it.
	ErrTermOver = errors.New("something before it may not have been stored")
)

// LostError is ErrLost where it is known what comes next.
type LostError struct {
	// Next is the sequence number of the first record that is stored after the one that was asked for.
	Next uint64
}

// Error returns ErrLost's text.
func (e *LostError) Error() string { return ErrLost.Error() }

// Unwrap returns ErrLost.
func (e *LostError) Unwrap() error { return ErrLost }

// Journal is an ordered, bounded log.
type Journal interface {
	// Append gives e the next place in the order and returns without waiting for it to be stored, so that one
	// publisher can have many entries on their way. An entry whose ID is known from the dedup window is not
	// appended; its receipt is the first one's. An error means that e was not appended and never will be.
	Append(ctx context.Context, e Entry) (Pending, error)
	// Term changes whenever entries that were on their way may have been lost. A publisher that must keep its order
	// gives the term in which it began with each entry, so that none gets in front of one that it has to send again.
	Term() uint64
	// Epoch tells this journal's sequence numbers from those of another, or of an earlier life of this one.
	Epoch() uint64
	// Bounds returns the sequence number of the oldest record at hand and the one that the next entry will get.
	// They are equal when none is.
	Bounds() (oldest, next uint64)
	// Read fills into with the records at hand from the sequence number from on and returns how many there were, 0 at
	// the head. The error is ErrLost when from is older than the oldest of them.
	Read(from uint64, into []*Record) (int, error)
	// Notify sends to c, without blocking, whenever the head has moved; give c a capacity of 1. Call stop when done.
	Notify(c chan<- struct{}) (stop func())
	// Recall is Read for records that need not be at hand: it may take its time to fetch them from where they are
	// stored. Records are consecutive; it may return fewer than there are, but not 0 before the head. The error is
	// ErrLost when from is no longer stored either, a *LostError where it is known what comes next.
	Recall(ctx context.Context, from uint64, into []*Record) (int, error)
	// Since returns the sequence number of the first record stored that was appended at t or later: the oldest one's
	// for the zero time, the next entry's when there is none.
	Since(ctx context.Context, t time.Time) (uint64, error)
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
	// Key is the conflation key: of entries with the same key and recipients, a subscriber that has fallen behind needs
	// the newest only. Empty for those that all must get.
	Key string
	// Term is the journal's when the publisher began; 0 for one that does not care about its order.
	Term uint64
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
	// Type, Data, Recipients and Key are the entry's.
	Type       string
	Data       []byte
	Recipients []string
	Key        string
	// Subscribers is the entry's.
	Subscribers uint32

	newest   *newest                  // set by the window, before anybody sees the record; nil without a key
	sorted   atomic.Pointer[[]string] // the recipients, where there are many; nil until they are asked for
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
