package delivery

import (
	"slices"
	"sort"

	"github.com/rotki/notification-bridge/bridge/journal"
)

const (
	// maxBatchRecords is how many records are read from the journal at once.
	maxBatchRecords = 512
	// cachedBatches is how many cursors a shard has batches for at a time. Nearly all subscribers share one.
	cachedBatches = 8
	// fewNamed is how many recipients of a record are noted with a batch by name. With more, every batch that holds the
	// record would cost as much as it has recipients: such a record is looked into for each subscriber instead.
	fewNamed = 8
)

// batchKey names what a batch holds: the frames from a place in the journal on, in a form, for a filter.
type batchKey struct {
	from     uint64
	form     form
	conflate bool // leave out what is superseded
	confirm  bool // a ping behind the frames carries the cursor
	filter   *filter
	subject  string // whose records with recipients are in it, too; empty for nobody's
}

// batch is a run of frames that one write takes to a subscriber. It serves every subscriber with the same key.
type batch struct {
	key   batchKey
	bytes []byte
	marks []mark              // of the notifications
	next  uint64              // the cursor when all is written
	left  int                 // how many records were left out as superseded
	own   []byte              // a buffer to be used again; bytes may instead be the frame of a single record
	named map[string]struct{} // those for whom it leaves out records that they should get, and that name few
	wide  []*journal.Record   // those that it leaves out and that name many
}

// serves reports whether the batch holds what a subject should get, though it was made for nobody in particular.
func (b *batch) serves(subject string) bool {
	if _, named := b.named[subject]; named {
		return false
	}
	return !slices.ContainsFunc(b.wide, func(r *journal.Record) bool { return r.IsFor(subject) })
}

// mark says where in a batch a frame ends.
type mark struct {
	end  int
	seq  uint64
	left int // how many records were left out before it
}

// notifications returns how many of the bytes are notifications; what follows is a ping.
func (b *batch) notifications() int {
	if len(b.marks) == 0 {
		return 0
	}
	return b.marks[len(b.marks)-1].end
}

// cursorAfter returns the cursor of a subscriber that took only the first n bytes, fewer than the notifications have:
// the record whose frame is not whole yet and how much of it is written. whole is how many frames before it are.
func (b *batch) cursorAfter(n int) (next uint64, offset, whole int) {
	whole = sort.Search(len(b.marks), func(i int) bool { return b.marks[i].end > n })
	if whole > 0 {
		n -= b.marks[whole-1].end
	}
	return b.marks[whole].seq, n, whole
}

// batches builds batches and keeps the last few. It is used by one shard only.
type batches struct {
	log      Log
	framer   *framer
	limit    int // ends a batch, in bytes, but for a single frame that is larger
	cached   [cachedBatches]batch
	evict    int
	personal batch // for one subject; hardly any other can use it
	records  [maxBatchRecords]*journal.Record
	recalled *page // the last of what is no longer at hand that was fetched; nil for none
	begun    begun
}

// reset forgets all batches, since the journal has more to add to them.
func (b *batches) reset() {
	for i := range b.cached {
		b.cached[i].key = batchKey{}
		b.cached[i].bytes = nil
		clear(b.cached[i].wide)
	}
	b.personal.key, b.personal.bytes = batchKey{}, nil
}

// get returns the batch of a key, or an equal one. It is valid until the next call. The error is journal.ErrLost.
func (b *batches) get(key batchKey) (*batch, error) {
	subject := key.subject
	key.subject = ""
	shared, err := b.shared(key)
	if err != nil || subject == "" || shared.serves(subject) {
		return shared, err
	}
	if key.subject = subject; b.personal.key == key {
		return &b.personal, nil
	}
	return &b.personal, b.build(&b.personal, key)
}

// shared returns the batch of a key without a subject.
func (b *batches) shared(key batchKey) (*batch, error) {
	for i := range b.cached {
		if b.cached[i].key == key {
			return &b.cached[i], nil
		}
	}
	built := &b.cached[b.evict]
	b.evict = (b.evict + 1) % cachedBatches
	return built, b.build(built, key)
}

func (b *batches) build(into *batch, key batchKey) error {
	clear(into.named)
	clear(into.wide)
	*into = batch{own: into.own[:0], marks: into.marks[:0], named: into.named, wide: into.wide[:0]}
	n, err := b.read(key.from, b.records[:])
	if err != nil {
		return err
	}
	into.next = key.from
	for _, r := range b.records[:n] {
		wanted := key.filter.wants(r.Type)
		if wanted && !r.IsFor(key.subject) {
			wanted = false
			into.leaveOut(r, key.subject)
		}
		if wanted && key.conflate && r.Superseded() {
			wanted = false
			into.left++
		}
		if wanted {
			frame := b.framer.frame(key.form, r)
			if len(into.marks) > 0 && len(into.bytes)+len(frame) > b.limit {
				break
			}
			if len(into.marks) == 0 {
				into.bytes = frame
			} else {
				if len(into.marks) == 1 {
					into.own = append(into.own, into.bytes...)
				}
				into.own = append(into.own, frame...)
				into.bytes = into.own
			}
			into.marks = append(into.marks, mark{end: len(into.bytes), seq: r.Seq, left: into.left})
		}
		into.next = r.Seq + 1
	}
	clear(b.records[:n]) // do not keep what the journal lets go
	if key.confirm && len(into.marks) > 0 {
		if len(into.marks) == 1 {
			into.own = append(into.own, into.bytes...)
		}
		into.own = appendConfirm(into.own, into.next)
		into.bytes = into.own
	}
	into.key = key
	return nil
}

// leaveOut notes for whom a record is that is not for the batch's subject.
func (b *batch) leaveOut(r *journal.Record, subject string) {
	if subject != "" {
		return
	}
	if len(r.Recipients) > fewNamed {
		b.wide = append(b.wide, r)
		return
	}
	if b.named == nil {
		b.named = make(map[string]struct{})
	}
	for _, recipient := range r.Recipients {
		b.named[recipient] = struct{}{}
	}
}

// read reads what the journal has at hand, or else the page that was recalled.
func (b *batches) read(from uint64, into []*journal.Record) (int, error) {
	n, err := b.log.Read(from, into)
	if err != nil && b.recalled.holds(from) {
		return copy(into, b.recalled.records[from-b.recalled.from:]), nil
	}
	return n, err
}

// begun is the last frame of which a subscriber got a part, if it is of a form that does not stay with its record.
type begun struct {
	seq   uint64
	form  form
	frame []byte
}

// rest returns what is left of the one frame that a subscriber got a part of.
func (b *batches) rest(seq uint64, f form, offset int) ([]byte, error) {
	if b.begun.seq == seq && b.begun.form == f && b.begun.frame != nil {
		return b.begun.frame[offset:], nil
	}
	if _, err := b.read(seq, b.records[:1]); err != nil {
		return nil, err
	}
	frame := b.framer.frame(f, b.records[0])
	b.records[0] = nil
	if f&^kept != 0 {
		b.begun = begun{seq, f, frame}
	}
	return frame[offset:], nil
}
