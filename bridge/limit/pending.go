package limit

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"

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
	config  PendingConfig
	refused map[bound]refusals

	mu      sync.Mutex
	conns   map[net.Conn]netip.Prefix // to the source that each counts for, invalid for none
	sources Counts[netip.Prefix]
}

// bound is which limit a connection was refused for, as a metric label.
type bound string

const (
	withinLimits      bound = ""
	pendingInAll      bound = "pending"
	pendingPerAddress bound = "pending_per_address"
)

type refusals struct {
	total  prometheus.Counter
	notice *Notice
}

// NewPending returns a bound for connections.
func NewPending(config PendingConfig) *Pending {
	if config.Registerer == nil {
		config.Registerer = prometheus.NewRegistry()
	}
	p := &Pending{config: config, refused: make(map[bound]refusals), conns: make(map[net.Conn]netip.Prefix)}
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_connections_refused_total",
		Help: "TCP connections that were closed at once, by the limit that did not allow for them.",
	}, []string{"limit"})
	for b, message := range map[bound]string{
		pendingInAll:      "connection refused: too many are pending",
		pendingPerAddress: "connection refused: too many are pending from its address",
	} {
		p.refused[b] = refusals{total.WithLabelValues(string(b)), NewNotice(config.Logger, slog.LevelWarn, message)}
	}
	config.Registerer.MustRegister(total, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bridge_pending_connections",
		Help: "TCP connections that shake hands, send a request, are being answered, or are kept for another.",
	}, func() float64 { return float64(p.pending()) }))
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
		if b := p.take(conn, from); b != withinLimits {
			p.refused[b].total.Inc()
			_ = conn.Close() // it was never let in
			p.refused[b].notice.Log(context.Background(), slog.String("from", from.String()))
		}
	case http.StateHijacked, http.StateClosed:
		p.release(conn)
	}
}

func (p *Pending) take(conn net.Conn, from netip.Addr) bound {
	var source netip.Prefix
	trusted := func(proxies netip.Prefix) bool { return proxies.Contains(from.WithZone("")) }
	if p.config.PerAddress > 0 && !slices.ContainsFunc(p.config.Trusted, trusted) {
		source = Source(from)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.config.Max > 0 && len(p.conns) >= p.config.Max {
		return pendingInAll
	}
	if source.IsValid() && !p.sources.Take(source, p.config.PerAddress) {
		return pendingPerAddress
	}
	p.conns[conn] = source
	return withinLimits
}

// release forgets a connection; one that was refused, it has never known.
func (p *Pending) release(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if source, ok := p.conns[conn]; ok {
		delete(p.conns, conn)
		p.sources.Release(source)
	}
}

func (p *Pending) pending() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// remote returns the address at the other end, invalid if that is not an IP address.
func remote(conn net.Conn) netip.Addr {
	addr, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return addr.AddrPort().Addr().Unmap()
}
