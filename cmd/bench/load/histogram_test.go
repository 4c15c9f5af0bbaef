//go:build linux

package load

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// What a histogram tells is within one percent of what sorting tells.
func TestQuantiles(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 3, 10, 1000, 100_000} {
		first, second := new(Histogram), new(Histogram)
		var all []time.Duration
		for i := range n {
			d := time.Duration(math.Exp(random.Float64() * 24)) // up to 26 s
			all = append(all, d)
			if i%2 == 0 {
				first.Add(d)
			} else {
				second.Add(d)
			}
		}
		first.Merge(second)
		slices.Sort(all)
		for _, part := range []float64{0, 0.01, 0.5, 0.9, 0.99, 1} {
			want := all[max(int(math.Ceil(part*float64(n)))-1, 0)]
			if got := first.Quantile(part); math.Abs(float64(got-want)) > float64(want)/100 {
				t.Errorf("of %d, %v is %v; want %v", n, part, got, want)
			}
		}
		if first.Count() != int64(n) {
			t.Errorf("counted %d, want %d", first.Count(), n)
		}
	}
}

func TestQuantileLimits(t *testing.T) {
	h := new(Histogram)
	if got := h.Quantile(0.5); got != 0 {
		t.Errorf("of nothing it is %v", got)
	}
	h.Add(-time.Second)
	if got := h.Quantile(1); got != 0 {
		t.Errorf("a negative one counts as %v", got)
	}
	h.Add(math.MaxInt64)
	if got := h.Quantile(1); float64(got) < 0.99*math.MaxInt64 {
		t.Errorf("the greatest counts as %v", got)
	}
}
