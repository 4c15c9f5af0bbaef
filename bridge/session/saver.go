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
	// parkDelay is how long what was parked may wait for more, before it is saved.
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
	read     chan struct{} // closed once everything in the store is known
	hurry    chan struct{} // something was parked
	dirty    [pages]atomic.Bool
	failed   bool

	// Guarded by the registry's mu.

	mine   [pages]map[entryID]time.Time // cursors of others that were taken up here, and until when that matters
	others map[string]*page             // what others have stored, by key
	theirs map[entryID]int              // cursors that others have taken up, and how many of their pages say so
}

func newSaver(r *Registry) *saver {
	s := &saver{
		registry: r, instance: journal.NewEpoch(), read: make(chan struct{}), hurry: make(chan struct{}, 1),
		others: make(map[string]*page), theirs: make(map[entryID]int),
	}
	for i := range pages {
		s.mine[i] = make(map[entryID]time.Time)
	}
	return s
}

// touch notes that a page has changed.
func (s *saver) touch(n Name) {
	if d := &s.dirty[pageOf(n)]; !d.Load() {
		d.Store(true)
	}
}

// ended sees to it that a connection that has ended is soon known everywhere to have.
func (s *saver) ended(session *Session) {
	s.touch(session.owner.name)
	select {
	case s.hurry <- struct{}{}:
	default:
	}
}

// tookUp tells the others that an entry is taken.
func (s *saver) tookUp(e *entry) {
	s.touch(e.owner.name)
	if e.id.instance != s.instance {
		s.mine[pageOf(e.owner.name)][e.id] = time.Now().Add(TTLOf(s.registry.config.ParkTime))
	}
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
			s.save(ctx)
		case <-s.hurry:
			select {
			case <-time.After(parkDelay):
				s.save(ctx)
			case <-ctx.Done():
			}
		case <-renew.C:
			s.renew()
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSave)
			defer cancel()
			s.save(last)
			return nil
		}
	}
}

// renew has the pages written again that have live cursors, before they no longer count.
func (s *saver) renew() {
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	for owner := range s.registry.lives {
		s.touch(owner.name)
	}
}

// save writes the pages that have changed.
func (s *saver) save(ctx context.Context) {
	var changed [pages]*page
	some := false
	until := time.Now().Add(TTLOf(s.registry.config.ParkTime))
	for i := range pages {
		if s.dirty[i].Swap(false) {
			some = true
			changed[i] = &page{instance: s.instance, epoch: s.registry.config.Epoch, until: until}
		}
	}
	if !some {
		return
	}
	s.fill(&changed)
	for i, p := range changed {
		if p == nil {
			continue
		}
		if err := s.put(ctx, i, p); err != nil {
			for ; i < pages; i++ {
				if changed[i] != nil {
					s.dirty[i].Store(true)
				}
			}
			return
		}
	}
}

func (s *saver) put(ctx context.Context, i int, p *page) error {
	err := s.registry.config.Store.Put(ctx, fmt.Sprintf("%016x.%d", s.instance, i), p.encode())
	switch failed := err != nil; {
	case ctx.Err() != nil: // it ends, and the last save says how that went
		return err
	case failed && !s.failed:
		s.registry.config.Logger.Warn("sessions cannot be saved; until they can, browsers resume only where this bridge still runs", "err", err)
	case !failed && s.failed:
		s.registry.config.Logger.Info("sessions can be saved again")
	}
	s.failed = err != nil
	return err
}

// fill puts into pages what there is to be stored in them.
func (s *saver) fill(into *[pages]*page) {
	r := s.registry
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	for owner, lives := range r.lives {
		p := into[pageOf(owner.name)]
		if p == nil {
			continue
		}
		for _, session := range lives {
			if sure := session.sure.Load(); sure > 0 { // else its handshake is not done
				p.entries = append(p.entries, &entry{
					owner: owner, id: session.id, seq: sure, written: sure, kin: session.kin, fresh: session.fresh, live: true,
				})
			}
		}
	}
	for at := r.lot.order.Front(); at != nil; at = at.Next() {
		e := at.Value.(*entry)
		if p := into[pageOf(e.owner.name)]; p != nil {
			p.entries = append(p.entries, e)
		}
	}
	for i, p := range into {
		if p == nil {
			continue
		}
		for id, until := range s.mine[i] {
			if now.After(until) {
				delete(s.mine[i], id)
			} else {
				p.taken = append(p.taken, id)
			}
		}
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
		mine := s.mine[pageOf(e.owner.name)]
		if _, taken := mine[e.id]; taken && e.live {
			// It still stands: it was another tab that began there, and this one may yet be lost.
			delete(mine, e.id)
			s.touch(e.owner.name)
		} else if taken {
			continue
		}
		if s.theirs[e.id] == 0 && r.lot.ids[e.id] == nil {
			r.lot.add(e)
		}
	}
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
