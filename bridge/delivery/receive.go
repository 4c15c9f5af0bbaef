package delivery

import (
	"time"

	"github.com/gorilla/websocket"
)

const (
	// maxReads is how often in a row one client is read from: one that floods the bridge must not hold up the others.
	maxReads = 4
	// maxDiscarded is how many bytes of a client are thrown away after the end, to spare it a reset.
	maxDiscarded = 1 << 20
)

// receive takes in what has come from a client.
func (s *shard) receive(sub *subscriber) {
	for range maxReads {
		n, err := sub.socket.read(s.input[:])
		switch {
		case err != nil:
			sub.eof = true
			s.parted(sub)
			return
		case n == 0:
			return
		case sub.ended:
			if sub.discarded += n; sub.discarded > maxDiscarded {
				s.release(sub)
				return
			}
		case sub.ending == nil && s.maySpeak(sub) && sub.form&eventLines == 0:
			sub.heard = true
			s.hear(sub, s.input[:n])
		}
		if sub.roster == nil {
			return
		}
	}
	if !sub.again {
		sub.again = true
		s.again = append(s.again, sub)
	}
}

// maySpeak counts a message, a control frame, or a piece of input of a client, and ends one that says too much.
func (s *shard) maySpeak(sub *subscriber) bool {
	if s.config.ClientRate < 0 {
		return true
	}
	if now := s.now(); now-sub.spokeAt >= instant(time.Second) {
		sub.spokeAt, sub.spoke = now, 0
	}
	if sub.spoke++; sub.spoke <= s.config.ClientRate {
		return true
	}
	s.engine.limits.exceeded(limitClientRate, sub.peer.Addr())
	s.end(sub, &TooTalkative)
	return false
}

// parted sees to a client of which nothing more will come.
func (s *shard) parted(sub *subscriber) {
	switch {
	case sub.ended:
		s.release(sub)
	case sub.ending != nil:
		s.finish(sub, *sub.ending) // the peer has answered, or it is gone
	default:
		s.finish(sub, ConnectionLost)
	}
}

// hear reads what a client says, with which it can do no more than answer a ping, show that it lives and say goodbye.
func (s *shard) hear(sub *subscriber, p []byte) {
	in := sub.inbound
	if in == nil {
		s.inbound = inbound{deflate: sub.deflate}
		in = &s.inbound
	}
	for len(p) > 0 && sub.ending == nil && !sub.ended {
		var r received
		var err error
		if r, p, err = in.take(p, s.inflate); err != nil {
			s.farewell(sub, &ProtocolError, closeFrame(int(err.(violation))))
			return
		}
		if r.opcode != 0 && !s.maySpeak(sub) {
			return
		}
		switch r.opcode {
		case websocket.PingMessage:
			sub.owe().pong = appendFrame(nil, websocket.PongMessage, r.payload) // only the latest must be answered (RFC 6455 §5.5.3)
		case websocket.PongMessage:
			s.confirmed(sub, r.payload)
		case websocket.CloseMessage:
			s.farewell(sub, &ClientClosed, closeAnswer(r.payload))
		case websocket.TextMessage, websocket.BinaryMessage:
			if s.engine.received != nil {
				s.engine.received(sub, r)
			}
		}
	}
	switch {
	case in.idle() || sub.ending != nil || sub.ended:
		sub.inbound = nil
	case sub.inbound == nil:
		kept := s.inbound
		sub.inbound = &kept
	}
}

// closeAnswer returns the close frame that answers a client's: with its code, if it gave one (RFC 6455 §5.5.1).
func closeAnswer(payload []byte) []byte {
	return appendFrame(nil, websocket.CloseMessage, payload[:min(2, len(payload))])
}
