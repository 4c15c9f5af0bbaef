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

// tally counts subscribers by the types that they get, so that nobody who asks for others than everybody else does
// makes the counting slow.
type tally struct {
	all int // those without a choice of types
	of  map[string]int
}

// add counts n subscribers more with a filter. It reports whether any are left.
func (t *tally) add(f *filter, n int) bool {
	if f.types == nil {
		t.all += n
	}
	for _, typ := range f.types {
		if t.of == nil {
			t.of = make(map[string]int)
		}
		if t.of[typ] += n; t.of[typ] == 0 {
			delete(t.of, typ)
		}
	}
	return t.all > 0 || len(t.of) > 0
}

// wanting returns how many get a type. A nil tally is of nobody.
func (t *tally) wanting(typ string) int {
	if t == nil {
		return 0
	}
	return t.all + t.of[typ]
}

// audience counts the subscribers by what they get, and by subject. It is safe for concurrent use.
type audience struct {
	mu       sync.RWMutex
	filters  map[string]*filter
	everyone tally
	subjects map[string]*tally // of those who get any type
	total    int
	empty    chan struct{} // closed when the last one leaves, if somebody waits for that
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
			a.subjects = make(map[string]*tally)
		}
		a.filters[f.key()] = f
	}
	f.count++
	a.total++
	a.add(f, subject, 1)
	return f
}

func (a *audience) leave(f *filter, subject string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f.count--; f.count == 0 {
		delete(a.filters, f.key())
	}
	a.add(f, subject, -1)
	if a.total--; a.total == 0 && a.empty != nil {
		close(a.empty)
		a.empty = nil
	}
}

// add counts n connections more, everybody's and the subject's. mu must be held.
func (a *audience) add(f *filter, subject string, n int) {
	a.everyone.add(f, n)
	if subject == "" {
		return
	}
	own := a.subjects[subject]
	if own == nil {
		own = new(tally)
		a.subjects[subject] = own
	}
	if !own.add(f, n) {
		delete(a.subjects, subject)
	}
}

// count returns how many subscribers a notification is for. No recipient may be there twice.
func (a *audience) count(typ string, recipients []string) int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if len(recipients) == 0 {
		return a.everyone.wanting(typ)
	}
	n := 0
	for _, recipient := range recipients {
		n += a.subjects[recipient].wanting(typ)
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
