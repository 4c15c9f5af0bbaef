// Package admin is what operators see of a bridge: metrics, health and profiles.
package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rotki/notification-bridge/bridge/auth"
)

// Config says what to show. Gatherer and Ready must be set.
type Config struct {
	// Gatherer holds the metrics.
	Gatherer prometheus.Gatherer
	// Ready returns nil when the bridge can serve, else why it cannot. It must be safe for concurrent use.
	Ready func() error
	// Allow refuses a request, with an *auth.Refusal, for all but /healthz and /readyz; nothing is refused by default. It
	// must be safe for concurrent use.
	Allow func(r *http.Request) error
}

// Handler serves /metrics (Prometheus), /healthz (200 while the process lives) and /readyz (503 with a sentence while
// it starts or drains), and profiles for `go tool pprof` under /debug/pprof/. Whoever is not allowed to see the metrics
// gets no sentence from /readyz either.
func Handler(config Config) http.Handler {
	allow := config.Allow
	if allow == nil {
		allow = func(*http.Request) error { return nil }
	}
	mux := http.NewServeMux()
	guarded := func(pattern string, handler http.Handler) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := allow(r); err != nil {
				refuse(w, err)
				return
			}
			handler.ServeHTTP(w, r)
		})
	}
	guarded("GET /metrics", promhttp.HandlerFor(config.Gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "alive")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := config.Ready(); err != nil {
			why := err.Error()
			if allow(r) != nil {
				why = "not ready"
			}
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	guarded("GET /debug/pprof/", http.HandlerFunc(pprof.Index))
	guarded("GET /debug/pprof/profile", http.HandlerFunc(pprof.Profile))
	guarded("GET /debug/pprof/trace", http.HandlerFunc(pprof.Trace))
	return mux
}

// refuse answers a request that is not allowed.
func refuse(w http.ResponseWriter, err error) {
	status, told := http.StatusForbidden, err.Error()
	if refusal := (*auth.Refusal)(nil); errors.As(err, &refusal) {
		status, told = refusal.HTTPStatus(), refusal.Told()
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="rotki notification bridge"`) // RFC 6750 §3
	}
	http.Error(w, told, status)
}
