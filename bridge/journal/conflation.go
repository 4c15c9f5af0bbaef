package journal

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
)

// newest is shared by the records of a window that have one key and one set of recipients.
type newest struct {
	key newestKey
	seq atomic.Uint64 // of the newest of them
}

// newestKey is a record's key with its recipients, so that nobody is deprived of a record by one that is not for them.
type newestKey struct {
	key        string
	recipients string // each behind its length, in alphabetical order; empty for everyone
}

func newNewestKey(r *Record) newestKey {
	if len(r.Recipients) == 0 {
		return newestKey{key: r.Key}
	}
	recipients := slices.Clone(r.Recipients)
	slices.Sort(recipients)
	var all []byte
	for _, recipient := range slices.Compact(recipients) {
		all = binary.AppendUvarint(all, uint64(len(recipient)))
		all = append(all, recipient...)
	}
	return newestKey{r.Key, string(all)}
}

// Superseded reports whether a newer record with the same key and the same recipients has come into the window that r
// came from, so that a reader who will get to that one can do without r. It is false for a record without a key, and
// for one that was fetched from elsewhere. It is safe for concurrent use, and may become true at any time, for good.
func (r *Record) Superseded() bool { return r.newest != nil && r.newest.seq.Load() != r.Seq }

// conflation holds for each key in a window what its records share. It is not safe for concurrent use, but for what it
// has given to a record. Its zero value is empty.
type conflation map[newestKey]*newest

// add makes r the newest of its key.
func (c *conflation) add(r *Record) {
	if r.Key == "" {
		return
	}
	if *c == nil {
		*c = make(conflation)
	}
	key := newNewestKey(r)
	shared := (*c)[key]
	if shared == nil {
		shared = &newest{key: key}
		(*c)[key] = shared
	}
	r.newest = shared
	shared.seq.Store(r.Seq)
}

// remove forgets the key of a record that leaves the window, if it is the newest: the older ones have left before.
func (c conflation) remove(r *Record) {
	if r.newest != nil && !r.Superseded() {
		delete(c, r.newest.key)
	}
}
