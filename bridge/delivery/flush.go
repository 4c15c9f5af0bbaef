package delivery

import (
	"errors"
	"slices"

	"github.com/rotki/notification-bridge/bridge/journal"
)

// flush writes all that is due to a subscriber, until its socket takes no more.
func (s *shard) flush(sub *subscriber) {
	for !sub.blocked && !sub.ended {
		switch {
		case sub.controls != nil && len(sub.controls.writing) > 0:
			c := sub.controls
			n := s.write(sub, c.writing)
			c.writing = c.writing[n:]
		case sub.offset > 0:
			if sub.recalling {
				return
			}
			s.flushRest(sub)
		case sub.controls != nil:
			sub.controls.begin(sub)
		case sub.ending != nil: // nothing follows a close frame
			if sub.socket.flushed() {
				reason := *sub.ending
				reason.Reset = false // it would take the close frame back
				s.finish(sub, reason)
			} else {
				s.block(sub)
			}
		case sub.next < s.head && !sub.recalling && !sub.leaving && !s.engine.onHold():
			s.flushBatch(sub)
		default:
			if sub.next >= s.head {
				sub.stalled = false
			}
			return
		}
	}
}

// begin goes on to the next control frames, when no frame is half written, or has the subscriber forget its controls
// when there are none.
func (c *controls) begin(sub *subscriber) {
	switch {
	case c.goodbye != nil:
		c.writing, c.goodbye = c.goodbye, nil
	case sub.ending == nil && (c.pong != nil || c.ping):
		c.writing = c.pong
		if c.ping {
			c.writing = sub.appendPing(c.writing)
		}
		c.pong, c.ping = nil, false
	default:
		sub.controls = nil
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
	if sub.expired() {
		s.end(sub, &Expired)
		return
	}
	sub.behind = sub.behind && sub.next < s.oldest
	confirm := s.mayAsk(sub, true)
	b, err := s.batches.get(batchKey{
		from: sub.next, form: sub.form, conflate: s.conflates(sub), confirm: confirm, filter: sub.filter,
		subject: sub.subject(),
	})
	if err != nil {
		s.lost(sub, err)
		return
	}
	if len(b.bytes) == 0 {
		s.skipped(sub, b.next)
		s.engine.metrics.leftOut(b.left)
		return
	}
	sub.loose = false
	n := s.write(sub, b.bytes)
	if notified := b.notifications(); n >= notified {
		sub.next = b.next
		s.frames += len(b.marks)
		s.engine.metrics.leftOut(b.left)
		if confirm {
			sub.asked, sub.askedAt = b.next, s.now()
		}
		if n < len(b.bytes) && !sub.ended {
			sub.owe().writing = slices.Clone(b.bytes[n:])
		}
		return
	}
	whole := 0
	sub.next, sub.offset, whole = b.cursorAfter(n)
	s.frames += whole
	s.engine.metrics.leftOut(b.marks[whole].left)
}

// lost ends a subscriber whose place in the journal is gone, or recalls it for one that began further back.
func (s *shard) lost(sub *subscriber, err error) {
	switch {
	case sub.behind && errors.Is(err, journal.ErrLost):
		s.recall(sub)
	case sub.loose && errors.Is(err, journal.ErrLost) && sub.offset == 0 && sub.ending == nil:
		s.begin(sub)
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

// begin has a subscriber begin with the oldest that is at hand: it was to begin as far back as possible, and that has gone
// meanwhile.
func (s *shard) begin(sub *subscriber) {
	oldest, _ := s.config.Log.Bounds()
	if sub.session != nil {
		s.passOver(sub, max(oldest, sub.next))
	}
	sub.next = max(oldest, sub.next)
}

// piece returns how many bytes are written at once. Two pieces must fit into the send buffer: the loopback's segments
// take up to 64 KiB, and a receiver that has got just one may hold back its acknowledgement for 40 ms. Where a single
// one fills the buffer, nothing goes on until then.
func piece(sendBuffer int) int { return max(4<<10, min(64<<10, sendBuffer/2)) }

// write hands p to the socket and returns how much of it was taken. When that is not all, the subscriber is blocked
// or ended.
func (s *shard) write(sub *subscriber, p []byte) int {
	written := 0
	var err error
	for full := false; written < len(p) && !full && err == nil; {
		part := p[written:min(len(p), written+s.piece)]
		var n int
		n, err = sub.socket.write(part)
		written += n
		full = n < len(part)
	}
	s.bytes += written
	if written > 0 && sub.progress != 0 {
		sub.heard = true // a full socket has room again: the peer has acknowledged some
		sub.progress = 0
	}
	switch {
	case err != nil:
		s.finish(sub, ConnectionLost)
	case written < len(p):
		s.engine.metrics.blocked.Inc()
		s.block(sub)
	}
	return written
}

// block leaves a subscriber alone until its socket can take more. It is not even walked past.
func (s *shard) block(sub *subscriber) {
	if err := s.poller.awaitRoom(sub); err != nil {
		s.finish(sub, ConnectionLost)
		return
	}
	sub.blocked = true
	s.blocked.move(sub)
	if sub.progress == 0 {
		sub.progress = s.now()
	}
}
