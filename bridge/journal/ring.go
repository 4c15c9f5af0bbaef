package journal

// ring is a queue of records in a circular buffer that grows as needed. It is not safe for concurrent use.
type ring struct {
	slots []slot // their number is 0 or a power of two
	head  int    // index of the oldest
	count int
}

type slot struct {
	record *Record
	size   int
}

func (r *ring) len() int { return r.count }

func (r *ring) at(i int) *slot { return &r.slots[(r.head+i)&(len(r.slots)-1)] }

func (r *ring) push(record *Record, size int) {
	if r.count == len(r.slots) {
		grown := make([]slot, max(64, 2*len(r.slots)))
		for i := range r.count {
			grown[i] = *r.at(i)
		}
		r.slots, r.head = grown, 0
	}
	r.count++
	*r.at(r.count - 1) = slot{record, size}
}

// oldest returns the record at the tail and its size. The ring must not be empty.
func (r *ring) oldest() (*Record, int) {
	s := r.at(0)
	return s.record, s.size
}

func (r *ring) pop() {
	*r.at(0) = slot{} // let the record go
	r.head = (r.head + 1) & (len(r.slots) - 1)
	r.count--
}

// copy fills into with the records from the index from on.
func (r *ring) copy(into []*Record, from int) int {
	n := min(len(into), r.count-from)
	for i := range n {
		into[i] = r.at(from + i).record
	}
	return n
}
