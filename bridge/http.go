package bridge

import (
	"bytes"
	"context"
	"log"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/delivery"
)

// eventsPath is where Server-Sent Events are.
const eventsPath = "/events"

const (
	// headerTimeout is how long a client may take to send the head of a request.
	headerTimeout = 10 * time.Second
	// bodyTimeout is for how long nothing may come of a request that is passed on, and nothing of its answer be taken.
	bodyTimeout = time.Minute
	// answerTimeout is how long a client may take to take the bridge's own answer in; websockets and events have a timeout
	// of their own.
	answerTimeout = 30 * time.Second
	// idleTimeout is how long a connection is kept for a further request.
	idleTimeout = 2 * time.Minute
	// maxHeaderBytes bounds the head of a request: a token may have 16 KiB, and there may be cookies.
	maxHeaderBytes = 32 << 10
)

func newHTTPServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Body != http.NoBody { // which net/http reads on to its end, if it comes to one, after the answer
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(headerTimeout))
			}
			handler.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(httpErrors{logger}, "", 0),
	}
}

// httpErrors log what net/http says. What a client did wrong is not news; a panic is the bridge's own mistake.
type httpErrors struct{ logger *slog.Logger }

// Write implements io.Writer.
func (e httpErrors) Write(line []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.HasPrefix(line, []byte("http: panic serving ")) {
		level = slog.LevelError
	}
	e.logger.Log(context.Background(), level, string(bytes.TrimSpace(line)))
	return len(line), nil
}

// routes sends websocket handshakes and requests for events on the bridge's paths to their endpoints, answers what is
// asked about the contract, and sends everything else upstream.
type routes struct {
	endpoint *delivery.Engine
	events   http.Handler
	contract *atomic.Pointer[inForce]
	upstream http.Handler // nil for none
	local    bool         // only this machine can reach the bridge
}

// ServeHTTP implements http.Handler.
func (h routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.upstream != nil { // else it is the server's WriteTimeout
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout))
	}
	switch r.URL.Path {
	case "/ws", "/ws/":
		h.endpoint.ServeHTTP(w, r)
		return
	case eventsPath:
		h.events.ServeHTTP(w, r)
		return
	case "/":
		if h.upstream == nil || websocket.IsWebSocketUpgrade(r) {
			h.endpoint.ServeHTTP(w, r)
			return
		}
	}
	if strings.HasPrefix(r.URL.Path, contractPath) {
		h.contract.Load().documents.ServeHTTP(w, r)
		return
	}
	if h.upstream == nil {
		http.Error(w, "there is nothing here; notifications are at /ws/ and /events", http.StatusNotFound)
		return
	}
	if h.local && !h.endpoint.OwnHost(r) { // upstream is told another, and could not know
		h.endpoint.RefuseHost(w, r)
		return
	}
	h.upstream.ServeHTTP(w, r)
}
