package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/peer"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/limit"
)

// entrance is where a caller comes in, as a label of metrics and logs.
type entrance string

const (
	byWebsocket entrance = "websocket"
	byEvents    entrance = "events"
	byPublish   entrance = "publish"
	byAdmin     entrance = "admin"
)

// refusals count and log credentials that are not accepted, the latter at most once a second for each entrance.
type refusals struct {
	counters map[entrance]map[auth.Defect]prometheus.Counter
	notices  map[entrance]*limit.Notice
}

func newRefusals(logger *slog.Logger, registerer prometheus.Registerer) *refusals {
	vector := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_credentials_refused_total",
		Help: "Credentials that were not accepted, by where they were shown and what was wrong.",
	}, []string{"entrance", "defect"})
	registerer.MustRegister(vector)
	r := &refusals{
		counters: make(map[entrance]map[auth.Defect]prometheus.Counter),
		notices:  make(map[entrance]*limit.Notice),
	}
	for _, at := range []entrance{byWebsocket, byEvents, byPublish, byAdmin} {
		r.counters[at] = make(map[auth.Defect]prometheus.Counter)
		for _, defect := range auth.Defects() {
			r.counters[at][defect] = vector.WithLabelValues(string(at), string(defect))
		}
		if at != byPublish { // package ingest has its own
			r.notices[at] = limit.NewNotice(logger, slog.LevelWarn, "a credential was refused")
		}
	}
	return r
}

// note takes down why a credential was refused, if it was.
func (r *refusals) note(at entrance, peer string, err error) {
	refusal := (*auth.Refusal)(nil)
	if !errors.As(err, &refusal) {
		return
	}
	r.counters[at][refusal.Defect].Inc()
	r.notices[at].Log(context.Background(), slog.String("entrance", string(at)), slog.String("peer", peer), slog.String("why", refusal.Error()))
}

// subscribers returns how requests of subscribers are authenticated.
func (r *refusals) subscribers(by *auth.Subscribers, proxies auth.Proxies) func(*http.Request) (auth.Caller, error) {
	return func(request *http.Request) (auth.Caller, error) {
		caller, err := by.Authenticate(request)
		if err != nil {
			at := byWebsocket
			if request.URL.Path == eventsPath {
				at = byEvents
			}
			r.note(at, proxies.Client(request).String(), err)
		}
		return caller, err
	}
}

// counted returns what counts the defects of those who come in at an entrance that logs them itself.
func (r *refusals) counted(at entrance) func(auth.Defect) {
	return func(defect auth.Defect) { r.counters[at][defect].Inc() }
}

// calls returns how operators' calls are authenticated.
func (r *refusals) calls(at entrance, by *auth.Calls) func(context.Context) (auth.Caller, error) {
	return func(ctx context.Context) (auth.Caller, error) {
		caller, err := by.Authenticate(ctx)
		if p, ok := peer.FromContext(ctx); err != nil && ok {
			r.note(at, p.Addr.String(), err)
		}
		return caller, err
	}
}

// operators returns how requests of operators are allowed: with a token where by asks for one, else by a name of this
// machine's own, and not for another site's page (Fetch Metadata §2.3), so that none can make its visitor's browser ask.
func (r *refusals) operators(by *auth.Calls) func(*http.Request) error {
	return func(request *http.Request) error {
		if by == nil {
			if site := request.Header.Get("Sec-Fetch-Site"); site != "" && site != "none" && site != "same-origin" {
				return errors.New("a page of another site asks: open this address by itself, or have operators show a token (--admin-token)")
			}
			if !auth.IsOwnName(request.Host) {
				return fmt.Errorf("%.64q is no name of this machine's own: use 127.0.0.1 or localhost, or have operators show a token (--admin-token)", request.Host)
			}
			return nil
		}
		_, err := by.Request(request)
		// A probe shows nothing, and needs nothing.
		if request.URL.Path != "/readyz" || request.Header.Get("Authorization") != "" {
			r.note(byAdmin, request.RemoteAddr, err)
		}
		return err
	}
}
