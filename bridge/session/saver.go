package session

import (
	"context"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Store keeps pages where they outlast the process and others can read them. It must be safe for concurrent use.
type Store interface {
	// Put sets what is stored under a key, until a while after it was last set.
	Put(ctx context.Context, key string, value []byte) error
	// Watch calls changed with everything that is stored, then with an empty key, and then with every change, until ctx
	// is done.
	Watch(ctx context.Context, changed func(key string, value []byte)) error
}

const (
	// parkDelay is how long what was parked or taken up may wait for more, before it is saved.
	parkDelay = 20 * time.Millisecond
	// lastSave is how long the save at the end may take.
	lastSave = 5 * time.Second
	// rewatch is how long a store that cannot be followed is left alone.
	rewatch = time.Second
)

// TTLOf returns how long a store must keep a page after it was last set, for a registry with a park time: a page is set
// anew while it still counts, and it still counts for a park time after the process that set it was killed.
func TTLOf(parkTime time.Duration) time.Duration { return 2 * parkTime }

// saver keeps a registry's cursors in its store, and brings those of others into the registry's lot. What mu of the
// registry guards is said; the rest belongs to run.
type saver struct {
	registry *Registry
	instance uint64
	prefix   string // of the keys of its pages
	seed     maphash.Seed
	read     chan struct{} // closed once everything in the store is known
	hurry    chan struct{} // something was parked or taken up
	dirty    [pages]atomic.Bool
	first    int           // the page with which the next save begins
	took     time.Duration // the last save
	failed   bool
	strange  bool   // a page that cannot be read was told of
	full     bool   // that a page has no room was told
	cursors  []byte // of the page that is being encoded

	// Guarded by the registry's mu.

	lives    [pages]map[*Session]struct{}
	standing map[uint64]*Session          // the same by their ids' serials
	mine     [pages]map[entryID]time.Time // cursors of others that were taken up here, and until when that matters
	others   map[string]*page             // what others have stored, by key
}

func newSaver(r *Registry) *saver {
	s := &saver{
		registry: r, instance: rand.Uint64(), seed: maphash.MakeSeed(),
		read: make(chan struct{}), hurry: make(chan struct{}, 1),
		standing: make(map[uint64]*Session), others: make(map[string]*page),
	}
	s.prefix = prefixOf(s.instance)
	for i := range pages {
		s.lives[i], s.mine[i] = make(map[*Session]struct{}), make(map[entryID]time.Time)
	}
	return s
}

func prefixOf(instance uint64) string { return fmt.Sprintf("%016x.", instance) }

// touch notes that a page has changed.
func (s *saver) touch(page int) {
	if d := &s.dirty[page]; !d.Load() {
		d.Store(true)
	}
}

// began notes a connection. The registry's mu must be held.
func (s *saver) began(session *Session) {
	s.lives[session.page][session] = struct{}{}
	s.standing[session.id.serial] = session
	s.touch(session.page)
}

// ended sees to it that a connection that has ended is soon known everywhere to have. The registry's mu must be held.
func (s *saver) ended(session *Session) {
	delete(s.lives[session.page], session)
	delete(s.standing, session.id.serial)
	s.touch(session.page)
	s.hasten()
}

// hasten has what has changed saved soon.
func (s *saver) hasten() {
	select {
	case s.hurry <- struct{}{}:
	default:
	}
}

// tookUp tells the others soon that an entry is taken, in the page of who took it. The registry's mu must be held.
func (s *saver) tookUp(e *entry, page int) {
	s.touch(page)
	s.hasten()
	if e.of == nil {
		s.touch(e.page)
	} else if _, known := s.mine[page][e.id]; !known {
		s.mine[page][e.id] = time.Now().Add(TTLOf(s.registry.config.ParkTime))
		s.registry.lot.gone[e.id]++
	}
}

// stillStands gives a connection another id, since another bridge takes it to have ended: a client came there that may be
// the one that this was of, or another tab. mu must be held.
func (s *saver) stillStands(session *Session) {
	delete(s.standing, session.id.serial)
	session.id = s.registry.nextID()
	s.standing[session.id.serial] = session
	s.touch(session.page)
	s.hasten()
}

// run saves and follows until ctx is done, and saves a last time.
func (s *saver) run(ctx context.Context) error {
	var following sync.WaitGroup
	defer following.Wait()
	following.Go(func() { s.follow(ctx) })
	config := &s.registry.config
	save := time.NewTicker(config.SaveInterval)
	defer save.Stop()
	renew := time.NewTicker(config.ParkTime / 2)
	defer renew.Stop()
	for {
		select {
		case <-save.C:
			_, _ = s.save(ctx)
		case <-s.hurry:
			select {
			case <-time.After(s.delay()):
				_, _ = s.save(ctx)
			case <-ctx.Done():
			}
		case <-renew.C:
			s.renew()
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSave)
			defer cancel()
			for {
				// A page that cannot be saved holds up no other, and a moment later perhaps can be.
				if saved, err := s.save(last); err == nil || saved == 0 {
					return nil
				}
			}
		}
	}
}

