package delivery

import (
	"context"
	"log/slog"

	"github.com/gorilla/websocket"
)

// end ends a connection for a reason of the bridge's: with a close frame for a client that should stay away or
// asked for codes, else by ending TCP. One that is ending already goes on with that, unless it may have nothing more.
func (s *shard) end(sub *subscriber, reason *Disconnect) {
	told := reason.Code != 0 && (reason.StayAway || sub.closeCodes) && sub.form&eventLines == 0
	torn := sub.offset > 0 && sub.next < s.oldest && !sub.behind
	switch {
	case reason.AtOnce && sub.offset > 0: // nothing can follow a part of a frame but its rest
		cut := *reason
		cut.Reset = true
		s.finish(sub, cut)
	case sub.ending != nil:
	case torn || !told:
		s.finish(sub, *reason)
	default:
		s.farewell(sub, reason, closeFrame(reason.Code))
	}
}

// farewell makes a close frame the last thing that is written.
func (s *shard) farewell(sub *subscriber, reason *Disconnect, frame []byte) {
	sub.ending = reason
	sub.endAt = s.now() + instant(s.config.CloseTimeout)
	sub.inbound = nil
	sub.owe().goodbye = frame
	s.flush(sub)
}

// expire gives up on writing a close frame.
func (s *shard) expire(sub *subscriber) {
	reason := *sub.ending
	reason.Reset = true
	s.finish(sub, reason)
}

// finish ends a subscriber. What was written still reaches the peer, unless the reason says to reset: closing with
// unread input would reset the connection too, and the peer could lose what is on its way to it, so its socket is read
// from until it ends its side.
func (s *shard) finish(sub *subscriber, reason Disconnect) {
	if sub.ended {
		return
	}
	sub.ended, sub.blocked = true, false
	sub.controls, sub.inbound = nil, nil
	sub.endSession(reason) // before the client can come back
	s.parting.move(sub)
	if reason.Reset {
		sub.socket.abort()
	} else {
		sub.socket.shut()
		sub.endAt = s.now() + instant(s.config.CloseTimeout)
	}
	if reason.Reset || sub.eof {
		s.release(sub)
	}
	s.engine.audience.leave(sub.filter, sub.subject())
	s.engine.metrics.disconnects[reason.Name].Inc()
	level := slog.LevelInfo
	switch reason.Name {
	case ClientClosed.Name, ConnectionLost.Name, ProtocolError.Name, TooTalkative.Name: // as often as a client likes
		level = slog.LevelDebug
	}
	s.config.Logger.Log(context.Background(), level, "connection ended", "reason", reason.Name, "peer", sub.peer.Addr())
}

// release closes a subscriber's socket and forgets it.
func (s *shard) release(sub *subscriber) {
	sub.leave()
	s.poller.remove(sub)
	sub.socket.close()
	s.engine.limits.release(sub) // not before: one that does not close its side has the socket still
	s.engine.sockets.Done()
}

// endAll lets go of everyone at once. run must have returned.
func (s *shard) endAll(reason Disconnect) {
	s.open()
	for _, members := range []*roster{&s.able, &s.blocked} {
		members.each(func(sub *subscriber) { s.finish(sub, reason) })
	}
	s.parting.each(s.release)
}

func closeFrame(code int) []byte {
	return appendFrame(nil, websocket.CloseMessage, websocket.FormatCloseMessage(code, ""))
}
