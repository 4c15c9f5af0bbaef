package delivery

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/gorilla/websocket"
)

// end ends a connection for a reason of the bridge's: with a close frame for a client that should stay away or
// asked for codes, else by ending TCP.
func (s *shard) end(sub *subscriber, reason *Disconnect) {
	told := reason.Code != 0 && (reason.StayAway || sub.closeCodes)
	if torn := sub.offset > 0 && sub.next < s.oldest; torn || !told {
		s.finish(sub, *reason)
		return
	}
	s.farewell(sub, reason, closeFrame(reason.Code))
}

// farewell makes a close frame the last thing that is written.
func (s *shard) farewell(sub *subscriber, reason *Disconnect, frame []byte) {
	sub.ending = reason
	sub.endAt = time.Now().Add(s.config.CloseTimeout)
	sub.mail, sub.ping = false, false
	sub.goodbye = frame
	s.flush(sub)
}

// expire gives up on writing a close frame.
func (s *shard) expire(sub *subscriber) {
	reason := *sub.ending
	reason.Reset = true
	sub.ending = nil
	s.finish(sub, reason)
}

// finish lets go of a subscriber. What was written still reaches the peer, unless the reason says to reset; its
// reader closes the connection.
func (s *shard) finish(sub *subscriber, reason Disconnect) {
	if sub.ended {
		return
	}
	sub.ended = true
	last := s.subscribers[len(s.subscribers)-1]
	s.subscribers[sub.slot], last.slot = last, sub.slot
	s.subscribers[len(s.subscribers)-1] = nil
	s.subscribers = s.subscribers[:len(s.subscribers)-1]
	s.engine.poller.forget(sub)

	if reason.Reset && sub.ending == nil {
		if tcp, ok := sub.conn.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = sub.conn.Close()
	} else {
		if half, ok := sub.conn.Conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		_ = sub.conn.SetReadDeadline(time.Now().Add(s.config.CloseTimeout))
	}
	close(sub.released)
	s.engine.audience.leave(sub.filter)
	s.engine.metrics.disconnects[reason.Name].Inc()
	level := slog.LevelInfo
	if reason.Name == ClientClosed.Name || reason.Name == ConnectionLost.Name {
		level = slog.LevelDebug
	}
	s.config.Logger.Log(context.Background(), level, "connection ended", "reason", reason.Name, "peer", sub.conn.RemoteAddr())
}

// endAll lets go of everyone at once. run must have returned.
func (s *shard) endAll(reason Disconnect) {
	s.open()
	for len(s.subscribers) > 0 {
		s.finish(s.subscribers[len(s.subscribers)-1], reason)
	}
}

func closeFrame(code int) []byte {
	return appendFrame(nil, websocket.CloseMessage, websocket.FormatCloseMessage(code, ""))
}
