package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/auth"
)

// handshakeResult is what became of a handshake, as a metric label.
type handshakeResult string

const (
	handshakeAccepted  handshakeResult = "accepted"
	handshakeMalformed handshakeResult = "malformed"
	handshakeForbidden handshakeResult = "forbidden_origin"
	handshakeRefused   handshakeResult = "refused_credential"
	handshakeLimited   handshakeResult = "limited" // there are too many, or they come too fast
	handshakeGone      handshakeResult = "gone"    // what it wanted to resume is no longer held
	handshakeDraining  handshakeResult = "draining"
	handshakeFailed    handshakeResult = "failed" // the system could not do what it takes
)

var handshakeResults = []handshakeResult{
	handshakeAccepted, handshakeMalformed, handshakeForbidden, handshakeRefused, handshakeLimited, handshakeGone,
	handshakeDraining, handshakeFailed,
}

// answerTime is how long a client may take to take in the answer to its handshake.
const answerTime = 10 * time.Second

// newUpgrader returns what answers handshakes. It leaves net/http's read buffer in place, and makes no other: nothing
// is read or written through gorilla/websocket once it has answered.
func newUpgrader(deflate bool) websocket.Upgrader {
	return websocket.Upgrader{
		EnableCompression: deflate,
		WriteBufferPool:   noWriteBuffers{},
		HandshakeTimeout:  answerTime,
		CheckOrigin:       func(*http.Request) bool { return true }, // checked before
		Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
			http.Error(w, reason.Error(), status)
		},
	}
}

// ServeHTTP answers a websocket handshake. The client has joined, and gets whatever is appended to the journal from
// then on, before it sees the answer. Parameters of the query, all optional:
//
//	types=a,b     only notifications of these types
//	data=string   data as a string that holds JSON; data=json as a JSON value
//	close=codes   a close frame (1001, 1013) where the bridge would else end TCP without one
//	since=…       first what has been published after a position, in the last so long (30s), all there is (earliest), or
//	              nothing (now); each envelope then has its position as "id", and the answer has a header
//	              Bridge-Position with the position to resume from as long as no envelope has come
//
// A value that the bridge does not know is refused with 400 and a sentence, a position whose successor is no longer held
// with 410. Other parameters are ignored, as rotki has always done.
//
// Where there are sessions, a browser gets a cookie. When its connection ends, unless it closes it itself, and it comes
// back with that cookie, it first gets what it has missed.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		e.refuseHandshake(w, handshakeMalformed, http.StatusUpgradeRequired, "this is a websocket endpoint: connect with a websocket client")
		return
	}
	s, from, ok := e.begin(w, r, "")
	if !ok {
		return
	}
	header := make(http.Header)
	if s.form&identified == 0 {
		if from, ok = e.resume(w, r, s, header); !ok {
			return
		}
	}
	if err := e.join(s, from); err != nil {
		e.refuseForNow(w, r, err)
		return
	}
	if s.form&identified != 0 {
		header.Set(positionHeader, e.position(s))
	}
	if chosen := e.config.Subprotocol(r); chosen != "" {
		header.Set("Sec-Websocket-Protocol", chosen)
	}
	e.conclude(s, e.upgrade(s, w, r, header))
}

// enter refuses whoever may not be here, or not now. It returns who it is and where it comes from.
func (e *Engine) enter(w http.ResponseWriter, r *http.Request) (caller auth.Caller, peer netip.AddrPort, ok bool) {
	peer, _ = netip.ParseAddrPort(r.RemoteAddr) // net/http's, from a net.TCPAddr
	if client := e.config.Proxies.Client(r); client.IsValid() && client != peer.Addr().Unmap() {
		peer = netip.AddrPortFrom(client, 0)
	}
	switch {
	case e.config.LocalHosts && !e.OwnHost(r):
		e.refuseStranger(w, r, peer.Addr(), foreignHost(r))
		return caller, peer, false
	case !e.origins.allows(r):
		e.refuseStranger(w, r, peer.Addr(),
			fmt.Sprintf("pages of %.64q may not connect; the bridge's operator can let them with --allowed-origins", r.Header.Get("Origin")))
		return caller, peer, false
	}
	if err := e.limits.enter(peer.Addr()); err != nil {
		e.refuseForNow(w, r, err)
		return caller, peer, false
	}
	caller, err := e.config.Authenticate(r)
	if err != nil {
		e.refuseCredential(w, r, err)
		return caller, peer, false
	}
	return caller, peer, true
}

// OwnHost reports whether a request is for a host that this machine may be called: a loopback name, an address, or the host
// of an allowed origin.
func (e *Engine) OwnHost(r *http.Request) bool { return e.origins.isLocalHost(r.Host) }

func foreignHost(r *http.Request) string {
	return fmt.Sprintf("%.64q is no name of this machine's own; where a proxy passes it on, the bridge's operator can let it with --allowed-origins", r.Host)
}

// RefuseHost answers a request that is for another host.
func (e *Engine) RefuseHost(w http.ResponseWriter, r *http.Request) {
	http.Error(w, foreignHost(r), http.StatusForbidden)
}

