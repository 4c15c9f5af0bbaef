package delivery

import (
	"context"
	"sync"
	"time"
)

const (
	// drainTick is how often a draining shard looks whose turn it is to end.
	drainTick = 5 * time.Millisecond
	// inputBuffer is how much is read from a client at once. Clients send next to nothing.
	inputBuffer = 4 << 10
)

// shard writes to, and reads from, a part of the subscribers. All but what mu guards belongs to the goroutine of run.
type shard struct {
	engine  *Engine
	config  *Config
	wake    chan struct{}
	piece   int // bytes that are written at once
	batches batches
	poller  *poller

	mu    sync.Mutex
	inbox []func() // what others want the shard to do

	opened   []func() // the inbox's other buffer
	able     roster   // those whose sockets can take something, as far as is known
	blocked  roster   // those whose sockets are full
	parting  roster   // those that have ended, until their peers have too
	oldest   uint64   // the journal's bounds, as of the last look
	head     uint64
	again    []*subscriber // those from which more can be read
	draining bool
	askEvery instant // how far apart the questions to one client are
	input    [inputBuffer]byte
	inbound  inbound // serves all clients that are between two messages
	inflate  inflateFunc
	frames   int // written since the metrics were told
	bytes    int
}

func newShard(e *Engine) *shard {
	return &shard{
		engine:  e,
		config:  &e.config,
		wake:    make(chan struct{}, 1),
		inflate: new(inflater).inflate,
		piece:   piece(e.config.SendBuffer),
		batches: batches{log: e.config.Log, framer: &e.framer, limit: piece(e.config.SendBuffer)},
	}
}

// run serves the shard's subscribers until ctx is done.
func (s *shard) run(ctx context.Context) {
	defer s.config.Log.Notify(s.wake)()
	interval := max(time.Millisecond, min(time.Second, s.config.PingInterval/4, s.config.WriteTimeout/4, s.config.CloseTimeout/4))
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	draining := false
	s.tick()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			moved := s.look()
			more := s.poller.each(s.ready)
			if s.readAgain() || more {
				s.rouse()
			}
			if moved {
				s.walk()
			}
		case <-ticker.C:
			if s.look() {
				s.walk()
			}
			s.tick()
		}
		if s.draining && !draining {
			draining = true
			ticker.Reset(min(interval, drainTick))
		}
		s.engine.metrics.wrote(&s.frames, &s.bytes)
	}
}

// post has the shard do something soon. It may be called from any goroutine.
func (s *shard) post(task func()) {
	s.mu.Lock()
	s.inbox = append(s.inbox, task)
	s.mu.Unlock()
	s.rouse()
}

func (s *shard) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// look does what is in the inbox, notes where the journal begins and ends, and reports whether its head has moved.
func (s *shard) look() (moved bool) {
	oldest, head := s.config.Log.Bounds()
	s.open() // before the new is delivered: what was wanted before it was appended, such as that it is held
	if moved = head != s.head; moved {
		s.batches.reset()
	}
	s.oldest, s.head = oldest, head
	return moved
}

// open does what is in the inbox.
func (s *shard) open() {
	s.mu.Lock()
	s.opened, s.inbox = s.inbox, s.opened[:0]
	s.mu.Unlock()
	for i, task := range s.opened {
		task()
		s.opened[i] = nil
	}
}

func (s *shard) now() instant { return instant(time.Since(s.engine.start)) }

// add takes a subscriber in whose handshake was answered.
func (s *shard) add(sub *subscriber) {
	sub.pingAt = s.now() + instant(s.config.PingInterval)
	sub.heard = true
	s.able.move(sub)
	if err := s.poller.add(sub); err != nil {
		s.finish(sub, ConnectionLost)
		return
	}
	if sub.unwanted != nil {
		s.end(sub, sub.unwanted)
		return
	}
	if id := sub.tokenID(); id != "" && s.config.Revoked(id) { // since it was checked
		s.end(sub, &Revoked)
		return
	}
	s.ready(sub, sub.early, false)
}

// ready sees to a subscriber whose socket may have something for the bridge (in), or have room again (out).
func (s *shard) ready(sub *subscriber, in, out bool) {
	if sub.blocked && out {
		sub.blocked = false
		s.able.move(sub)
	}
	if in {
		s.receive(sub)
	}
	if !sub.ended {
		s.flush(sub)
	}
}

// readAgain goes on with those from which not everything was read, and reports whether there still are some.
func (s *shard) readAgain() (more bool) {
	again := s.again
	s.again = nil
	for _, sub := range again {
		sub.again = false
		if sub.roster != nil {
			s.ready(sub, true, false)
		}
	}
	return len(s.again) > 0
}

// walk writes to every subscriber that is behind, all that it lacks, one after the other.
func (s *shard) walk() {
	for i := 0; i < len(s.able); {
		sub := s.able[i]
		if sub.next < s.head && sub.ending == nil {
			s.flush(sub)
		}
		if i < len(s.able) && s.able[i] == sub {
			i++ // else another has taken the slot
		}
	}
}

// tick sees to what is due at a time: pings, timeouts, and while draining the end.
func (s *shard) tick() {
	s.batches.recalled, s.batches.begun = nil, begun{}
	s.askEvery = instant(askEvery(s.engine.Connections()))
	now := s.now()
	s.able.each(func(sub *subscriber) { s.checkTime(sub, now) })
	s.blocked.each(func(sub *subscriber) { s.checkTime(sub, now) })
	s.parting.each(func(sub *subscriber) {
		if now > sub.endAt {
			s.release(sub)
		}
	})
}

func (s *shard) checkTime(sub *subscriber, now instant) {
	if sub.blocked {
		sub.stalled = true
	}
	switch {
	case sub.ending != nil:
		if now > sub.endAt {
			s.expire(sub)
		}
	case sub.expired():
		s.end(sub, &Expired)
	case sub.blocked && sub.next < s.oldest && !sub.behind:
		s.end(sub, &TooSlow)
	case sub.blocked && now-sub.progress > instant(s.config.WriteTimeout):
		s.end(sub, &WriteTimeout)
	case s.draining && (now > sub.endAt || sub.leaving) && s.idle(sub):
		if s.lastConfirmed(sub, now) {
			s.end(sub, &Shutdown)
		}
	case now > sub.pingAt:
		s.pingOrDrop(sub, now)
	default:
		s.ask(sub)
	}
}

func (s *shard) pingOrDrop(sub *subscriber, now instant) {
	if sub.heard || sub.form&eventLines != 0 { // whoever reads events says nothing
		sub.missed = 0
	} else if sub.missed++; sub.missed >= 2 {
		s.end(sub, &PingTimeout)
		return
	}
	sub.heard = false
	sub.pingAt = now + instant(s.config.PingInterval)
	sub.owe().ping = true
	s.flush(sub)
}

// idle reports whether the subscriber has got all there is.
func (s *shard) idle(sub *subscriber) bool {
	all := sub.next >= s.head || sub.leaving || s.engine.onHold()
	return all && sub.offset == 0 && sub.controls == nil && sub.socket.flushed()
}

// drain gives every subscriber its turn to end, over a time.
func (s *shard) drain(over time.Duration) {
	s.draining = true
	turn, turns := 0, len(s.able)+len(s.blocked)
	now := s.now()
	give := func(sub *subscriber) {
		if sub.ending == nil {
			sub.endAt = now + instant(over)*instant(turn)/instant(turns)
		}
		turn++
	}
	s.able.each(give)
	s.blocked.each(give)
}
