package bridge

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/limit"
)

// passage passes requests on, so many at a time. One that asks for another protocol, such as a websocket of the
// upstream's, is one until that ends.
type passage struct {
	upstream http.Handler
	atMost   int // 0 for any number
	patience time.Duration
	underway limit.Counts[struct{}]
	refused  prometheus.Counter
	notice   *limit.Notice
}

func newPassage(upstream http.Handler, atMost int, logger *slog.Logger, registerer prometheus.Registerer) *passage {
	p := &passage{
		upstream: upstream,
		atMost:   atMost,
		patience: bodyTimeout,
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bridge_upstream_refused_total",
			Help: "Requests that were not passed on, since there were as many as may be at a time.",
		}),
		notice: limit.NewNotice(logger, slog.LevelWarn, "a request was not passed on: there are too many"),
	}
	registerer.MustRegister(p.refused)
	return p
}

// ServeHTTP implements http.Handler.
func (p *passage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !p.underway.Take(struct{}{}, p.atMost) {
		p.refused.Inc()
		p.notice.Log(r.Context(), slog.String("peer", r.RemoteAddr))
		w.Header().Set("Retry-After", "1")
		http.Error(w, "the bridge passes on as many requests as it may; try again in a moment", http.StatusServiceUnavailable)
		return
	}
	defer p.underway.Release(struct{}{})
	connection := http.NewResponseController(w)
	_ = connection.SetWriteDeadline(time.Time{}) // the upstream may think as long as it likes
	r.Body = &patientBody{ReadCloser: r.Body, connection: connection, patience: p.patience}
	p.upstream.ServeHTTP(&patientWriter{w, connection, p.patience}, r)
	// For the end of the answer, however long ago its last part was.
	_ = connection.SetWriteDeadline(time.Now().Add(p.patience))
}

// patientWriter is an answer that is passed on. It may take as long as it likes, as long as the client takes some.
type patientWriter struct {
	http.ResponseWriter
	connection *http.ResponseController
	patience   time.Duration
}

// WriteHeader implements http.ResponseWriter.
func (w *patientWriter) WriteHeader(status int) {
	_ = w.connection.SetWriteDeadline(time.Now().Add(w.patience))
	w.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (w *patientWriter) Write(p []byte) (int, error) {
	_ = w.connection.SetWriteDeadline(time.Now().Add(w.patience)) // an error is the next write's, too
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController flush and hijack.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

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
	switch err {
	case nil:
	case io.EOF:
		b.waitForAnswer()
	default: // net/http goes on to read what is left, unless the deadline still stands
		err = &clientError{err}
	}
	return n, err
}

// clientError is why no more of a request came.
type clientError struct{ error }

// Unwrap returns what net/http says of it.
func (e *clientError) Unwrap() error { return e.error }

// Close implements io.Closer.
func (b *patientBody) Close() error {
	err := b.ReadCloser.Close()
	if err == nil {
		b.waitForAnswer()
	}
	return err
}

// waitForAnswer takes the deadline back: net/http reads on to find out whether the client has gone, and the answer may
// take as long as it likes.
func (b *patientBody) waitForAnswer() { _ = b.connection.SetReadDeadline(time.Time{}) }

// forwarded is how the headers begin with which a proxy says for whom, and for what, a request is.
const forwarded = "X-Forwarded-"

// looksLike reports whether two names of headers are one to a server that takes - for _, as CGI and WSGI do.
func looksLike(a, b string) bool {
	return strings.EqualFold(strings.ReplaceAll(a, "_", "-"), strings.ReplaceAll(b, "_", "-"))
}

// newUpstream passes requests on. What a proxy says of whom they are, and for whom, is passed on of a trusted one only.
func newUpstream(
	target *url.URL, transport http.RoundTripper, proxies auth.Proxies, subjectHeader string, logger *slog.Logger,
) http.Handler {
	silent := limit.NewNotice(logger, slog.LevelWarn, "upstream does not answer")
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			peer, _ := netip.ParseAddrPort(r.In.RemoteAddr)
			trusted := proxies.Trusts(peer.Addr())
			if trusted {
				r.Out.Header[forwarded+"For"] = r.In.Header[forwarded+"For"]
			}
			for name := range r.Out.Header {
				isSubject := strings.EqualFold(name, subjectHeader)
				switch {
				case isSubject && !trusted,
					!isSubject && looksLike(name, subjectHeader),
					strings.Contains(name, "_") && looksLike(name[:min(len(name), len(forwarded))], forwarded):
					delete(r.Out.Header, name)
				}
			}
			r.SetXForwarded()
			for _, name := range []string{forwarded + "Host", forwarded + "Proto"} {
				if first := r.In.Header[name]; trusted && len(first) > 0 { // of what the browser asked for, not the proxy
					r.Out.Header[name] = first
				}
			}
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if _, ok := errors.AsType[*clientError](err); ok || r.Context().Err() != nil {
				http.Error(w, "the rest of the request did not come", http.StatusRequestTimeout) // if it is still there
				return
			}
			silent.Log(r.Context(), slog.String("upstream", target.Redacted()), slog.Any("err", err))
			http.Error(w, fmt.Sprintf("the bridge's upstream %s does not answer", target.Redacted()), http.StatusBadGateway)
		},
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
