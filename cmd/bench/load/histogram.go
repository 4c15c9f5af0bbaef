//go:build linux

package load

import (
	"math"
	"math/bits"
	"time"
)

// Every power of two has so many buckets, which makes what a histogram tells exact to 1/256.
const (
	bucketBits = 7
	buckets    = 1 << bucketBits
)

// Histogram counts durations; what it takes does not depend on how many. The zero Histogram is empty.
type Histogram struct {
	counts [(64 - bucketBits) * buckets]int64
	total  int64
}

// Add counts a duration. One below 0, which a clock that was set can bring about, counts as 0.
func (h *Histogram) Add(d time.Duration) {
	v := uint64(max(d, 0))
	power := max(bits.Len64(v)-bucketBits-1, 0)
	h.counts[power<<bucketBits+int(v>>power)]++
	h.total++
}

// Merge adds what another one has counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
}

// Count returns how many durations were counted.
func (h *Histogram) Count() int64 { return h.total }

// Quantile returns the smallest duration such that the given part of all, between 0 and 1, are no longer. It is 0 when
// there are none.
func (h *Histogram) Quantile(part float64) time.Duration {
	rank := max(int64(math.Ceil(part*float64(h.total))), 1)
	for i, n := range h.counts {
		if rank -= n; rank <= 0 {
			return middle(i)
		}
	}
	return 0
}

// middle returns the duration in the middle of a bucket.
func middle(bucket int) time.Duration {
	power := max(bucket>>bucketBits-1, 0)
	low := (bucket - power<<bucketBits) << power
	return time.Duration(low + 1<<power>>1)
}
