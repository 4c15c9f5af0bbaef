package bridge

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/delivery"
)

// eventsPath is where Server-Sent Events are.
const eventsPath = "/events"

const (
	// headerTimeout is how long a client may take to send the head of a request.
	headerTimeout = 10 * time.Second
	// bodyTimeout is for how long nothing may come of a request that is passed on.
	bodyTimeout = time.Minute
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

// routes sends websocket handshakes and requests for events on the bridge's paths to their endpoints, answers what is asked about the contract, and
// sends everything else upstream.
type routes struct {
	endpoint *delivery.Engine
	events   http.Handler
	contract *atomic.Pointer[inForce]
	upstream http.Handler // nil for none
	local    bool         // only this machine can reach the bridge
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
	r.Body = &patientBody{ReadCloser: r.Body, connection: http.NewResponseController(w), patience: bodyTimeout}
	if h.local && !h.endpoint.OwnHost(r) { // upstream is told another, and could not know
		h.endpoint.RefuseHost(w, r)
		return
	}
	h.upstream.ServeHTTP(w, r)
}

// patientBody is a request's body that is passed on. It may take as long as it likes, as long as something comes.
type patientBody struct {
	io.ReadCloser
	connection *http.ResponseController
	patience   time.Duration
}

// Read implements io.Reader.
func (b *patientBody) Read(p []byte) (int, error) {
	_ = b.connection.SetReadDeadline(time.Now().Add(b.patience)) // an error is the next read's, too
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.waitForAnswer()
	}
	return n, err
}

// Close implements io.Closer.
func (b *patientBody) Close() error {
	defer b.waitForAnswer()
	return b.ReadCloser.Close()
}

// waitForAnswer takes the deadline back: net/http reads on to find out whether the client has gone, and the answer may take
// as long as it likes.
func (b *patientBody) waitForAnswer() { _ = b.connection.SetReadDeadline(time.Time{}) }

// looksLike reports whether two names of headers are one to a server that takes - for _, as CGI and WSGI do.
func looksLike(a, b string) bool {
	return strings.EqualFold(strings.ReplaceAll(a, "_", "-"), strings.ReplaceAll(b, "_", "-"))
}

// newUpstream passes requests on. What a proxy says of whom they are, and for whom, is passed on of a trusted one only.
func newUpstream(
	target *url.URL, transport http.RoundTripper, proxies auth.Proxies, subjectHeader string, logger *slog.Logger,
) http.Handler {
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			peer, _ := netip.ParseAddrPort(r.In.RemoteAddr)
			trusted := proxies.Trusts(peer.Addr())
			if trusted {
				r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
			}
			for name := range r.Out.Header {
				if looksLike(name, subjectHeader) && !(trusted && strings.EqualFold(name, subjectHeader)) {
					delete(r.Out.Header, name)
				}
			}
			r.SetXForwarded()
			for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto"} {
				if first := r.In.Header[name]; trusted && len(first) > 0 { // of what the browser asked for, not the proxy
					r.Out.Header[name] = first
				}
			}
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			logger.WarnContext(r.Context(), "upstream does not answer", "upstream", target.Redacted(), "err", err)
			http.Error(w, fmt.Sprintf("the bridge's upstream %s does not answer", target.Redacted()), http.StatusBadGateway)
		},
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
