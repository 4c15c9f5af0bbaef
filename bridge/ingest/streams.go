package ingest

import (
	"context"
	"sync"
	"time"
)

// streams are the open Publish streams.
type streams struct {
	mu      sync.Mutex
	closed  bool // no more are taken
	open    map[*publishing]struct{}
	of      map[account]int
	running sync.WaitGroup
}

// add counts a stream in, unless no more are taken or its account has as many as it may.
func (s *streams) add(p *publishing, atMost int) (draining, tooMany bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return true, false
	case s.of[p.account] >= atMost:
		return false, true
	}
	if s.open == nil {
		s.open, s.of = make(map[*publishing]struct{}), make(map[account]int)
	}
	s.open[p] = struct{}{}
	s.of[p.account]++
	s.running.Add(1)
	return false, false
}

func (s *streams) remove(p *publishing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, p)
	if s.of[p.account]--; s.of[p.account] == 0 {
		delete(s.of, p.account)
	}
	s.running.Done()
}

// close takes no more streams. It returns false when it has been called before.
func (s *streams) close() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.closed
	s.closed = true
	return first
}

// withToken returns the streams whose credential can be revoked.
func (s *streams) withToken() []*publishing {
	s.mu.Lock()
	defer s.mu.Unlock()
	var some []*publishing
	for p := range s.open {
		if p.caller.TokenID != "" {
			some = append(some, p)
		}
	}
	return some
}

// begin counts a stream in. The error is what it ends with instead.
func (s *Server) begin(ctx context.Context, p *publishing) error {
	draining, tooMany := s.streams.add(p, s.config.MaxStreams)
	switch {
	case draining:
		return s.streamError(errDraining)
	case tooMany:
		return s.turnAway(ctx, streamsBound, "this publisher has as many open streams as it may; use those", time.Second)
	}
	return nil
}

// Hold has the server take nothing more from those whose token may have been revoked without its knowing, until it is called
// with false: their streams end with UNAVAILABLE.
func (s *Server) Hold(hold bool) { s.held.Store(hold) }

// Recheck ends every stream whose token is revoked by now. When it returns, they take nothing more; what they took
// is answered yet.
func (s *Server) Recheck() {
	var rechecking sync.WaitGroup
	for _, p := range s.streams.withToken() {
		rechecking.Go(p.recheck) // each may wait for the journal
	}
	rechecking.Wait()
}
