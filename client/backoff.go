package client

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Backoff bounds the pauses between attempts to reach the bridge. A pause doubles with each attempt that fails, and
// each is shortened by up to a half at random, so that many clients do not come back at the same moment.
type Backoff struct {
	// Min is the first pause; 100 ms by default.
	Min time.Duration
	// Max is the longest pause; 5 s by default.
	Max time.Duration
}

func (b Backoff) withDefaults() (Backoff, error) {
	if b.Min == 0 {
		b.Min = 100 * time.Millisecond
	}
	if b.Max == 0 {
		b.Max = max(5*time.Second, b.Min)
	}
	if b.Min < 0 || b.Max < b.Min {
		return b, fmt.Errorf("backoff from %v to %v: Min must be positive and at most Max", b.Min, b.Max)
	}
	return b, nil
}

// pauses is the state of a backoff.
type pauses struct {
	bounds Backoff
	next   time.Duration
}

// take returns how long to wait before the next attempt.
func (p *pauses) take() time.Duration {
	d := max(p.next, p.bounds.Min)
	p.next = min(2*d, p.bounds.Max)
	return d - rand.N(d/2+1)
}

// reset is called when an attempt got somewhere.
func (p *pauses) reset() { p.next = 0 }
