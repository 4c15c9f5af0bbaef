package bridge

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
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
	// answerTimeout is how long a client may take to take an answer in; websockets and events have a timeout of their own.
	answerTimeout = 30 * time.Second
	// idleTimeout is how long a connection is kept for a further request.
	idleTimeout = 2 * time.Minute
	// maxHeaderBytes bounds the head of a request: a token may have 16 KiB, and there may be cookies.
	maxHeaderBytes = 32 << 10
)

func newHTTPServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug), // what a client did wrong is not news
	}
}

// routes sends websocket handshakes and requests for events on the bridge's paths to their endpoints, answers what is asked about the contract, and
// sends everything else upstream.
type routes struct {
	endpoint *delivery.Engine
	events   http.Handler
	contract *atomic.Pointer[inForce]
	upstream http.Handler // nil for none
}

// ServeHTTP implements http.Handler.
func (h routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
	if !h.endpoint.AllowsHost(r) { // upstream is told another, and could not know
		h.endpoint.RefuseHost(w, r)
		return
	}
	h.upstream.ServeHTTP(w, r)
}

func newUpstream(target *url.URL, transport http.RoundTripper, logger *slog.Logger) http.Handler {
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
			r.SetXForwarded()
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			logger.WarnContext(r.Context(), "upstream does not answer", "upstream", target.Redacted(), "err", err)
			http.Error(w, fmt.Sprintf("the bridge's upstream %s does not answer", target.Redacted()), http.StatusBadGateway)
		},
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
