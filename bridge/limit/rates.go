package limit

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxKeys is how many keys Rates remembers.
	maxKeys = 65_536
	// forgetAtOnce is how many keys may be forgotten when one asks: more than may be added, so that they get fewer.
	forgetAtOnce = 2
)

// Rates bounds how often each of many keys may do something, by a token bucket each. A nil *Rates bounds nothing.
//
// It remembers the 65,536 keys that have asked last. One whose bucket is full again is forgotten sooner: it would be
// given a full one anyway. A key that is pushed out by so many others begins anew, with a full bucket.
type Rates[K comparable] struct {
	perSecond rate.Limit
	burst     int
	maxKeys   int

	mu      sync.Mutex
	buckets map[K]*bucket[K]
	asked   bucket[K] // heads a ring of all of them: next asked longest ago, prev asked last
	latest  time.Time // time does not go back, though callers may come in another order than they looked at the clock
}

type bucket[K comparable] struct {
	key        K
	limiter    *rate.Limiter
	prev, next *bucket[K]
}

// NewRates returns rates by which each key may do something burst times at once, at least once, and perSecond times a
// second in the long run. perSecond must not be negative; 0 means no limit, and returns nil.
func NewRates[K comparable](perSecond float64, burst int) *Rates[K] {
	if perSecond == 0 {
		return nil
	}
	r := &Rates[K]{
		perSecond: rate.Limit(perSecond),
		burst:     max(burst, 1),
		maxKeys:   maxKeys,
		buckets:   make(map[K]*bucket[K]),
	}
	r.asked.prev, r.asked.next = &r.asked, &r.asked
	return r
}

// Allow says whether the key may do it once more. If not, it takes nothing from the key, and says after how long it
// may, provided that it does nothing in between.
func (r *Rates[K]) Allow(key K, now time.Time) (ok bool, retryAfter time.Duration) {
	if r == nil {
		return true, 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.latest) {
		now = r.latest
	}
	r.latest = now
	limiter := r.limiter(key)
	if limiter.AllowN(now, 1) {
		return true, 0
	}
	return false, wait(1-limiter.TokensAt(now), r.perSecond)
}

// limiter returns the key's bucket, as the one that has asked last, and forgets others that are not needed.
func (r *Rates[K]) limiter(key K) *rate.Limiter {
	for range forgetAtOnce {
		first := r.asked.next
		if first == &r.asked || first.limiter.TokensAt(r.latest) < float64(r.burst) {
			break
		}
		r.forget(first)
	}
	b, ok := r.buckets[key]
	if ok {
		b.unlink()
	} else {
		if len(r.buckets) >= r.maxKeys {
			r.forget(r.asked.next)
		}
		b = &bucket[K]{key: key, limiter: rate.NewLimiter(r.perSecond, r.burst)}
		r.buckets[key] = b
	}
	b.prev, b.next = r.asked.prev, &r.asked
	b.prev.next, b.next.prev = b, b
	return b.limiter
}

func (r *Rates[K]) forget(b *bucket[K]) {
	b.unlink()
	delete(r.buckets, b.key)
}

func (b *bucket[K]) unlink() { b.prev.next, b.next.prev = b.next, b.prev }

// wait returns how long it takes until there are so many more tokens, at least a nanosecond.
func wait(tokens float64, perSecond rate.Limit) time.Duration {
	ns := math.Ceil(tokens / float64(perSecond) * float64(time.Second))
	if ns >= math.MaxInt64 {
		return math.MaxInt64
	}
	return max(time.Duration(ns), 1)
}