// delay returns how long what was parked or taken up may wait for more: longer the more there is to save, so that saving
// takes a fifth of the time at the most.
func (s *saver) delay() time.Duration {
	return max(parkDelay, min(4*s.took, s.registry.config.SaveInterval))
}

// renew has the pages written again in which there is something, before they no longer count.
func (s *saver) renew() {
	r := s.registry
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range pages {
		s.forget(i, now)
		if len(s.lives[i]) > 0 || len(r.lot.saved[i]) > 0 || len(s.mine[i]) > 0 {
			s.touch(i)
		}
	}
}

// forget lets go of what was taken up so long ago that it no longer matters. The registry's mu must be held.
func (s *saver) forget(i int, now time.Time) {
	for id, until := range s.mine[i] {
		if now.After(until) {
			delete(s.mine[i], id)
			s.registry.lot.returned(id)
		}
	}
}

// save writes the pages that have changed, until one cannot be written: the next save then begins with those behind it.
// It returns how many it has written.
func (s *saver) save(ctx context.Context) (saved int, err error) {
	start := time.Now()
	defer func() { s.took = time.Since(start) }()
	for n := range pages {
		i := (s.first + n) % pages
		if !s.dirty[i].Swap(false) {
			continue
		}
		value, full := s.encode(i)
		if full && !s.full {
			s.full = true
			s.registry.config.Logger.Warn(
				"there are more sessions than can be saved; browsers beyond them resume only where this bridge still runs")
		}
		if err := s.registry.config.Store.Put(ctx, s.prefix+strconv.Itoa(i), value); err != nil {
			s.dirty[i].Store(true)
			s.first = (i + 1) % pages
			s.fail(ctx, err)
			return saved, err
		}
		saved++
	}
	if saved > 0 {
		s.fail(ctx, nil)
	}
	return saved, nil
}

// fail notes how a save has gone, and says so when that has changed.
func (s *saver) fail(ctx context.Context, err error) {
	switch failed := err != nil; {
	case ctx.Err() != nil: // it ends, and the last save says how that went
		return
	case failed && !s.failed:
		s.registry.config.Logger.Warn("sessions cannot be saved; until they can, browsers resume only where this bridge still runs", "err", err)
	case !failed && s.failed:
		s.registry.config.Logger.Info("sessions can be saved again")
	}
	s.failed = err != nil
}

// encode returns what there is to be stored in a page, and whether there is more than it has room for.
func (s *saver) encode(i int) (value []byte, full bool) {
	r := s.registry
	now := time.Now()
	p := page{instance: s.instance, epoch: r.config.Epoch, until: now.Add(TTLOf(r.config.ParkTime))}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	s.forget(i, now)
	cursors, n := s.cursors[:0], 0
	add := func(e *entry) {
		if n++; n <= perPage {
			cursors = e.append(cursors)
		}
	}
	for e := range r.lot.saved[i] {
		add(e)
	}
	for session := range s.lives[i] {
		if sure := session.sure.Load(); sure > 0 && s.saves(session, sure) { // else its handshake is not done
			e := session.entry(sure)
			add(&e)
		}
	}
	for id := range s.mine[i] {
		p.taken = append(p.taken, id)
	}
	full = n > perPage || len(p.taken) > takenPerPage
	p.taken = p.taken[:min(len(p.taken), takenPerPage)]
	value = p.appendHead(make([]byte, 0, 64+len(cursors)+18*len(p.taken)), min(n, perPage))
	value = p.appendTaken(append(value, cursors...))
	s.cursors = cursors[:0]
	return value, full
}

// saves reports whether a connection is one of those of its browser that are saved: beyond a number, the earliest of as
// many as a browser may have.
func (s *saver) saves(session *Session, sure uint64) bool {
	lives := s.registry.lives[session.owner]
	if len(lives) <= perOwner {
		return true
	}
	lives = lives[:min(len(lives), maxLives)]
	earlier, among := 0, false
	for _, other := range lives {
		among = among || other == session
		if at := other.sure.Load(); at > 0 && (at < sure || at == sure && other.id.serial < session.id.serial) {
			earlier++
		}
	}
	return among && earlier < perOwner
}

// entry returns a connection's live cursor, as it is stored.
func (s *Session) entry(sure uint64) entry {
	return entry{owner: s.owner, id: s.id, seq: sure, written: sure, kin: s.kin, fresh: s.fresh, live: true}
}
