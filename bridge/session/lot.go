package session

import (
	"container/list"
	"slices"
	"time"
)

// perOwner is how many cursors are kept for one browser. Tabs beyond it share the earliest of theirs.
const perOwner = 32

// share is the part of all cursors that may be one subject's before its own make room for each other.
const share = 16

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

	page  int           // in which it is saved, if it was parked here
	place *list.Element // in the order in which they were parked here; nil for those of other bridges
	turn  *list.Element // the same, among those of its subject
	of    *page         // in which another bridge has it; nil for those parked here
}

// kinship is by what a client without a cookie is known.
type kinship struct{ kin, subject uint64 }

func (e *entry) kinship() kinship { return kinship{e.kin, e.owner.subject} }

// shadow is where the last of a browser's cursors was, after that was taken up.
//
// Of two handshakes with one name, which is of the tab that was cut off, and which of a tab that was opened meanwhile?
// Nobody can tell. So the second begins at the same place, as long as the first stands and the cursor would have been
// kept: a new tab gets some notifications that it would not have asked for, and no other loses any. Other bridges are not
// told: to them it would look no different from a browser whose bridge was killed, and that would get everything again.
type shadow struct {
	seq   uint64
	until time.Time
	taken *entry // what was taken up
	late  bool   // it was taken up before it was parked
}

// lot is where cursors are parked. It is not safe for concurrent use.
type lot struct {
	parkTime time.Duration
	owners   map[owner][]*entry
	kins     map[kinship][]*entry // of those that are fresh
	ids      map[entryID]*entry
	gone     map[entryID]int       // those of other bridges that were taken up, and how many say so
	shadows  map[owner][]*shadow   // of those who took up and still stand
	order    *list.List            // of the entries parked here, the first at the front
	crowds   map[uint64]*list.List // the same, by subject
	saved    [pages]map[*entry]struct{}
}

func newLot(parkTime time.Duration) lot {
	l := lot{
		parkTime: parkTime,
		owners:   make(map[owner][]*entry),
		kins:     make(map[kinship][]*entry),
		ids:      make(map[entryID]*entry),
		gone:     make(map[entryID]int),
		shadows:  make(map[owner][]*shadow),
		order:    list.New(),
		crowds:   make(map[uint64]*list.List),
	}
	for i := range l.saved {
		l.saved[i] = make(map[*entry]struct{})
	}
	return l
}

// park adds an entry of this registry's own.
func (l *lot) park(e *entry) {
	var latest *entry
	parked := 0
	for _, other := range l.owners[e.owner] {
		if other.place == nil || other.page != e.page {
			continue
		}
		if parked++; latest == nil || other.seq > latest.seq {
			latest = other
		}
	}
	if parked >= perOwner {
		e.seq, e.written = min(e.seq, latest.seq), max(e.written, latest.written)
		l.remove(latest)
	}
	crowd := l.crowds[e.owner.subject]
	if crowd == nil {
		crowd = list.New()
		l.crowds[e.owner.subject] = crowd
	}
	e.place, e.turn = l.order.PushBack(e), crowd.PushBack(e)
	l.saved[e.page][e] = struct{}{}
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
		crowd := l.crowds[e.owner.subject]
		if crowd.Remove(e.turn); crowd.Len() == 0 {
			delete(l.crowds, e.owner.subject)
		}
		e.place, e.turn = nil, nil
		delete(l.saved[e.page], e)
	}
}

// without takes one value out of a list in a map. The order in the list does not matter.
func without[K, V comparable](m map[K][]V, key K, value V) {
	values := m[key]
	if i := slices.Index(values, value); i >= 0 {
		values[i] = values[len(values)-1]
		clear(values[len(values)-1:])
		values = values[:len(values)-1]
	}
	if len(values) == 0 {
		delete(m, key)
	} else {
		m[key] = values
	}
}

// first returns the entry that was parked here before all others; nil for none.
func (l *lot) first() *entry {
	if front := l.order.Front(); front != nil {
		return front.Value.(*entry)
	}
	return nil
}

// surplus returns the entry that makes room for one that was parked, of at most so many: the first of its subject where
// that has its share, or else of all. Whoever comes and goes without an end so takes nobody else's place.
func (l *lot) surplus(parked *entry, limit int) *entry {
	subject := parked.owner.subject
	if crowd := l.crowds[subject]; subject != 0 && crowd.Len() > max(1, limit/share) {
		return crowd.Front().Value.(*entry)
	}
	return l.first()
}

