package session

import (
	"container/list"
	"hash/maphash"
	"math"
	"time"
)

const (
	// shadowTime is how long a cursor that was taken up can be taken up again.
	shadowTime = 10 * time.Second
	// perOwner is how many cursors are kept for one browser. Tabs beyond it share the earliest of theirs.
	perOwner = 32
)

// owner is whose a cursor is. The subject is a digest, 0 for nobody.
type owner struct {
	name    Name
	subject uint64
}

// entryID tells a cursor from all others, those of other bridges too.
type entryID struct {
	instance uint64
	serial   uint64
}

// entry is a cursor that can be taken up.
type entry struct {
	owner   owner
	id      entryID
	seq     uint64 // the cursor
	written uint64 // up to where the client was written to
	kin     uint64
	fresh   bool // no cookie had come with its connection's handshake
	live    bool // its connection is another bridge's, and may still stand
	expires time.Time

	place *list.Element // in the order in which they were parked here; nil for those of other bridges
}

func (e *entry) valid(now time.Time) bool { return now.Before(e.expires) }

// kinship is by what a client without a cookie is known.
type kinship struct{ kin, subject uint64 }

func (e *entry) kinship() kinship { return kinship{e.kin, e.owner.subject} }

// shadow is where the last of a browser's cursors was, after that was taken up.
//
// Of two handshakes with one name, which is of the tab that was cut off, and which of a tab that was opened meanwhile?
// Nobody can tell. So the second begins at the same place, as long as the first stands: a new tab gets some
// notifications that it would not have asked for, and no other loses any. Other bridges do not know of it: to them it would
// look no different from a browser whose bridge was killed, and that would get everything again.
type shadow struct {
	owner owner
	seq   uint64
	until time.Time
}

// lot is where cursors are parked. It is not safe for concurrent use.
type lot struct {
	owners  map[owner][]*entry
	kins    map[kinship][]*entry // of those that are fresh
	ids     map[entryID]*entry
	shadows map[owner]*shadow
	fading  []*shadow                  // the first that was cast at the front
	order   *list.List                 // of the entries parked here, the first at the front
	pages   [pages]map[*entry]struct{} // the same by the page on which they are stored
	seed    maphash.Seed               // of pageOf: which browsers share a page is not for clients to choose
}

func newLot() lot {
	l := lot{
		owners:  make(map[owner][]*entry),
		kins:    make(map[kinship][]*entry),
		ids:     make(map[entryID]*entry),
		shadows: make(map[owner]*shadow),
		order:   list.New(),
		seed:    maphash.MakeSeed(),
	}
	for i := range l.pages {
		l.pages[i] = make(map[*entry]struct{})
	}
	return l
}

// pageOf returns on which page a browser's cursors are stored.
func (l *lot) pageOf(n Name) int { return int(maphash.Bytes(l.seed, n[:]) % pages) }

// park adds an entry of this registry's own.
func (l *lot) park(e *entry) {
	if own := l.owners[e.owner]; len(own) >= perOwner {
		latest := latestOf(own)
		e.seq, e.written = min(e.seq, latest.seq), max(e.written, latest.written)
		l.remove(latest)
	}
	e.place = l.order.PushBack(e)
	l.pages[l.pageOf(e.owner.name)][e] = struct{}{}
	l.add(e)
}

// add makes an entry one that can be taken up.
func (l *lot) add(e *entry) {
	l.ids[e.id] = e
	l.owners[e.owner] = append(l.owners[e.owner], e)
	if e.fresh && e.kin != 0 {
		l.kins[e.kinship()] = append(l.kins[e.kinship()], e)
	}
}

// remove lets go of an entry, if it is there.
func (l *lot) remove(e *entry) {
	if l.ids[e.id] != e {
		return
	}
	delete(l.ids, e.id)
	without(l.owners, e.owner, e)
	if e.fresh && e.kin != 0 {
		without(l.kins, e.kinship(), e)
	}
	if e.place != nil {
		l.order.Remove(e.place)
		e.place = nil
		delete(l.pages[l.pageOf(e.owner.name)], e)
	}
}

