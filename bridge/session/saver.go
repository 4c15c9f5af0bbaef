package session

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rotki/notification-bridge/bridge/journal"
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
	// hurryDelay is how long what is to be saved at once waits for more.
	hurryDelay = 20 * time.Millisecond
	// lastSave is how long the save at the end may take.
	lastSave = 5 * time.Second
	// saveTime is how long one save may take. What it does not get to is the next one's.
	saveTime = 3 * time.Second
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
	read     chan struct{} // closed once everything in the store is known
	hurry    chan struct{} // a page is to be saved at once
	dirty    [pages]atomic.Bool
	urgent   [pages]atomic.Bool // of the dirty ones
	failed   bool

	// Guarded by the registry's mu.

	mine   [pages]map[entryID]time.Time // cursors of others that were taken up here, and until when that matters
	takers map[entryID]int              // on which of these pages they are: their taker's
	others map[string]*page             // what others have stored, by key
	theirs map[entryID]int              // cursors that others have taken up, and how many of their pages say so
}

func newSaver(r *Registry) *saver {
	s := &saver{
		registry: r, instance: journal.NewEpoch(), read: make(chan struct{}), hurry: make(chan struct{}, 1),
		takers: make(map[entryID]int), others: make(map[string]*page), theirs: make(map[entryID]int),
	}
	for i := range pages {
		s.mine[i] = make(map[entryID]time.Time)
	}
	return s
}

// touch notes that a page has changed.
func (s *saver) touch(page int) {
	if d := &s.dirty[page]; !d.Load() {
		d.Store(true)
	}
}

// soon sees to it that a page is saved at once: a connection has begun on it, or ended.
func (s *saver) soon(page int) {
	s.touch(page)
	s.urgent[page].Store(true)
	select {
	case s.hurry <- struct{}{}:
	default:
	}
}

// tookUp tells the others that an entry is taken, on the page of its taker: both are stored, or neither is.
func (s *saver) tookUp(e *entry, taker *Session) {
	s.touch(s.registry.lot.pageOf(e.owner.name))
	if e.id.instance != s.instance {
		s.mine[taker.page][e.id] = time.Now().Add(TTLOf(s.registry.config.ParkTime))
		s.takers[e.id] = taker.page
		s.touch(taker.page)
	}
}

// giveBack has an entry of another bridge's be one that nobody here has taken up.
func (s *saver) giveBack(id entryID) {
	page := s.takers[id]
	delete(s.takers, id)
	delete(s.mine[page], id)
	s.touch(page)
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
			s.save(ctx, false)
		case <-s.hurry:
			select {
			case <-time.After(hurryDelay):
				s.save(ctx, true)
			case <-ctx.Done():
			}
		case <-renew.C:
			s.renew()
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSave)
			defer cancel()
			s.save(last, false)
			return nil
		}
	}
}

// renew has the pages written again that have live cursors, before they no longer count.
func (s *saver) renew() {
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	for i, lives := range s.registry.lives {
		if len(lives) > 0 {
			s.touch(i)
		}
	}
}

// save writes the pages that have changed, or only those that cannot wait.
func (s *saver) save(ctx context.Context, urgent bool) {
	var changed [pages]*page
	some := false
	until := time.Now().Add(TTLOf(s.registry.config.ParkTime))
	for i := range pages {
		if hurry := s.urgent[i].Swap(false); urgent && !hurry {
			continue
		}
		if s.dirty[i].Swap(false) {
			some = true
			changed[i] = &page{instance: s.instance, epoch: s.registry.config.Epoch, until: until}
		}
	}
	if !some {
		return
	}
	s.fill(&changed)
	saving, cancel := context.WithTimeout(ctx, saveTime)
	defer cancel()
	var failed error
	for i, p := range changed {
		if p == nil {
			continue
		}
		if err := s.registry.config.Store.Put(saving, fmt.Sprintf("%016x.%d", s.instance, i), p.encode()); err != nil {
			s.dirty[i].Store(true)
			failed = err
		}
	}
	switch log := s.registry.config.Logger; {
	case ctx.Err() != nil: // it ends, and the last save says how that went
		return
	case failed != nil && !s.failed:
		log.Warn("sessions cannot be saved; until they can, browsers resume only where this bridge still runs", "err", failed)
	case failed == nil && s.failed:
		log.Info("sessions can be saved again")
	}
	s.failed = failed != nil
}

