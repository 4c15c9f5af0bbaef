package delivery

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// eventsHead begins every answer. The client is to come back as soon as rotki's frontend does.
	eventsHead = "HTTP/1.1 200 OK\r\n" +
		"Content-Type: text/event-stream\r\n" +
		"Cache-Control: no-store\r\n" +
		"X-Accel-Buffering: no\r\n" + // nginx's
		"Connection: close\r\n"
	eventsRetry = "retry: 2000\n"
)

// Events answers GET with the notifications as Server-Sent Events (WHATWG HTML §9.2): one event each, whose id is its
// position and whose data is the envelope, and a comment every PingInterval. It takes the parameters types, data and
// since of ServeHTTP; Last-Event-ID, which a browser sends when it comes back, wins over since. What followed that and is
// no longer held is told in an event "lost", since a browser that gets 410 does not come back.
func (e *Engine) Events() http.Handler { return http.HandlerFunc(e.serveEvents) }

func (e *Engine) serveEvents(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions && r.Header.Get("Origin") != "" {
		e.preflight(w, r)
		return
	}
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		e.refuseHandshake(w, handshakeMalformed, http.StatusMethodNotAllowed, "events are to be had with GET")
		return
	}
	s, from, ok := e.begin(w, r, r.Header.Get("Last-Event-ID"))
	if !ok {
		return
	}
	s.form = s.form&stringData | eventLines
	if err := e.join(s, from); err != nil {
		e.refuseForNow(w, r, err)
		return
	}
	e.conclude(s, e.stream(s, w, r))
}

// preflight tells a browser that a page of another origin may show a token and ask for what it has missed (Fetch §4.8).
func (e *Engine) preflight(w http.ResponseWriter, r *http.Request) {
	if e.config.LocalHosts && !e.OwnHost(r) || !e.origins.allows(r) {
		e.refuseHandshake(w, handshakeForbidden, http.StatusForbidden, "pages of this origin may not connect")
		return
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Allow-Methods", http.MethodGet)
	h.Set("Access-Control-Allow-Headers", "Authorization, Last-Event-ID")
	h.Set("Access-Control-Max-Age", "600")
	h.Set("Vary", "Origin")
	w.WriteHeader(http.StatusNoContent)
}

// comesBack reports whether a request is of an EventSource that has lost its connection, which comes back for as long as it
// gets no answer, and never after any but 200.
func comesBack(r *http.Request) bool { return r.Header.Get("Last-Event-ID") != "" }

// hangUp ends a request without an answer, and does not return.
func (e *Engine) hangUp(result handshakeResult) {
	e.metrics.handshakes[result].Inc()
	panic(http.ErrAbortHandler)
}

// stream answers the request and makes the connection ready for the shard.
func (e *Engine) stream(s *subscriber, w http.ResponseWriter, r *http.Request) handshakeResult {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		http.Error(w, "events are served over HTTP/1.1 only", http.StatusHTTPVersionNotSupported)
		return handshakeFailed
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		e.config.Logger.Warn("a connection cannot be served", "peer", r.RemoteAddr, "err", err)
		return handshakeFailed
	}
	var head strings.Builder
	head.WriteString(eventsHead)
	if origin := r.Header.Get("Origin"); origin != "" { // it is allowed, or the request would not have come so far
		fmt.Fprintf(&head, "Access-Control-Allow-Origin: %s\r\nAccess-Control-Allow-Credentials: true\r\nVary: Origin\r\n", origin)
	}
	// The id alone makes no event, but the client resumes from there.
	fmt.Fprintf(&head, "\r\n%sid: %s\n\n", eventsRetry, e.position(s))
	if s.told != "" {
		fmt.Fprintf(&head, "event: lost\ndata: %s\n\n", s.told)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(answerTime))
	if _, err := conn.Write([]byte(head.String())); err != nil {
		_ = conn.Close()
		return handshakeFailed
	}
	_ = conn.SetWriteDeadline(time.Time{})
	return e.takeOver(s, conn)
}
