package limit

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"
)

// PendingConfig configures Pending.
type PendingConfig struct {
	// Max is how many connections there may be at once, and PerAddress how many of them from one Source; zero is no
	// limit.
	Max, PerAddress int
	// Trusted are the addresses of proxies, on whose connections others come: PerAddress is not for them.
	Trusted []netip.Prefix
	// Logger gets a line for each limit that is at work, at most once a second; nil discards them.
	Logger *slog.Logger
	// Registerer gets the metrics; nil keeps them to itself.
	Registerer prometheus.Registerer
}

// Pending bounds how many connections of an http.Server are not hijacked: those that shake hands or send the head of a
// request, are being answered, or are kept for a further request. Websockets and whatever else takes a connection over
// are out of it from then on. Its ConnState is that of the server, or of several, which then share what is allowed.
//
// A connection too many is closed before anything is read from it: with TLS before the handshake, without before the
// head of a request. To the client it was reset, or has ended if it said nothing; it gets no status, since to be told
// one it would have to be let in.
type Pending struct {
	counted counted
	refused map[bound]refusals
}

type refusals struct {
	total  prometheus.Counter
	notice *Notice
}

// NewPending returns a bound for connections.
func NewPending(config PendingConfig) *Pending {
	if config.Registerer == nil {
		config.Registerer = prometheus.NewRegistry()
	}
	p := &Pending{
		counted: counted{max: config.Max, perAddress: config.PerAddress, trusted: config.Trusted},
		refused: make(map[bound]refusals),
	}
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_connections_refused_total",
		Help: "TCP connections that were closed at once, by the limit that did not allow for them.",
	}, []string{"limit"})
	for b, told := range map[bound]struct{ label, message string }{
		inAll:      {"pending", "connection refused: too many are pending"},
		perAddress: {"pending_per_address", "connection refused: too many are pending from its address"},
	} {
		p.refused[b] = refusals{total.WithLabelValues(told.label), NewNotice(config.Logger, slog.LevelWarn, told.message)}
	}
	config.Registerer.MustRegister(total, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bridge_pending_connections",
		Help: "TCP connections that shake hands, send a request, are being answered, or are kept for another.",
	}, func() float64 { return float64(p.counted.size()) }))
	return p
}

// ConnState counts a connection, or closes it if it is one too many. It is meant for http.Server's field of that name.
//
// The server calls it with StateNew before it starts to serve the connection, and holds no lock: to close it there
// blocks nobody. What serves it then fails at its first read, says so in the server's ErrorLog if that was to be a TLS
// handshake, and ends as for any client that is gone.
func (p *Pending) ConnState(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		from := remote(conn)
		if b := p.counted.take(conn, from); b != withinLimits {
			p.refused[b].total.Inc()
			_ = conn.Close() // it was never let in
			p.refused[b].notice.Log(context.Background(), slog.String("from", from.String()))
		}
	case http.StateHijacked, http.StateClosed:
		p.counted.release(conn)
	}
}