// begin reads a request. It returns the subscriber that comes of it, and its cursor, or has refused it. The id of the last
// event that the client has got, if there is one, wins over since; what it has lost beyond that is in s.told.
func (e *Engine) begin(w http.ResponseWriter, r *http.Request, lastID string) (s *subscriber, from uint64, ok bool) {
	caller, peer, ok := e.enter(w, r)
	if !ok {
		return nil, 0, false
	}
	p, err := e.parse(r.URL.RawQuery)
	if err == nil && lastID != "" {
		p.since, err = parseSince(lastID)
	}
	if err != nil {
		e.refuseHandshake(w, handshakeMalformed, http.StatusBadRequest, err.Error())
		return nil, 0, false
	}
	from, err = e.locate(r.Context(), p.since)
	told := ""
	if gone := (*goneError)(nil); errors.As(err, &gone) && lastID != "" {
		from, err, told = gone.earliest.Seq, nil, gone.Error()
	} else if gone != nil {
		w.Header().Set(earliestHeader, gone.earliest.String())
		w.Header().Set(positionHeader, e.framer.position(gone.earliest.Seq-1))
		e.refuseHandshake(w, handshakeGone, http.StatusGone, err.Error())
		return nil, 0, false
	}
	if err != nil {
		if lastID != "" {
			e.unread.Log(r.Context(), slog.String("err", err.Error()))
			e.hangUp(handshakeFailed)
		}
		e.refuseUnavailable(w, err)
		return nil, 0, false
	}
	s = &subscriber{filter: newFilter(allowed(p.types, caller.Types)), form: p.form, closeCodes: p.closeCodes, told: told, peer: peer}
	if p.since != nil {
		s.form |= identified
		s.loose = p.since.earliest || p.since.age > 0
	}
	if caller.Subject != "" || caller.TokenID != "" || !caller.Expires.IsZero() {
		s.who = &caller
	}
	if !caller.Expires.IsZero() {
		s.expires = max(1, caller.Expires.UnixMilli())
	}
	return s, from, true
}

// allowed returns those of the types that a client asks for which it may see. For either, nil stands for all.
func allowed(asked, may []string) []string {
	switch {
	case may == nil:
		return asked
	case asked == nil:
		return may
	}
	return slices.DeleteFunc(asked, func(typ string) bool { return !slices.Contains(may, typ) })
}

// resume begins a browser's session, and returns where it takes up, or has refused the request.
func (e *Engine) resume(w http.ResponseWriter, r *http.Request, s *subscriber, answer http.Header) (from uint64, ok bool) {
	claim, ok := e.claim(r, s.peer)
	if !ok {
		return now, true
	}
	claim.Subject = s.subject()
	parked, resumed := uint64(0), false
	s.session, parked, resumed = e.config.Sessions.Begin(claim)
	s.unknown = claim.New && !resumed
	s.loose = resumed
	if claim.New {
		answer.Add("Set-Cookie", cookie(r, claim.Name).String())
	}
	if !resumed {
		return now, true
	}
	from, err := e.held(r.Context(), parked)
	if err != nil {
		s.session.Park(parked)
		e.refuseUnavailable(w, err)
		return 0, false
	}
	if from > parked {
		e.lost(s, from-parked)
	}
	return from, true
}

// lost notes that a browser has lost so many records, as often as it likes: one that never confirms has each of its
// handshakes begin where its first did.
func (e *Engine) lost(s *subscriber, records uint64) {
	e.metrics.lost.Add(float64(records))
	e.missed.Log(context.Background(), slog.String("peer", s.peer.String()), slog.Uint64("lost", records))
}

// join counts the subscriber in, unless the engine is going away or has too many.
func (e *Engine) join(s *subscriber, from uint64) error {
	if err := e.admit(s, from); err != nil {
		s.abandon(from)
		return err
	}
	s.sure = s.next
	if s.session != nil {
		s.session.Start(s.next)
	}
	return nil
}

// conclude hands a subscriber to its shard, unless its handshake came to nothing.
func (e *Engine) conclude(s *subscriber, result handshakeResult) {
	e.metrics.handshakes[result].Inc()
	if result != handshakeAccepted {
		e.dismiss(s)
		s.abandon(s.next)
		return
	}
	e.welcome(s)
}

const (
	// earliestHeader tells a client the earliest position that is held, where the one it asked for is not.
	earliestHeader = "Bridge-Earliest-Position"
	// positionHeader tells a client from where it can resume when it has got nothing yet, or has lost its place.
	positionHeader = "Bridge-Position"
)

// position returns where a subscriber would resume that has got nothing yet.
func (e *Engine) position(s *subscriber) string {
	return e.framer.position(s.next - 1)
}

// upgrade answers the handshake and makes the connection ready for the shard.
func (e *Engine) upgrade(s *subscriber, w http.ResponseWriter, r *http.Request, header http.Header) handshakeResult {
	upgrader := &e.upgrader
	if e.config.CompressFrom > 0 && offersDeflate(r) {
		upgrader, s.deflate = &e.deflater, true
		s.form |= deflated
	}
	ws, err := upgrader.Upgrade(w, r, header)
	if err != nil {
		e.config.Logger.Debug("handshake failed", "peer", r.RemoteAddr, "err", err)
		return handshakeMalformed
	}
	return e.takeOver(s, ws.NetConn()) // gorilla/websocket has buffered nothing: it refuses clients that speak before the answer
}

// takeOver makes a connection that was answered the shard's.
func (e *Engine) takeOver(s *subscriber, conn net.Conn) handshakeResult {
	var err error
	if s.socket, err = newSocket(conn, e.config.SendBuffer, s.wake, &e.pumps); err != nil {
		e.config.Logger.Warn("a connection cannot be served", "peer", s.peer, "err", err)
		_ = conn.Close()
		return handshakeFailed
	}
	return handshakeAccepted
}

// noWriteBuffers is gorilla's pool of write buffers for messages, of which it writes none here.
type noWriteBuffers struct{}

func (noWriteBuffers) Get() any { return nil }
func (noWriteBuffers) Put(any)  {}
