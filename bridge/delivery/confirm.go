package delivery

import (
	"encoding/binary"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// askInterval is how long a delivery may go unconfirmed at the most, unless the client does not answer.
	askInterval = time.Second
	// askCost is about the time that it takes to ask one client, and to hear its answer, when the caches have better to do.
	askCost = 20 * time.Microsecond
	// askShare is the part of a processor that may go into asking: one twentieth, unless askInterval takes more.
	askShare = 20
	// lastWord is how long a client that is to leave may take to confirm what it got.
	lastWord = time.Second
)

// A client confirms what it got without knowing: a ping behind the frames carries the cursor, and the pong brings it
// back (RFC 6455 §5.5.3). What TCP says was acknowledged proves nothing, since a proxy may have done that, and nobody can
// tell from here whether there is one.

// askEvery returns how far apart the questions to one of so many clients are. A few are asked as soon as they have
// answered, so that hardly anything is unconfirmed when a connection is cut.
func askEvery(clients int) time.Duration {
	return min(askInterval, time.Duration(clients)*askCost*askShare)
}

// mayAsk reports whether a client that resumes by its session may be asked now what it got. Behind notifications, where a
// question costs no write of its own, it may be asked a little sooner.
func (s *shard) mayAsk(sub *subscriber, behind bool) bool {
	if sub.session == nil || sub.asked != 0 {
		return false
	}
	every := s.askEvery
	if behind {
		every -= every / 4
	}
	return s.now()-sub.askedAt >= every
}

// ask has the client confirm what it got, if there is something that it has not.
func (s *shard) ask(sub *subscriber) {
	if sub.next > sub.sure && s.mayAsk(sub, false) {
		sub.owe().ping = true
		s.flush(sub)
	}
}

// appendPing appends a ping, which carries the cursor of a client with a session.
func (sub *subscriber) appendPing(dst []byte) []byte {
	switch {
	case sub.form&eventLines != 0:
		return sub.shard.engine.framer.appendHeartbeat(dst, sub.next)
	case sub.session == nil:
		return appendFrame(dst, websocket.PingMessage, nil)
	}
	sub.asked, sub.askedAt = sub.next, sub.shard.now()
	return appendConfirm(dst, sub.next)
}

// appendConfirm appends a ping that carries a cursor.
func appendConfirm(dst []byte, next uint64) []byte {
	return binary.BigEndian.AppendUint64(appendHeader(dst, websocket.PingMessage, 8), next)
}

// confirmed takes in a pong. A client may answer only the latest of several pings; one that makes up an answer cheats
// itself.
func (s *shard) confirmed(sub *subscriber, payload []byte) {
	if sub.session == nil || len(payload) != 8 {
		return
	}
	next := binary.BigEndian.Uint64(payload)
	if next < sub.sure || next > sub.next {
		return
	}
	if next > sub.sure {
		sub.sure = next
		sub.session.Confirm(next)
	}
	if next >= sub.asked {
		if sub.asked != 0 { // it said that because it was asked: neither the pong counts, nor the piece of input it came in
			sub.spoke = max(0, sub.spoke-2)
		}
		sub.asked = 0
		s.ask(sub)
	}
}

// skipped notes that a client was to get nothing of what its cursor has passed.
func (s *shard) skipped(sub *subscriber, next uint64) {
	if sub.session != nil && sub.sure == sub.next {
		sub.sure = next
		sub.session.Confirm(next)
	}
	sub.next = next
}

// lastConfirmed reports whether a client that leaves has confirmed all that it got, or has had its time for that.
func (s *shard) lastConfirmed(sub *subscriber, now instant) bool {
	if sub.session == nil || sub.sure >= sub.next || !s.config.Sessions.Durable() {
		return true
	}
	if !sub.leaving {
		sub.leaving = true
		sub.endAt = now + instant(lastWord)
		if sub.asked < sub.next {
			sub.owe().ping = true
			s.flush(sub)
		}
		return false
	}
	return now > sub.endAt
}
