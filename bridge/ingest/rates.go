package ingest

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// rates are buckets of tokens, one per key.
type rates[K comparable] struct {
	mu      sync.Mutex
	each    rate.Limit
	burst   int
	buckets map[K]*rate.Limiter
}

func newRates[K comparable](perSecond float64, burst int) *rates[K] {
	return &rates[K]{each: rate.Limit(perSecond), burst: burst, buckets: make(map[K]*rate.Limiter)}
}

// Allow takes a token, or says when there will be one.
func (r *rates[K]) Allow(key K, now time.Time) (ok bool, retryAfter time.Duration) {
	r.mu.Lock()
	bucket := r.buckets[key]
	if bucket == nil {
		bucket = rate.NewLimiter(r.each, r.burst)
		r.buckets[key] = bucket
	}
	r.mu.Unlock()
	if bucket.AllowN(now, 1) {
		return true, 0
	}
	return false, time.Duration((1 - bucket.TokensAt(now)) / float64(r.each) * float64(time.Second))
}