func (l *lot) parked() int { return l.order.Len() }

// returned notes that one less says of an entry that it was taken up.
func (l *lot) returned(id entryID) {
	if l.gone[id]--; l.gone[id] <= 0 {
		delete(l.gone, id)
	}
}

func (l *lot) valid(e *entry, now time.Time) bool { return now.Before(e.expires) && l.gone[e.id] == 0 }

// taking is what a handshake takes up.
type taking struct {
	ok      bool
	from    uint64
	written uint64   // up to where whoever comes back may have got it
	taken   []*entry // what is used up by that; none for a shadow
	longer  *entry   // stays longer for it; nil for none
	parked  *entry   // takes the place of what is used up, when it is in another bridge's page
}

// begin has a handshake begin no later than at a cursor.
func (t *taking) begin(at, written uint64) {
	if !t.ok || at < t.from {
		t.from = at
	}
	t.ok, t.written = true, max(t.written, written)
}

// take takes up a browser's cursor: the earliest of them, so that nothing is lost whichever tab this is. It is the latest
// that is used up by that: the earliest stays until as many have come back as were cut off, and for as long as the last
// of them may.
func (l *lot) take(s *Session, now time.Time) (t taking) {
	var latest *entry
	for _, e := range l.owners[s.owner] {
		if !l.valid(e, now) {
			continue
		}
		t.begin(e.seq, e.written)
		if latest == nil || e.later(latest) {
			latest = e
		}
	}
	for _, c := range l.shadows[s.owner] {
		if now.Before(c.until) {
			t.begin(c.seq, c.taken.written)
		}
	}
	if latest == nil {
		return t
	}
	var lasting *entry // of those that stay: what is live may move on
	for _, e := range l.owners[s.owner] {
		if e != latest && !e.live && l.valid(e, now) && (lasting == nil || e.expires.After(lasting.expires)) {
			lasting = e
		}
	}
	l.remove(latest)
	t.taken = append(t.taken, latest)
	switch until := l.until(latest, now); {
	case lasting == nil:
		l.cast(s, latest, t.from, until)
	case !lasting.expires.Before(until):
	case lasting.place != nil:
		lasting.expires, t.longer = until, lasting
		l.order.MoveToBack(lasting.place)
		l.crowds[lasting.owner.subject].MoveToBack(lasting.turn)
	default:
		l.remove(lasting)
		t.taken = append(t.taken, lasting)
		t.parked = &entry{
			owner: lasting.owner, seq: lasting.seq, written: lasting.written,
			kin: lasting.kin, fresh: lasting.fresh, expires: until,
		}
	}
	return t
}

// later reports whether an entry is to be used up before another: it is further on, or else surely that of a connection
// that has ended.
func (e *entry) later(other *entry) bool {
	if e.seq != other.seq {
		return e.seq > other.seq
	}
	return !e.live && other.live
}

// until returns for how long whoever an entry is of may come back.
func (l *lot) until(e *entry, now time.Time) time.Time {
	if latest := now.Add(l.parkTime); e.live && e.expires.After(latest) {
		return latest // than that, nobody was cut off before now
	}
	return e.expires
}

// takeKin takes up the cursor of the only client that is known by the same origin and user agent.
func (l *lot) takeKin(s *Session, now time.Time) (t taking) {
	var only *entry
	for _, e := range l.kins[kinship{s.kin, s.owner.subject}] {
		if !l.valid(e, now) {
			continue
		}
		if only != nil {
			return taking{}
		}
		only = e
	}
	if only == nil {
		return taking{}
	}
	if only.place != nil {
		s.page = only.page // so that what was taken up goes and its taker comes with one write
	}
	t.begin(only.seq, only.written)
	l.remove(only)
	t.taken = append(t.taken, only)
	// It may have been a browser's after all, which comes back with its cookie.
	l.cast(s, only, t.from, l.until(only, now))
	return t
}

// cast leaves the shadow of an entry that was taken up.
func (l *lot) cast(taker *Session, taken *entry, from uint64, until time.Time) {
	taker.shadow = &shadow{seq: from, until: until, taken: taken}
	l.shadows[taken.owner] = append(l.shadows[taken.owner], taker.shadow)
}

// leave removes the shadow that a session has cast, since it has ended, and returns it; nil for none.
func (l *lot) leave(s *Session) *shadow {
	cast := s.shadow
	if cast != nil {
		without(l.shadows, cast.taken.owner, cast)
		s.shadow = nil
	}
	return cast
}
