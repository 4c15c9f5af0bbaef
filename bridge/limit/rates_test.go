package limit_test

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/limit"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestRates(t *testing.T) {
	rates := limit.NewRates[string](2, 3)
	for _, step := range []struct {
		at   time.Duration
		key  string
		want time.Duration // until it may again; 0 if it may now
	}{
		{0, "a", 0},
		{0, "a", 0},
		{0, "a", 0},
		{0, "a", 500 * time.Millisecond},
		{0, "b", 0},
		{100 * time.Millisecond, "a", 400 * time.Millisecond},
		{499 * time.Millisecond, "a", time.Millisecond},
		{500 * time.Millisecond, "a", 0}, // those that were refused took nothing
		{500 * time.Millisecond, "a", 500 * time.Millisecond},
		{0, "a", 500 * time.Millisecond}, // a clock that was looked at before
		{500 * time.Millisecond, "c", 0},
		{0, "c", 0},
		{0, "c", 0},
		{500 * time.Millisecond, "c", 500 * time.Millisecond}, // and no time has passed since then
		{time.Hour, "a", 0},
		{time.Hour, "a", 0},
		{time.Hour, "a", 0},
		{time.Hour, "a", 500 * time.Millisecond}, // more than the burst is not saved up
	} {
		ok, wait := rates.Allow(step.key, start.Add(step.at))
		if ok != (step.want == 0) || wait.Round(time.Microsecond) != step.want {
			t.Errorf("at %v %s got %t, %v, want %v", step.at, step.key, ok, wait, step.want)
		}
	}
}

func TestRatesWithoutLimit(t *testing.T) {
	var none *limit.Rates[int]
	for _, rates := range []*limit.Rates[int]{none, limit.NewRates[int](0, 1), limit.NewRates[int](math.Inf(1), 1)} {
		for range 10 {
			if ok, wait := rates.Allow(1, start); !ok || wait != 0 {
				t.Errorf("refused for %v", wait)
			}
		}
	}
	if ok, _ := limit.NewRates[int](1, 0).Allow(1, start); !ok {
		t.Error("without a burst nothing is ever allowed")
	}
	rates := limit.NewRates[int](math.SmallestNonzeroFloat64, 1)
	rates.Allow(1, start)
	if ok, wait := rates.Allow(1, start); ok || wait != math.MaxInt64 {
		t.Errorf("got %t, %v", ok, wait)
	}
}

func TestRatesForget(t *testing.T) {
	rates := limit.NewRates[int](1, 2)
	rates.SetMaxKeys(3)
	allow := func(key int, at time.Duration, want bool) {
		t.Helper()
		if ok, _ := rates.Allow(key, start.Add(at)); ok != want {
			t.Errorf("at %v %d got %t", at, key, ok)
		}
	}
	for key := range 3 {
		allow(key, 0, true)
		allow(key, 0, true)
	}
	allow(0, 0, false) // and is the last to have asked
	allow(3, 0, true)  // in the place of 1
	allow(0, 0, false)
	allow(2, 0, false)
	allow(1, 0, true) // in the place of 3: it begins anew
	if got := rates.Keys(); got != 3 {
		t.Errorf("it remembers %d keys", got)
	}
	allow(4, time.Minute, true) // all are full again; two of them go at once, and the last with the next
	allow(4, time.Minute, true)
	if got := rates.Keys(); got != 1 {
		t.Errorf("it remembers %d keys", got)
	}
}

func TestRatesRemember65536(t *testing.T) {
	rates := limit.NewRates[int](1, 1)
	for key := range 70_000 {
		rates.Allow(key, start)
	}
	if got := rates.Keys(); got != 65_536 {
		t.Errorf("it remembers %d keys", got)
	}
}

func TestRatesConcurrently(t *testing.T) {
	rates := limit.NewRates[int](1, 100)
	var allowed [4]atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 1000 {
				if ok, _ := rates.Allow(i%4, start); ok {
					allowed[i%4].Add(1)
				}
			}
		})
	}
	group.Wait()
	for key := range allowed {
		if got := allowed[key].Load(); got != 100 {
			t.Errorf("%d was allowed %d times", key, got)
		}
	}
}

// FuzzRates holds rates against what they promise, whatever asks when.
func FuzzRates(f *testing.F) {
	f.Add(uint16(10), uint8(3), uint8(2), []byte{1, 0, 1, 0, 1, 0, 2, 9, 1, 200, 3, 0})
	f.Add(uint16(1), uint8(1), uint8(1), []byte{1, 0, 2, 0, 1, 0, 2, 0})
	f.Add(uint16(65535), uint8(255), uint8(8), []byte{1, 1, 2, 1, 1, 1, 255, 255, 1, 1})
	f.Fuzz(func(t *testing.T, tenths uint16, burst, maxKeys uint8, steps []byte) {
		perSecond, most := float64(tenths)/10+0.1, max(int(burst), 1)
		rates := limit.NewRates[byte](perSecond, int(burst))
		rates.SetMaxKeys(int(maxKeys) + 1)
		// kept is what asks all the time, so that it is never pushed out where there is room for another.
		const kept = 0
		allowed, now := 0, start
		for ; len(steps) >= 2; steps = steps[2:] {
			now = now.Add(time.Duration(steps[1]) * time.Duration(steps[1]) * time.Millisecond)
			rates.Allow(steps[0]|1, now)
			ok, wait := rates.Allow(kept, now)
			if ok {
				allowed++
			}
			if ok != (wait == 0) {
				t.Fatalf("got %t, %v", ok, wait)
			}
			if got := rates.Keys(); got > int(maxKeys)+1 {
				t.Fatalf("it remembers %d keys of %d", got, int(maxKeys)+1)
			}
			bound := float64(most) + perSecond*now.Sub(start).Seconds() + 1e-3
			if maxKeys > 0 && float64(allowed) > bound {
				t.Fatalf("allowed %d in %v, of at most %v", allowed, now.Sub(start), bound)
			}
			if !ok && wait > time.Microsecond {
				if ok, _ := rates.Allow(kept, now.Add(wait/2)); ok {
					t.Fatalf("allowed after half of %v", wait)
				}
				if ok, _ := rates.Allow(kept, now.Add(wait)); !ok {
					t.Fatalf("refused after %v", wait)
				}
				allowed++
				now = now.Add(wait)
			}
		}
	})
}
