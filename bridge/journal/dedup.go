package journal

import (
	"hash/maphash"
	"math"
	"time"
)

// dedup remembers the receipts of recent IDs, bounded in time and number. It is not safe for concurrent use.
//
// It is a hash table whose entries lie in a ring, oldest first, and are chained by their hash. With a map beside a
// queue, each ID that came and each that went would miss the processor's caches several times over, under the
// journal's lock; and a map of strings is much for the garbage collector to walk.
type dedup struct {
	window time.Duration
	limit  int
	seed   maphash.Seed
	start  time.Time
	slots  []remembered // their number is 0 or a power of two
	oldest int          // index of the oldest
	count  int
	chains []link // by hash, the newest of those that share it; their number is 0 or a power of two
}

type remembered struct {
	id      string
	receipt Receipt
	at      time.Duration // since start, which is smaller than a time
	hash    uint32
	older   link // the next of the chain
}

// link is one more than an index into slots; 0 ends a chain.
type link uint32

func newDedup(window time.Duration, limit int) dedup {
	return dedup{window: window, limit: min(limit, math.MaxInt32), seed: maphash.MakeSeed(), start: time.Now()}
}

func (d *dedup) hash(id string) uint32 { return uint32(maphash.String(d.seed, id)) }

// chain returns where the chain of a hash begins. There must be slots.
func (d *dedup) chain(hash uint32) *link { return &d.chains[int(hash)&(len(d.chains)-1)] }

func (d *dedup) lookup(id string, now time.Time) (Receipt, bool) {
	d.forget(now)
	if d.count == 0 {
		return Receipt{}, false
	}
	hash := d.hash(id)
	for l := *d.chain(hash); l != 0; l = d.slots[l-1].older {
		if r := &d.slots[l-1]; r.hash == hash && r.id == id {
			return r.receipt, true
		}
	}
	return Receipt{}, false
}

// remember adds an ID that lookup has not found.
func (d *dedup) remember(id string, r Receipt, now time.Time) {
	if d.count >= d.limit {
		d.forgetOldest()
	}
	if d.count == len(d.slots) {
		d.grow()
	}
	d.count++
	d.put((d.oldest+d.count-1)&(len(d.slots)-1), remembered{id: id, receipt: r, at: now.Sub(d.start), hash: d.hash(id)})
}

// put fills a slot and makes it the newest of its chain.
func (d *dedup) put(slot int, r remembered) {
	chain := d.chain(r.hash)
	r.older = *chain
	*chain = link(slot + 1)
	d.slots[slot] = r
}

func (d *dedup) grow() {
	slots := d.slots
	d.slots = make([]remembered, max(64, 2*len(slots)))
	d.chains = make([]link, 4*len(d.slots)) // few share one, and slots are larger
	for i := range d.count {
		d.put(i, slots[(d.oldest+i)&(len(slots)-1)])
	}
	d.oldest = 0
}

func (d *dedup) forget(now time.Time) {
	for d.count > 0 && now.Sub(d.start)-d.slots[d.oldest].at > d.window {
		d.forgetOldest()
	}
}

func (d *dedup) forgetOldest() {
	oldest := &d.slots[d.oldest]
	l := d.chain(oldest.hash)
	for *l != link(d.oldest+1) {
		l = &d.slots[*l-1].older
	}
	*l = 0 // what is oldest is last in its chain
	*oldest = remembered{}
	d.oldest = (d.oldest + 1) & (len(d.slots) - 1)
	d.count--
}
