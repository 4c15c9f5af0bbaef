package delivery

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Connection tells of one subscriber at one moment.
type Connection struct {
	// ID names it, and no other connection of any bridge.
	ID string
	// Subject, TokenID and ExpiresAt are its credential's; empty and zero where there is none.
	Subject   string
	TokenID   string
	ExpiresAt time.Time
	// Session stands for its browser's session, without being its cookie; empty for none.
	Session string
	// Events says that it reads Server-Sent Events, and has no websocket.
	Events bool
	// Address is where it came from; behind a trusted proxy, what that forwarded.
	Address netip.Addr
	// Types are those that it gets, sorted; nil for all.
	Types []string
	// ConnectedAt is when its handshake was answered.
	ConnectedAt time.Time
	// Lag is how many notifications it lacks, those that are not for it too.
	Lag uint64
}

// Selector chooses connections: those for which each field that is set is theirs. The zero value chooses all.
type Selector struct {
	Subject    string
	Session    string
	Connection string
	TokenID    string
}

// selects reports whether a subscriber is chosen.
func (sel *Selector) selects(sub *subscriber) bool {
	return (sel.Subject == "" || sel.Subject == sub.subject()) &&
		(sel.TokenID == "" || sel.TokenID == sub.tokenID()) &&
		(sel.Session == "" || sub.session != nil && sel.Session == sub.session.ID()) &&
		(sel.Connection == "" || sel.Connection == sub.shard.engine.connectionID(sub))
}

// List returns the connections that are chosen, in no particular order.
func (e *Engine) List(sel Selector) []Connection {
	perShard := make([][]Connection, len(e.shards))
	e.askShards(func(i int, s *shard) {
		s.each(func(sub *subscriber) {
			if sub.ending == nil && sel.selects(sub) {
				perShard[i] = append(perShard[i], e.describe(sub))
			}
		})
	})
	return slices.Concat(perShard...)
}

// Disconnect ends the connections that are chosen, and returns how many. When it returns they get nothing more.
func (e *Engine) Disconnect(sel Selector, reason Disconnect) int {
	e.mu.Lock()
	joining := 0
	for sub := range e.joining {
		if sub.unwanted == nil && sel.selects(sub) {
			sub.unwanted = &reason
			joining++
		}
	}
	e.mu.Unlock()
	perShard := make([]int, len(e.shards))
	e.askShards(func(i int, s *shard) {
		s.each(func(sub *subscriber) {
			if !sel.selects(sub) {
				return
			}
			if sub.ending == nil {
				perShard[i]++
			}
			s.end(sub, &reason)
		})
	})
	total := joining
	for _, n := range perShard {
		total += n
	}
	return total
}

// Hold has the engine let nobody in and deliver nothing more, though connections stay, until it is called with false: it
// may have missed that somebody may be here no longer. What is half written is written to its end.
func (e *Engine) Hold(hold bool) {
	e.holding.Store(hold)
	for _, s := range e.shards {
		s.post(s.walk)
	}
}

// onHold reports whether nothing is to be delivered for now.
func (e *Engine) onHold() bool { return e.holding.Load() || e.config.Lapsed() }

// askShards has every shard do something, and returns once all have, or the engine has stopped.
func (e *Engine) askShards(do func(i int, s *shard)) {
	var asked sync.WaitGroup
	for i, s := range e.shards {
		answered := make(chan struct{})
		s.post(func() {
			do(i, s)
			close(answered)
		})
		asked.Go(func() {
			select {
			case <-answered:
			case <-e.stopped:
			}
		})
	}
	asked.Wait()
}

// each calls f with every subscriber that has not ended. f may end it.
func (s *shard) each(f func(*subscriber)) {
	for _, members := range []*roster{&s.able, &s.blocked} {
		for _, sub := range slices.Clone(*members) {
			if !sub.ended {
				f(sub)
			}
		}
	}
}

func (e *Engine) connectionID(sub *subscriber) string {
	return fmt.Sprintf("%s-%d", e.config.Name, sub.id)
}

// describe must be called by the subscriber's shard.
func (e *Engine) describe(sub *subscriber) Connection {
	c := Connection{
		ID:          e.connectionID(sub),
		Subject:     sub.subject(),
		TokenID:     sub.tokenID(),
		Events:      sub.form&eventLines != 0,
		Address:     sub.peer.Addr().Unmap(),
		Types:       sub.filter.types,
		ConnectedAt: e.start.Add(time.Duration(sub.born)),
	}
	if sub.who != nil {
		c.ExpiresAt = sub.who.Expires
	}
	if sub.session != nil {
		c.Session = sub.session.ID()
	}
	if _, head := e.config.Log.Bounds(); head > sub.next {
		c.Lag = head - sub.next
	}
	return c
}
