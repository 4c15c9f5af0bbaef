package session

import (
	"context"
	"errors"
	"strings"
	"time"
)

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
	if strings.HasPrefix(key, s.prefix) {
		return
	}
	p := new(page)
	if value != nil {
		var err error
		if p, err = decodePage(value); err == nil && !strings.HasPrefix(key, prefixOf(p.instance)) {
			err = errors.New("it is another bridge's than its key says")
		}
		if err != nil {
			if !s.strange {
				s.strange = true
				s.registry.config.Logger.Error("a page of sessions cannot be read", "key", key, "err", err)
			}
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
	before := s.others[key]
	if p.epoch == r.config.Epoch && now.Before(p.until) {
		s.others[key] = p
		s.add(p, before)
	} else {
		delete(s.others, key)
	}
	s.remove(before)
	for key, p := range s.others { // those of bridges that are gone
		if !now.Before(p.until) {
			delete(s.others, key)
			s.remove(p)
		}
	}
}

// add takes in a page. Of the page before, what is still there stays in its place. The registry's mu must be held.
func (s *saver) add(p, before *page) {
	r := s.registry
	for _, id := range p.taken {
		r.lot.gone[id]++
		if id.instance != s.instance {
			continue
		}
		if session := s.standing[id.serial]; session != nil {
			s.stillStands(session)
		} else if e := r.lot.ids[id]; e != nil {
			r.drop(e)
		}
	}
	for i, e := range p.entries {
		was := r.lot.ids[e.id]
		switch {
		case was == nil:
			r.lot.add(e)
		case was.of == before && was.owner == e.owner && was.kin == e.kin && was.fresh == e.fresh:
			*was, p.entries[i] = *e, was
		default: // two pages have it: only one that is made up does
			continue
		}
	}
}

// remove forgets a page of another bridge, and what is in no other. The registry's mu must be held.
func (s *saver) remove(p *page) {
	if p == nil {
		return
	}
	for _, e := range p.entries {
		if e.of == p {
			s.registry.lot.remove(e)
		}
	}
	for _, id := range p.taken {
		s.registry.lot.returned(id)
	}
}
