package delivery

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rotki/notification-bridge/bridge/limit"
)

// Limits bound subscribers. For each, 0 means no limit.
type Limits struct {
	// Connections is how many there may be in all, PerSubject of one subject, and PerAddress from one address, of
	// IPv6 from one subnet (see limit.Source).
	Connections int
	PerSubject  int
	PerAddress  int
	// Handshakes is how many may begin in a second in all, and HandshakesPerAddress from one address, of
	// IPv6 from one subnet (see limit.Source). Either may be used
	// up at once.
	Handshakes           float64
	HandshakesPerAddress float64
}

// limitName names a limit in metrics and logs.
type limitName string

const (
	limitConnections limitName = "connections"
	limitSubject     limitName = "connections_per_subject"
	limitAddress     limitName = "connections_per_address"
	limitHandshakes  limitName = "handshakes"
	limitFromAddress limitName = "handshakes_per_address"
	limitClientRate  limitName = "client_rate"
)

// limitError refuses a handshake for now.
type limitError struct {
	sentence   string
	retryAfter time.Duration
}

func (e *limitError) Error() string { return e.sentence }

// fullTime is after what time a client should try again that finds too many others.
const fullTime = 5 * time.Second

// limits count subscribers. They are safe for concurrent use.
type limits struct {
	Limits
	total      atomic.Int64 // of subscribers, until their sockets are closed
	subjects   limit.Counts[string]
	sources    limit.Counts[netip.Prefix]
	handshakes *limit.Rates[struct{}]
	from       *limit.Rates[netip.Prefix]
	refused    map[limitName]prometheus.Counter
	notices    map[limitName]*limit.Notice
}

func newLimits(config Limits, logger *slog.Logger, registerer prometheus.Registerer) *limits {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_subscribers_limited_total",
		Help: "Handshakes that were refused, and connections that were ended, because of a limit.",
	}, []string{"limit"})
	registerer.MustRegister(refused)
	l := &limits{
		Limits:     config,
		handshakes: limit.NewRates[struct{}](config.Handshakes, max(1, int(config.Handshakes))),
		from:       limit.NewRates[netip.Prefix](config.HandshakesPerAddress, max(1, int(config.HandshakesPerAddress))),
		refused:    make(map[limitName]prometheus.Counter),
		notices:    make(map[limitName]*limit.Notice),
	}
	for _, name := range []limitName{
		limitConnections, limitSubject, limitAddress, limitHandshakes, limitFromAddress, limitClientRate,
	} {
		l.refused[name] = refused.WithLabelValues(string(name))
		l.notices[name] = limit.NewNotice(logger, slog.LevelWarn, "a limit is reached")
	}
	return l
}

// exceeded counts and logs that a limit was reached.
func (l *limits) exceeded(name limitName, peer netip.Addr) {
	l.refused[name].Inc()
	l.notices[name].Log(context.Background(), slog.String("limit", string(name)), slog.String("peer", peer.Unmap().String()))
}

// enter refuses a handshake, before anything is looked at, when there are too many connections or handshakes.
func (l *limits) enter(peer netip.Addr) error {
	if l.isFull() {
		return l.full(limitConnections, peer)
	}
	now := time.Now()
	if ok, wait := l.from.Allow(limit.Source(peer), now); !ok {
		return l.tooFast(limitFromAddress, peer, wait)
	}
	if ok, wait := l.handshakes.Allow(struct{}{}, now); !ok {
		return l.tooFast(limitHandshakes, peer, wait)
	}
	return nil
}

func (l *limits) isFull() bool { return l.Connections > 0 && l.total.Load() >= int64(l.Connections) }

// take counts a subscriber in, or says which limit it would exceed. release must follow. Only one goroutine may take at a
// time.
func (l *limits) take(s *subscriber) error {
	peer := s.peer.Addr()
	if l.isFull() {
		return l.full(limitConnections, peer)
	}
	if !l.sources.Take(limit.Source(peer), l.PerAddress) {
		return l.full(limitAddress, peer)
	}
	if subject := s.subject(); subject != "" && !l.subjects.Take(subject, l.PerSubject) {
		l.sources.Release(limit.Source(peer))
		return l.full(limitSubject, peer)
	}
	l.total.Add(1)
	return nil
}

// release counts a subscriber out.
func (l *limits) release(s *subscriber) {
	l.total.Add(-1)
	l.sources.Release(limit.Source(s.peer.Addr()))
	if subject := s.subject(); subject != "" {
		l.subjects.Release(subject)
	}
}

func (l *limits) full(name limitName, peer netip.Addr) error {
	l.exceeded(name, peer)
	sentence := "the bridge has as many connections as it may; try again later"
	switch name {
	case limitSubject:
		sentence = "you have as many connections as you may; close one"
	case limitAddress:
		sentence = "there are as many connections from your address as there may be; try again later"
	}
	return &limitError{sentence, fullTime}
}

func (l *limits) tooFast(name limitName, peer netip.Addr, wait time.Duration) error {
	l.exceeded(name, peer)
	return &limitError{"too many connections are being opened; try again in a moment", wait}
}