func without[K comparable](m map[K][]*entry, key K, e *entry) {
	entries := m[key]
	for i, other := range entries {
		if other == e {
			entries[i] = entries[len(entries)-1]
			entries[len(entries)-1] = nil
			entries = entries[:len(entries)-1]
			break
		}
	}
	if len(entries) == 0 {
		delete(m, key)
	} else {
		m[key] = entries
	}
}

// first returns the entry that was parked here before all others; nil for none.
func (l *lot) first() *entry {
	if front := l.order.Front(); front != nil {
		return front.Value.(*entry)
	}
	return nil
}

func (l *lot) parked() int { return l.order.Len() }

// take takes up a browser's cursor: the earliest of them, so that nothing is lost whichever tab this is. As many can be
// taken up as were parked, and the earliest is there for the last of them too. taken is nil when it was a shadow.
func (l *lot) take(s *Session, now time.Time) (taken *entry, from uint64, ok bool) {
	from = math.MaxUint64
	var valid []*entry
	for _, e := range l.owners[s.owner] {
		if e.valid(now) {
			valid = append(valid, e)
			from, ok = min(from, e.seq), true
		}
	}
	if cast := l.shadows[s.owner]; cast != nil && now.Before(cast.until) {
		from, ok = min(from, cast.seq), true
	}
	if len(valid) == 0 {
		return nil, from, ok
	}
	taken = l.useUp(valid)
	if len(valid) == 1 {
		l.cast(s, taken, from, now)
	}
	return taken, from, true
}

// useUp removes one of a browser's entries: it is the latest cursor that goes, and the earliest time. Which tab has come
// back is not known, so that those to come must find the earliest cursors, and find them for as long as any of them has.
func (l *lot) useUp(valid []*entry) *entry {
	latest := latestOf(valid)
	first := latest
	for _, e := range valid {
		if e.place == nil { // another bridge's, which only that can change
			first = latest
			break
		}
		if e.expires.Before(first.expires) {
			first = e
		}
	}
	first.seq, latest.seq = latest.seq, first.seq
	first.written, latest.written = latest.written, first.written
	l.remove(first)
	return first
}

// takeKin takes up the cursor of the only client that is known by the same origin and user agent.
func (l *lot) takeKin(s *Session, now time.Time) (taken *entry, from uint64, ok bool) {
	for _, e := range l.kins[kinship{s.kin, s.owner.subject}] {
		if !e.valid(now) {
			continue
		}
		if taken != nil {
			return nil, 0, false
		}
		taken = e
	}
	if taken == nil {
		return nil, 0, false
	}
	l.remove(taken)
	l.cast(s, taken, taken.seq, now) // it may have been a browser's after all, which comes back with its cookie
	return taken, taken.seq, true
}

// cast leaves the shadow of an entry that was taken up.
func (l *lot) cast(taker *Session, taken *entry, from uint64, now time.Time) {
	for len(l.fading) > 0 && now.After(l.fading[0].until) {
		if faded := l.fading[0]; l.shadows[faded.owner] == faded {
			delete(l.shadows, faded.owner)
		}
		l.fading = l.fading[1:]
	}
	cast := &shadow{owner: taken.owner, seq: from, until: now.Add(shadowTime)}
	l.fading = append(l.fading, cast)
	l.shadows[cast.owner] = cast
	taker.shadow = cast
}

// leave removes the shadow that a session has cast, since it has ended: what it took up is parked with it, or done with.
func (l *lot) leave(s *Session) {
	if s.shadow != nil && l.shadows[s.shadow.owner] == s.shadow {
		delete(l.shadows, s.shadow.owner)
	}
	s.shadow = nil
}

func latestOf(entries []*entry) *entry {
	latest := entries[0]
	for _, e := range entries[1:] {
		if e.seq > latest.seq {
			latest = e
		}
	}
	return latest
}
