package delivery

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/gorilla/websocket"
)

// handshakeResult is what became of a handshake, as a metric label.
type handshakeResult string

const (
	handshakeAccepted  handshakeResult = "accepted"
	handshakeMalformed handshakeResult = "malformed"
	handshakeForbidden handshakeResult = "forbidden_origin"
	handshakeDraining  handshakeResult = "draining"
	handshakeFailed    handshakeResult = "failed" // the system could not do what it takes
)

var handshakeResults = []handshakeResult{
	handshakeAccepted, handshakeMalformed, handshakeForbidden, handshakeDraining, handshakeFailed,
}

// newUpgrader returns what answers handshakes. It leaves net/http's read buffer in place, and makes no other: nothing
// is read or written through gorilla/websocket once it has answered.
func newUpgrader(deflate bool) websocket.Upgrader {
	return websocket.Upgrader{
		EnableCompression: deflate,
		WriteBufferPool:   noWriteBuffers{},
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
//
// A value that the bridge does not know is refused with 400 and a sentence. Other parameters are ignored, as rotki
// has always done.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		e.refuseHandshake(w, handshakeMalformed, http.StatusUpgradeRequired, "this is a websocket endpoint: connect with a websocket client")
		return
	}
	if !e.origins.allows(r) {
		e.refuseHandshake(w, handshakeForbidden, http.StatusForbidden,
			fmt.Sprintf("pages of %q may not connect; the bridge's operator can let them with --allowed-origins", r.Header.Get("Origin")))
		return
	}
	s, err := e.parse(r.URL.RawQuery)
	if err != nil {
		e.refuseHandshake(w, handshakeMalformed, http.StatusBadRequest, err.Error())
		return
	}
	s.peer, _ = netip.ParseAddrPort(r.RemoteAddr) // net/http's, from a net.TCPAddr
	if !e.admit(s) {
		w.Header().Set("Retry-After", "2")
		e.refuseHandshake(w, handshakeDraining, http.StatusServiceUnavailable, "the bridge is shutting down; connect again in a moment")
		return
	}
	if result := e.upgrade(s, w, r); result != handshakeAccepted {
		e.metrics.handshakes[result].Inc()
		e.dismiss(s)
		return
	}
	e.metrics.handshakes[handshakeAccepted].Inc()
	e.welcome(s)
}

func (e *Engine) refuseHandshake(w http.ResponseWriter, result handshakeResult, status int, sentence string) {
	e.metrics.handshakes[result].Inc()
	if status == http.StatusUpgradeRequired {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
	}
	http.Error(w, sentence, status)
}

// parse reads the query's parameters.
func (e *Engine) parse(query string) (*subscriber, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("the query is malformed: %w", err)
	}
	s := new(subscriber)
	if e.config.StringData {
		s.form = stringData
	}
	var types, known []string
	if values.Has("types") {
		known = e.config.Types()
	}
	for _, list := range values["types"] {
		for name := range strings.SplitSeq(list, ",") {
			if !slices.Contains(known, name) {
				return nil, fmt.Errorf("types: %q is no notification type; there are: %s", name, strings.Join(known, ", "))
			}
			types = append(types, name)
		}
	}
	s.filter = newFilter(types)
	for _, form := range values["data"] {
		switch form {
		case "json":
			s.form = jsonData
		case "string":
			s.form = stringData
		default:
			return nil, fmt.Errorf("data: %q is not known; it can be json or string", form)
		}
	}
	if unknown := slices.IndexFunc(values["close"], func(v string) bool { return v != "codes" }); unknown >= 0 {
		return nil, fmt.Errorf("close: %q is not known; it can be codes", values["close"][unknown])
	}
	s.closeCodes = values.Has("close")
	return s, nil
}

// upgrade answers the handshake and makes the connection ready for the shard.
func (e *Engine) upgrade(s *subscriber, w http.ResponseWriter, r *http.Request) handshakeResult {
	upgrader := &e.upgrader
	if e.config.CompressFrom > 0 && offersDeflate(r) {
		upgrader, s.deflate = &e.deflater, true
		s.form |= deflated
	}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		e.config.Logger.Debug("handshake failed", "peer", r.RemoteAddr, "err", err)
		return handshakeMalformed
	}
	conn := ws.NetConn() // gorilla/websocket has buffered nothing: it refuses clients that speak before the answer
	if s.socket, err = newSocket(conn, e.config.SendBuffer, s.wake, &e.pumps); err != nil {
		e.config.Logger.Warn("a connection cannot be served", "peer", r.RemoteAddr, "err", err)
		_ = conn.Close()
		return handshakeFailed
	}
	return handshakeAccepted
}

// noWriteBuffers is gorilla's pool of write buffers for messages, of which it writes none here.
type noWriteBuffers struct{}

func (noWriteBuffers) Get() any { return nil }
func (noWriteBuffers) Put(any)  {}
