package delivery

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/journal"
)

// drainTick is how often a draining shard looks whose turn it is to end.
const drainTick = 5 * time.Millisecond

// shard writes to a part of the subscribers. All but what mu guards belongs to the goroutine of run.
type shard struct {
	engine  *Engine
	config  *Config
	wake    chan struct{}
	batches batches
	writer  socketWriter

	mu    sync.Mutex
	inbox []*subscriber  // those with something in their mailbox
	drain *time.Duration // set to drain: over what time

	subscribers []*subscriber
	opened      []*subscriber // the inbox's other buffer
	oldest      uint64        // the journal's bounds, as of the last look
	head        uint64
	draining    bool
	frames      int // written since the metrics were told
	bytes       int
}

func newShard(e *Engine) *shard {
	return &shard{
		engine:  e,
		config:  &e.config,
		wake:    make(chan struct{}, 1),
		batches: batches{log: e.config.Log},
		writer:  newSocketWriter(),
	}
}

func (s *shard) run(ctx context.Context) {
	defer s.config.Log.Notify(s.wake)()
	tick := max(time.Millisecond, min(time.Second, s.config.PingInterval/4, s.config.WriteTimeout/4, s.config.CloseTimeout/4))
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			s.open()
			s.walk()
			if s.startDraining() {
				ticker.Reset(min(tick, drainTick))
			}
		case now := <-ticker.C:
			s.look()
			s.checkTimes(now)
		}
		s.engine.metrics.wrote(&s.frames, &s.bytes)
	}
}

// post changes a subscriber's mailbox and wakes the shard. It may be called from any goroutine.
func (s *shard) post(sub *subscriber, change func(*mailbox)) {
	s.mu.Lock()
	change(&sub.mailbox)
	if !sub.mailbox.queued {
		sub.mailbox.queued = true
		s.inbox = append(s.inbox, sub)
	}
	s.mu.Unlock()
	s.rouse()
}

func (s *shard) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// look notes where the journal begins and ends.
func (s *shard) look() {
	oldest, head := s.config.Log.Bounds()
	if head != s.head {
		s.batches.reset()
	}
	s.oldest, s.head = oldest, head
}

// open sees to what is in the mailboxes.
func (s *shard) open() {
	s.look()
	s.mu.Lock()
	s.opened, s.inbox = s.inbox, s.opened[:0]
	s.mu.Unlock()
	for i, sub := range s.opened {
		s.opened[i] = nil
		s.mu.Lock()
		mail := sub.mailbox
		sub.mailbox = mailbox{pong: mail.pong}
		s.mu.Unlock()
		if !sub.ended {
			s.see(sub, mail)
		}
	}
}

func (s *shard) see(sub *subscriber, mail mailbox) {
	if mail.joined {
		s.add(sub)
	}
	if mail.writable {
		sub.blocked = false
	}
	sub.mail = sub.mail || mail.pong != nil
	switch {
	case mail.gone == nil:
		s.flush(sub)
	case sub.ending != nil:
		s.finish(sub, *sub.ending) // the peer has answered, or it is gone
	case mail.close != nil:
		s.farewell(sub, mail.gone, mail.close)
	default:
		s.finish(sub, *mail.gone)
	}
}

func (s *shard) add(sub *subscriber) {
	sub.slot = len(s.subscribers)
	s.subscribers = append(s.subscribers, sub)
	sub.pingAt = time.Now().Add(s.config.PingInterval)
	sub.heard.Store(true)
}

// walk writes to every subscriber that is behind and whose socket can take it.
func (s *shard) walk() {
	for i := 0; i < len(s.subscribers); {
		sub := s.subscribers[i]
		switch {
		case sub.next >= s.head || sub.ending != nil:
		case !sub.blocked:
			s.flush(sub)
		case sub.next < s.oldest:
			s.end(sub, &TooSlow)
		}
		if i < len(s.subscribers) && s.subscribers[i] == sub {
			i++ // else another has taken the slot
		}
	}
}

// flush writes all that is due to a subscriber, until its socket takes no more.
func (s *shard) flush(sub *subscriber) {
	for !sub.blocked && !sub.ended {
		switch {
		case len(sub.control) > 0:
			n := s.write(sub, sub.control)
			if sub.control = sub.control[n:]; len(sub.control) == 0 {
				sub.control = nil
			}
		case sub.offset > 0:
			s.flushRest(sub)
		case sub.goodbye != nil:
			sub.control, sub.goodbye = sub.goodbye, nil
		case (sub.mail || sub.ping) && sub.ending == nil: // nothing follows a close frame
			s.takeControl(sub)
		case sub.ending != nil:
			if s.writer.flushed(sub.socket) {
				s.finish(sub, *sub.ending)
			} else {
				s.block(sub)
			}
		case sub.next < s.head:
			s.flushBatch(sub)
		default:
			return
		}
	}
}

