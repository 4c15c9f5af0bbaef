package delivery

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/session"
)

// instant is a time, as how long after the engine's start it was.
type instant time.Duration

// subscriber is one websocket connection. There may be very many: it holds what they all need, and no buffer. All but
// what the handshake sets is owned by the shard.
type subscriber struct {
	// What a walk looks at lies together.

	next       uint64      // the cursor: the record to be written next
	offset     int         // how many bytes of its frame are written
	socket     socket      // set by the handshake
	filter     *filter     // set by the handshake
	controls   *controls   // what is to be written beside notifications; nil for nothing
	ending     *Disconnect // set once a close frame is due, after which nothing else is written
	form       form        // set by the handshake
	closeCodes bool        // set by the handshake: close=codes
	deflate    bool        // set by the handshake: permessage-deflate was negotiated
	blocked    bool        // the socket takes no more; the shard will be told
	stalled    bool        // a tick has found it blocked since it last had all that there was
	ended      bool        // nothing more is written
	heard      bool        // something came from the peer since the last ping
	eof        bool        // the peer has ended its side
	again      bool        // it is to be read from again
	early      bool        // its socket was ready before the shard had taken it in
	behind     bool        // it began further back than what is at hand, and has not got that far
	loose      bool        // it has got nothing, and may begin later than it was to if that is gone
	recalling  bool        // what it needs next is being fetched
	leaving    bool        // it gets nothing more, and is about to be ended
	missed     uint8       // pings in a row since when nothing came

	id       uint64           // set by the handshake: tells it from every other of this engine
	unwanted *Disconnect      // why it is to be ended as soon as its shard has it; nil for not at all
	who      *auth.Caller     // set by the handshake; nil for somebody anonymous
	expires  int64            // when its credential does, in milliseconds since 1970; 0 for never
	born     instant          // set by the handshake: when that was answered
	session  *session.Session // set by the handshake; nil for none
	told     string           // what it is told first, in an event of its own
	unknown  bool             // nobody has heard of its session yet
	asked    uint64           // the cursor that the last ping carried, until the pong has come; 0 for none
	sure     uint64           // the last cursor that came back: everything before it has reached the client
	askedAt  instant

	shard     *shard         // set by the handshake
	peer      netip.AddrPort // set by the handshake: where it comes from, without a port where a proxy says so
	queued    atomic.Bool    // that its socket is ready is in the shard's inbox
	roster    *roster        // where the shard has it
	slot      int            // index there
	inbound   *inbound       // what has come of a message that is not whole; nil between two
	progress  instant        // since when the socket has taken nothing, while it is blocked
	pingAt    instant
	endAt     instant // until when the close frame must be written, or the peer close; while draining, when to end
	discarded int     // bytes that were thrown away after the end
	spokeAt   instant // since when its frames are counted
	spoke     int     // how many have come since then, but for answers to what it was asked
}

// subject returns who it is; empty for somebody anonymous.
func (s *subscriber) subject() string {
	if s.who == nil {
		return ""
	}
	return s.who.Subject
}

// tokenID returns by what its token can be revoked; empty for nothing.
func (s *subscriber) tokenID() string {
	if s.who == nil {
		return ""
	}
	return s.who.TokenID
}

// expired reports whether its credential has. That is a matter of the wall clock: an instant stands still while the machine
// sleeps, and does not follow when the clock is set.
func (s *subscriber) expired() bool { return s.expires != 0 && time.Now().UnixMilli() >= s.expires }

// controls are the control frames that are due to a subscriber. They are only ever begun between two notifications.
type controls struct {
	writing []byte // what is left of those that are being written
	pong    []byte
	ping    bool
	goodbye []byte // a close frame, the last that is written
}

// owe returns the subscriber's controls, to add to them.
func (s *subscriber) owe() *controls {
	if s.controls == nil {
		s.controls = new(controls)
	}
	return s.controls
}

// wake has the shard look at a socket that may be able to read or write again. It may be called from any goroutine.
func (s *subscriber) wake() {
	if s.queued.Swap(true) {
		return
	}
	s.shard.post(func() {
		s.queued.Store(false)
		if s.roster != nil {
			s.shard.ready(s, true, true)
		} else {
			s.early = true
		}
	})
}

// roster is a set of a shard's subscribers. Each is in one at a time.
type roster []*subscriber

// move puts a subscriber into the roster, out of the one that it is in.
func (r *roster) move(sub *subscriber) {
	sub.leave()
	sub.roster, sub.slot = r, len(*r)
	*r = append(*r, sub)
}

// leave takes a subscriber out of its roster. The last one there takes its slot.
func (s *subscriber) leave() {
	if s.roster == nil {
		return
	}
	members := *s.roster
	last := members[len(members)-1]
	members[s.slot], last.slot = last, s.slot
	members[len(members)-1] = nil
	*s.roster = members[:len(members)-1]
	s.roster = nil
}

// each calls f with every member, at the last first, so that f may move the one that it is called with.
func (r *roster) each(f func(*subscriber)) {
	for i := len(*r) - 1; i >= 0; i-- {
		f((*r)[i])
	}
}
