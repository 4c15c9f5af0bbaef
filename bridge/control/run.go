package control

import (
	"context"
	"sync"
	"time"

	"github.com/rotki/notification-bridge/bridge/delivery"
)

// presence is what a server knows of whether others ask it.
type presence struct {
	ready chan struct{} // closed once they do, and all that was revoked before is known
	back  chan int      // tells that they do again, and how many lapses there had been

	mu     sync.Mutex
	lapses int // how many times they may have begun not to
	once   sync.Once
}

func newPresence() presence {
	return presence{ready: make(chan struct{}), back: make(chan int, 1)}
}

// Run follows what is revoked, and does what operators of other bridges ask for, until ctx is done, and returns nil; or
// it returns why that cannot be. Whoever has subscribers must run it until it has none.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { s.config.Revocations.Run(ctx, s.learn) })
	if s.config.Bus == nil {
		if s.config.Revocations.Ready(ctx) == nil {
			s.present.once.Do(func() { close(s.present.ready) })
		}
		<-ctx.Done()
		return nil
	}
	s.lapsed(true) // until it is there, and knows what was revoked before
	running.Go(func() { s.resync(ctx) })
	err := s.config.Bus.Serve(ctx, s.answer, s.lapsed)
	if err != nil {
		s.lapsed(true)
	}
	return err
}

// Ready returns once the server runs and knows everything that is revoked, so that subscribers can be let in, or ctx is
// done.
func (s *Server) Ready(ctx context.Context) error {
	select {
	case <-s.present.ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lapsed is what the bus calls.
func (s *Server) lapsed(lapsed bool) {
	s.present.mu.Lock()
	defer s.present.mu.Unlock()
	select {
	case <-s.present.back: // that they did before does not count any more
	default:
	}
	if !lapsed {
		s.present.back <- s.present.lapses
		return
	}
	s.present.lapses++
	s.metrics.lapsed.Set(1)
	s.config.Hold(true)
	if s.present.lapses > 1 {
		s.config.Logger.Warn("other bridges may overlook this one, which holds what it delivers until they no longer do")
	}
}

// resync reads what was revoked while others may have overlooked this bridge, each time that they no longer do.
func (s *Server) resync(ctx context.Context) {
	for {
		var lapses int
		select {
		case lapses = <-s.present.back:
		case <-ctx.Done():
			return
		}
		for {
			err := s.config.Revocations.Sync(ctx, s.learn)
			if err == nil {
				break
			}
			s.config.Logger.Debug("what was revoked cannot be read", "err", err)
			select {
			case <-time.After(rewatch):
			case <-ctx.Done():
				return
			}
		}
		s.release(lapses)
	}
}

// release lets deliveries go on, unless others may have begun to overlook this bridge once more.
func (s *Server) release(lapses int) {
	p := &s.present
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lapses != lapses {
		return
	}
	s.metrics.lapsed.Set(0)
	s.config.Hold(false)
	s.config.Logger.Info("other bridges know of this one")
	p.once.Do(func() { close(p.ready) })
}

// ending ends what revoked tokens have. How many connections that were is for the operator who revokes one, also those
// that the store was faster to end.
type ending struct {
	// mu is held from when a token is refused until what it has is ended: nobody is told too few, and who finds that a
	// token is refused already knows that it has nothing.
	mu     sync.Mutex
	untold map[string]int
}

// learn has this bridge refuse a token of which the store says that it is revoked, and ends what it has.
func (s *Server) learn(tokenID string, until time.Time) {
	e := &s.ending
	e.mu.Lock()
	defer e.mu.Unlock()
	if !s.config.Revocations.Add(tokenID, until) {
		return
	}
	for other := range e.untold {
		if !s.config.Revocations.Revoked(other) {
			delete(e.untold, other)
		}
	}
	if n := s.endToken(tokenID); n > 0 {
		e.untold[tokenID] += n
	}
}

// revoke has this bridge refuse a token, ends what it has, and returns how many connections that were.
func (s *Server) revoke(tokenID string, until time.Time) int {
	e := &s.ending
	e.mu.Lock()
	defer e.mu.Unlock()
	s.config.Revocations.Add(tokenID, until)
	n := s.endToken(tokenID) + e.untold[tokenID]
	delete(e.untold, tokenID)
	return n
}

func (s *Server) endToken(tokenID string) int {
	n := s.config.Connections.Disconnect(delivery.Selector{TokenID: tokenID}, tokenRevoked)
	s.config.Streams.Recheck()
	return n
}