// flushRest writes on at the frame of which the subscriber has a part.
func (s *shard) flushRest(sub *subscriber) {
	rest, err := s.batches.rest(sub.next, sub.form, sub.offset)
	if err != nil {
		s.lost(sub, err)
		return
	}
	n := s.write(sub, rest)
	if sub.offset += n; n == len(rest) {
		sub.next, sub.offset = sub.next+1, 0
		s.frames++
	}
}

func (s *shard) flushBatch(sub *subscriber) {
	b, err := s.batches.get(batchKey{from: sub.next, form: sub.form, filter: sub.filter})
	if err != nil {
		s.lost(sub, err)
		return
	}
	if len(b.bytes) == 0 {
		sub.next = b.next
		return
	}
	n := s.write(sub, b.bytes)
	if n == len(b.bytes) {
		sub.next = b.next
		s.frames += len(b.marks)
		return
	}
	whole := 0
	sub.next, sub.offset, whole = b.cursorAfter(n)
	s.frames += whole
}

func (s *shard) lost(sub *subscriber, err error) {
	switch {
	case sub.ending != nil:
		s.expire(sub) // a close frame cannot follow a part of a frame
	case !errors.Is(err, journal.ErrLost):
		s.finish(sub, ConnectionLost)
	case sub.offset > 0:
		s.finish(sub, TooSlow)
	default:
		s.end(sub, &TooSlow)
	}
}

// takeControl puts the control frames that are due in front of the next frame.
func (s *shard) takeControl(sub *subscriber) {
	s.mu.Lock()
	sub.control = sub.mailbox.pong
	sub.mailbox.pong = nil
	s.mu.Unlock()
	if sub.ping {
		sub.control = appendFrame(sub.control, websocket.PingMessage, nil)
	}
	sub.mail, sub.ping = false, false
}

// write hands p to the kernel and returns how much of it was taken. When that is not all, the subscriber is blocked
// or ended.
func (s *shard) write(sub *subscriber, p []byte) int {
	n, err := s.writer.write(sub.socket, p)
	s.bytes += n
	if n > 0 {
		if !sub.progress.IsZero() {
			sub.heard.Store(true) // a full socket has room again: the peer has acknowledged some
		}
		sub.progress = time.Time{}
	}
	switch {
	case err != nil:
		s.finish(sub, ConnectionLost)
	case n < len(p):
		s.engine.metrics.blocked.Inc()
		s.block(sub)
	}
	return n
}

// block leaves a subscriber alone until its socket can take more.
func (s *shard) block(sub *subscriber) {
	sub.blocked = true
	if sub.progress.IsZero() {
		sub.progress = time.Now()
	}
	if err := s.engine.poller.await(sub); err != nil {
		s.finish(sub, ConnectionLost)
	}
}

// idle reports whether the subscriber has got all there is.
func (s *shard) idle(sub *subscriber) bool {
	return sub.next >= s.head && sub.offset == 0 && len(sub.control) == 0 && s.writer.flushed(sub.socket)
}

// checkTimes sees to what is due at a time: pings, timeouts, and while draining the end.
func (s *shard) checkTimes(now time.Time) {
	for i := len(s.subscribers) - 1; i >= 0; i-- {
		sub := s.subscribers[i] // ending one moves only the last into its slot, which was seen to already
		switch {
		case sub.ending != nil:
			if now.After(sub.endAt) {
				s.expire(sub)
			}
		case sub.blocked && now.Sub(sub.progress) > s.config.WriteTimeout:
			s.end(sub, &WriteTimeout)
		case s.draining && now.After(sub.endAt) && s.idle(sub):
			s.end(sub, &Shutdown)
		case now.After(sub.pingAt):
			s.pingOrDrop(sub)
		}
	}
}

func (s *shard) pingOrDrop(sub *subscriber) {
	if sub.heard.Swap(false) {
		sub.missed = 0
	} else if sub.missed++; sub.missed >= 2 {
		s.end(sub, &PingTimeout)
		return
	}
	sub.pingAt = time.Now().Add(s.config.PingInterval)
	sub.ping = true
	s.flush(sub)
}

// startDraining gives every subscriber its turn, if draining was asked for since.
func (s *shard) startDraining() bool {
	s.mu.Lock()
	over := s.drain
	s.drain = nil
	s.mu.Unlock()
	if over == nil {
		return false
	}
	s.draining = true
	now := time.Now()
	for i, sub := range s.subscribers {
		if sub.ending == nil {
			sub.endAt = now.Add(*over * time.Duration(i) / time.Duration(len(s.subscribers)))
		}
	}
	return true
}
