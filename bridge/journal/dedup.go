package journal

import "time"

// dedup remembers the receipts of recent IDs, bounded in time and number. It is not safe for concurrent use.
type dedup struct {
	window   time.Duration
	limit    int
	receipts map[string]Receipt
	order    []remembered // a queue, oldest first, from start on
	start    int
}

type remembered struct {
	id string
	at time.Time
}

func newDedup(window time.Duration, limit int) dedup {
	return dedup{window: window, limit: limit, receipts: make(map[string]Receipt)}
}

func (d *dedup) lookup(id string, now time.Time) (Receipt, bool) {
	d.forget(now)
	r, ok := d.receipts[id]
	return r, ok
}

func (d *dedup) remember(id string, r Receipt, now time.Time) {
	d.receipts[id] = r
	d.order = append(d.order, remembered{id, now})
	d.forget(now)
}

func (d *dedup) forget(now time.Time) {
	for d.start < len(d.order) {
		oldest := &d.order[d.start]
		if len(d.receipts) <= d.limit && now.Sub(oldest.at) <= d.window {
			break
		}
		delete(d.receipts, oldest.id)
		*oldest = remembered{}
		d.start++
	}
	if d.start > len(d.order)/2 {
		// More than half is free: move the rest to the front, at a cost that is constant per ID.
		n := copy(d.order, d.order[d.start:])
		clear(d.order[n:])
		d.order, d.start = d.order[:n], 0
	}
}
