package delivery

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/rotki/notification-bridge/bridge/journal"
)

// filter says which notifications a subscriber wants. Subscribers with equal filters share one, so that what was
// prepared for one of them serves all. The zero filter wants everything.
type filter struct {
	types []string // sorted; empty for all
	count int      // how many subscribers share it; guarded by audience.mu
}

func newFilter(types []string) *filter {
	types = slices.Clone(types)
	slices.Sort(types)
	return &filter{types: slices.Compact(types)}
}

func (f *filter) key() string { return strings.Join(f.types, ",") }

// wants reports whether a notification is for the filter's subscribers. One with recipients is for nobody as long
// as no subscriber has said who it is.
func (f *filter) wants(typ string, recipients []string) bool {
	if len(recipients) > 0 {
		return false
	}
	return len(f.types) == 0 || slices.Contains(f.types, typ)
}

func (f *filter) wantsRecord(r *journal.Record) bool { return f.wants(r.Type, r.Recipients) }

// audience counts the subscribers by filter. It is safe for concurrent use.
type audience struct {
	mu      sync.RWMutex
	filters map[string]*filter
	total   int
	empty   chan struct{} // closed when the last one leaves, if somebody waits for that
}

// join counts a subscriber and returns the filter that it shares.
func (a *audience) join(f *filter) *filter {
	a.mu.Lock()
	defer a.mu.Unlock()
	if shared := a.filters[f.key()]; shared != nil {
		f = shared
	} else {
		if a.filters == nil {
			a.filters = make(map[string]*filter)
		}
		a.filters[f.key()] = f
	}
	f.count++
	a.total++
	return f
}

func (a *audience) leave(f *filter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f.count--; f.count == 0 {
		delete(a.filters, f.key())
	}
	if a.total--; a.total == 0 && a.empty != nil {
		close(a.empty)
		a.empty = nil
	}
}

func (a *audience) count(typ string, recipients []string) int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	n := 0
	for _, f := range a.filters {
		if f.wants(typ, recipients) {
			n += f.count
		}
	}
	return n
}

func (a *audience) size() int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.total
}

// awaitEmpty returns when nobody is left or ctx is done.
func (a *audience) awaitEmpty(ctx context.Context) {
	a.mu.Lock()
	if a.total == 0 {
		a.mu.Unlock()
		return
	}
	if a.empty == nil {
		a.empty = make(chan struct{})
	}
	empty := a.empty
	a.mu.Unlock()
	select {
	case <-empty:
	case <-ctx.Done():
	}
}
