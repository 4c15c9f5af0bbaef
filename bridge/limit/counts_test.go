package limit_test

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rotki/notification-bridge/bridge/limit"
)

func TestCounts(t *testing.T) {
	var counts limit.Counts[string]
	for _, want := range []bool{true, true, false, false} {
		if got := counts.Take("a", 2); got != want {
			t.Errorf("took is %t, want %t", got, want)
		}
	}
	counts.Take("b", 0)
	if !counts.Take("b", 0) || counts.Take("b", 1) {
		t.Error("without a limit it is not counted")
	}
	if a, b, c := counts.Of("a"), counts.Of("b"), counts.Of("c"); a != 2 || b != 2 || c != 0 {
		t.Errorf("they hold %d, %d, %d", a, b, c)
	}
	counts.Release("a")
	if !counts.Take("a", 2) || counts.Take("a", 2) {
		t.Error("what was given back is not to be had, or more is")
	}
	for _, key := range []string{"a", "a", "a", "b", "b", "c"} { // some once too often
		counts.Release(key)
	}
	if counts.Of("a") != 0 || counts.Keys() != 0 {
		t.Errorf("it remembers %d keys, and a holds %d", counts.Keys(), counts.Of("a"))
	}
}

func TestCountsConcurrently(t *testing.T) {
	const most = 3
	var counts limit.Counts[int]
	var held [2]atomic.Int64
	var group sync.WaitGroup
	for i := range 8 {
		key := i % len(held)
		group.Go(func() {
			for range 1000 {
				if !counts.Take(key, most) {
					continue
				}
				if got := held[key].Add(1); got > most {
					t.Errorf("%d are held", got)
				}
				held[key].Add(-1)
				counts.Release(key)
			}
		})
	}
	group.Wait()
	if got := counts.Keys(); got != 0 {
		t.Errorf("%d keys are left", got)
	}
}

func TestSource(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7":          "192.0.2.7/32",
		"::ffff:192.0.2.7":   "192.0.2.7/32",
		"2001:db8:1:2::7":    "2001:db8:1:2::/64",
		"2001:db8:1:2:9::":   "2001:db8:1:2::/64",
		"::1":                "::/64",
		"fe80::1:2":          "fe80::1:2/128",
		"fe80::1:2%eth0":     "fe80::1:2/128",
		"2001:db8:1:2::7%e0": "2001:db8:1:2::/64",
	} {
		if got := limit.Source(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("of %s it is %s, want %s", addr, got, want)
		}
	}
	if got := limit.Source(netip.Addr{}); got.IsValid() {
		t.Errorf("of none it is %s", got)
	}
}