// fill puts into pages what there is to be stored in them.
func (s *saver) fill(into *[pages]*page) {
	r := s.registry
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	for i, p := range into {
		if p == nil {
			continue
		}
		for e := range r.lot.pages[i] {
			parked := *e // it may change when another is taken up
			p.add(&parked)
		}
		for owner, lives := range r.lives[i] {
			for _, session := range lives {
				if sure := session.sure.Load(); sure > 0 { // else its handshake is not done
					p.add(&entry{
						owner: owner, id: session.id, seq: sure, written: sure, kin: session.kin, fresh: session.fresh, live: true,
					})
				}
			}
		}
		for id, until := range s.mine[i] {
			if now.After(until) {
				s.giveBack(id)
			} else {
				p.taken = append(p.taken, id)
			}
		}
	}
}

// add adds an entry, if there is room.
func (p *page) add(e *entry) {
	if len(p.entries) < maxEntries {
		p.entries = append(p.entries, e)
	}
}

// follow takes in what others store.
func (s *saver) follow(ctx context.Context) {
	failed := false
	for ctx.Err() == nil {
		err := s.registry.config.Store.Watch(ctx, s.changed)
		if ctx.Err() != nil {
			return
		}
		if !failed {
			failed = true
			s.registry.config.Logger.Warn("sessions of other bridges cannot be followed, retrying", "err", err)
		}
		select {
		case <-time.After(rewatch):
		case <-ctx.Done():
		}
	}
}

// changed takes in one page.
func (s *saver) changed(key string, value []byte) {
	if key == "" {
		select {
		case <-s.read:
		default:
			close(s.read)
		}
		return
	}
	if strings.HasPrefix(key, fmt.Sprintf("%016x.", s.instance)) {
		return
	}
	p := new(page)
	if value != nil {
		var err error
		if p, err = decodePage(value); err != nil {
			s.registry.config.Logger.Error("a page of sessions cannot be read", "key", key, "err", err)
			return
		}
	}
	r := s.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	s.replace(key, p, time.Now())
}

// replace puts a page of another bridge in the place of the one before. The registry's mu must be held.
func (s *saver) replace(key string, p *page, now time.Time) {
	r := s.registry
	s.remove(key)
	for key, p := range s.others { // those of bridges that are gone
		if now.After(p.until) {
			s.remove(key)
		}
	}
	if p.epoch != r.config.Epoch || !now.Before(p.until) {
		return
	}
	s.others[key] = p
	for _, id := range p.taken {
		s.theirs[id]++
		if e := r.lot.ids[id]; e != nil {
			r.drop(e)
		}
	}
	for _, e := range p.entries {
		if _, taken := s.takers[e.id]; taken && e.live {
			// It still stands: it was another tab that began there, and this one may yet be lost.
			s.giveBack(e.id)
		}
		if s.isTaken(e.id) {
			continue
		}
		if r.lot.ids[e.id] == nil {
			r.lot.add(e)
		}
	}
}

// isTaken reports whether an entry of another bridge was taken up, here or by yet another. The registry's mu must be held.
func (s *saver) isTaken(id entryID) bool {
	_, here := s.takers[id]
	return here || s.theirs[id] > 0
}

// remove forgets a page of another bridge. The registry's mu must be held.
func (s *saver) remove(key string) {
	p := s.others[key]
	if p == nil {
		return
	}
	delete(s.others, key)
	for _, e := range p.entries {
		s.registry.lot.remove(e)
	}
	for _, id := range p.taken {
		if s.theirs[id]--; s.theirs[id] == 0 {
			delete(s.theirs, id)
		}
	}
}
