package delivery

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// filter says which notification types a subscriber gets. Subscribers with equal filters share one, so that what was
// prepared for one of them serves all.
type filter struct {
	types []string // sorted; nil for all
	count int      // how many subscribers share it; guarded by audience.mu
}

// newFilter returns the filter for some types; nil for all, and empty for none.
func newFilter(types []string) *filter {
	if types == nil {
		return new(filter)
	}
	types = append([]string{}, types...)
	slices.Sort(types)
	return &filter{types: slices.Compact(types)}
}

// key is the same for equal filters only, whatever is in a token's claim.
func (f *filter) key() string {
	if f.types == nil {
		return ""
	}
	return fmt.Sprintf("%q", f.types)
}

// wants reports whether a notification's type is among those that the filter's subscribers get.
func (f *filter) wants(typ string) bool { return f.types == nil || slices.Contains(f.types, typ) }

// audience counts the subscribers by filter and by subject. It is safe for concurrent use.
type audience struct {
	mu       sync.RWMutex
	filters  map[string]*filter
	subjects map[string][]share
	total    int
	empty    chan struct{} // closed when the last one leaves, if somebody waits for that
}

// share is how many of a subject's connections have a filter.
type share struct {
	filter *filter
	count  int
}

// join counts a subscriber and returns the filter that it shares. The subject is empty for somebody anonymous.
func (a *audience) join(f *filter, subject string) *filter {
	a.mu.Lock()
	defer a.mu.Unlock()
	if shared := a.filters[f.key()]; shared != nil {
		f = shared
	} else {
		if a.filters == nil {
			a.filters = make(map[string]*filter)
			a.subjects = make(map[string][]share)
		}
		a.filters[f.key()] = f
	}
	f.count++
	a.total++
	if subject != "" {
		a.add(subject, f, 1)
	}
	return f
}

func (a *audience) leave(f *filter, subject string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f.count--; f.count == 0 {
		delete(a.filters, f.key())
	}
	if subject != "" {
		a.add(subject, f, -1)
	}
	if a.total--; a.total == 0 && a.empty != nil {
		close(a.empty)
		a.empty = nil
	}
}

// add changes how many of a subject's connections have a filter. mu must be held.
func (a *audience) add(subject string, f *filter, n int) {
	shares := a.subjects[subject]
	i := slices.IndexFunc(shares, func(s share) bool { return s.filter == f })
	if i < 0 {
		a.subjects[subject] = append(shares, share{f, n})
		return
	}
	if shares[i].count += n; shares[i].count > 0 {
		return
	}
	if shares = slices.Delete(shares, i, i+1); len(shares) > 0 {
		a.subjects[subject] = shares
	} else {
		delete(a.subjects, subject)
	}
}

// count returns how many subscribers a notification is for. No recipient may be there twice.
func (a *audience) count(typ string, recipients []string) int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	n := 0
	if len(recipients) == 0 {
		for _, f := range a.filters {
			if f.wants(typ) {
				n += f.count
			}
		}
	}
	for _, recipient := range recipients {
		for _, s := range a.subjects[recipient] {
			if s.filter.wants(typ) {
				n += s.count
			}
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
