package bridge

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/rotki/notification-bridge/bridge/admin"
	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/ingest"
	"github.com/rotki/notification-bridge/bridge/limit"
)

// New opens the journal and the listeners of a bridge, whose addresses are known from then on; Run serves them. The error
// says which setting is wrong, which address cannot be listened on, or what is the matter with the journal's stream.
func New(config Config) (*Bridge, error) { return Open(context.Background(), config) }

// Open is New that gives up, when ctx is done, to wait for NATS or for a stream that is long.
func Open(ctx context.Context, config Config) (_ *Bridge, err error) {
	config = config.withDefaults()
	if err := config.check(); err != nil {
		return nil, err
	}
	upstream, err := config.upstream()
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	b := &Bridge{config: config, upstream: new(http.Transport), name: fmt.Sprintf("%016x", rand.Uint64())}
	if err := b.loadContract(); err != nil {
		return nil, err
	}
	if err := b.listen(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.closeListeners()
		}
	}()
	if upstream != nil && leadsTo(upstream, b.httpListener.Addr()) {
		return nil, fmt.Errorf("--upstream %s is the bridge itself: name the server behind it", config.Upstream)
	}
	if b.journal, err = config.openJournal(ctx, registry); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = b.journal.Close(context.Background()) // nothing is on its way yet
		}
	}()
	registerJournal(registry, b.journal)
	if err := b.openControl(ctx, registry); err != nil {
		return nil, err
	}
	if b.sessions, err = config.openSessions(ctx, b.journal, registry); err != nil {
		return nil, err
	}
	b.openDelivery(registry)
	b.openIngest(registry)
	b.serveControl(registry)
	b.serveHTTP(upstream, registry)
	return b, nil
}

func (b *Bridge) openDelivery(registry *prometheus.Registry) {
	limits := b.config.Limits
	if limits.Connections == 0 {
		limits.Connections = subscribersFor(openFiles())
	}
	b.delivery = delivery.New(delivery.Config{
		Log:              b.journal,
		Types:            b.types,
		StringData:       b.config.StringData,
		AllowedOrigins:   b.config.AllowedOrigins,
		LocalHosts:       isLoopback(b.httpListener.Addr()) && b.config.Access.openToPages(),
		Authenticate:     b.callers.refusals.subscribers(b.callers.subscribers, b.callers.proxies),
		Subprotocol:      b.callers.subscribers.Subprotocol,
		Revoked:          b.revocations.Revoked,
		Lapsed:           b.lapsed(),
		Proxies:          b.callers.proxies,
		Limits:           limits,
		ClientRate:       b.config.ClientRate,
		Name:             b.name,
		Sessions:         b.sessions,
		SessionsByOrigin: !b.config.NoSessionsByOrigin,
		PingInterval:     b.config.PingInterval,
		WriteTimeout:     b.config.WriteTimeout,
		CompressFrom:     b.config.CompressFrom,
		SendBuffer:       b.config.SendBuffer,
		Logger:           b.config.Logger,
		Registerer:       registry,
	})
}

func (b *Bridge) openIngest(registry *prometheus.Registry) {
	config := ingest.Config{
		Sink: &pipeline{
			contract: &b.contract, journal: b.journal, audience: b.delivery, maxData: jsonPerByte * b.config.MaxMessageBytes,
		},
		Refused:         b.callers.refusals.counted(byPublish),
		TLS:             secure(b.callers.grpc),
		Revoked:         b.revocations.Revoked,
		Lapsed:          b.lapsed(),
		PublishRate:     float64(b.config.PublishRate),
		MaxStreams:      b.config.MaxStreams,
		MaxConnections:  cmp.Or(b.config.MaxPublishers, publishersFor(openFiles())),
		MaxPerAddress:   b.config.Limits.PerAddress,
		Trusted:         b.callers.proxies,
		MaxMessageBytes: b.config.MaxMessageBytes,
		Logger:          b.config.Logger,
		Registerer:      registry,
	}
	if b.callers.publishers != nil {
		config.Authenticate = b.callers.publishers.Authenticate
	}
	b.ingest = ingest.New(config)
}

// serveHTTP makes the servers of subscribers and of operators.
func (b *Bridge) serveHTTP(upstream *url.URL, registry *prometheus.Registry) {
	handler := routes{
		endpoint: b.delivery, events: b.delivery.Events(), contract: &b.contract, local: isLoopback(b.httpListener.Addr()),
	}
	if upstream != nil {
		handler.upstream = newPassage(newUpstream(
			upstream, b.upstream, b.callers.proxies, b.config.Access.SubjectHeader, b.config.Logger),
			passedFor(openFiles()), b.config.Logger, registry)
	}
	b.http = newHTTPServer(handler, b.config.Logger)
	pending := limit.NewPending(limit.PendingConfig{
		Max:        pendingFor(openFiles(), upstream != nil),
		PerAddress: b.config.Limits.PerAddress,
		Trusted:    b.callers.proxies,
		Logger:     b.config.Logger,
		Registerer: registry,
	})
	b.http.ConnState = pending.ConnState
	if upstream == nil {
		b.http.ReadTimeout = headerTimeout // no request of the bridge's own has more than a head
		b.http.WriteTimeout = answerTimeout
		b.http.IdleTimeout = headerTimeout // hardly anybody has another
	}
	operators := b.callers.operatorsAt(b.adminListener.Addr())
	b.admin = newHTTPServer(admin.Handler(admin.Config{
		Gatherer: registry,
		Ready:    b.ready,
		Allow:    b.callers.refusals.operators(operators),
	}), b.config.Logger)
	b.limitOperators(registry)
}

// limitOperators bounds the connections of operators, each address by itself: neither subscribers nor those who do not
// get further than that may keep probes out, on which the process's life may hang.
func (b *Bridge) limitOperators(registry *prometheus.Registry) {
	refused := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "bridge_operators_refused_total",
		Help: "TCP connections to the addresses of operators that were closed at once, since there were too many.",
	})
	registry.MustRegister(refused)
	notice := limit.NewNotice(b.config.Logger, slog.LevelWarn, "an operator's connection was refused: there are too many")
	config := limit.ConnsConfig{Max: operatorsFor(openFiles()), Refused: func(from net.Addr, _ bool) {
		refused.Inc()
		notice.Log(context.Background(), slog.String("from", from.String()))
	}}
	b.adminConns, b.adminGRPCConns = limit.NewConns(config), limit.NewConns(config)
}

// subscribersFor returns for how many subscribers a process has room that may have so many files open, 0 for any number:
// the rest is for those that are still connecting, for publishers, and for the journal.
func subscribersFor(files int) int { return files / 8 * 5 }

// publishersFor returns how many connections publishers may have, 0 for the usual number.
func publishersFor(files int) int { return min(files/16, ingest.DefaultMaxConnections) }

// operatorsFor returns how many connections operators may have at each address, 0 for any number.
func operatorsFor(files int) int { return min(files/64, 1000) }

// pendingFor returns how many subscribers may be connecting at a time, 0 for any number. What is passed on has a half
// of that, for two files each: one to the upstream, and the client's own once it speaks another protocol.
func pendingFor(files int, upstream bool) int {
	if upstream {
		return files / 8
	}
	return files / 4
}

// passedFor returns how many requests may be passed on at a time, 0 for any number.
func passedFor(files int) int { return files / 16 }

func (b *Bridge) listen() error {
	subscribers := net.ListenConfig{Control: awaitFirstByte}
	if b.config.Upstream == "" {
		// The bridge pings its websockets, and has a timeout for all else; of what it passes on, only TCP can tell that the
		// client is gone.
		subscribers.KeepAlive = -1
	}
	for _, l := range []struct {
		into       *net.Listener
		flag, addr string
		how        net.ListenConfig
	}{
		{&b.httpListener, "http-addr", b.config.HTTPAddr, subscribers},
		{&b.grpcListener, "grpc-addr", b.config.GRPCAddr, net.ListenConfig{}},
		{&b.adminListener, "admin-addr", b.config.AdminAddr, net.ListenConfig{}},
		{&b.adminGRPCListener, "admin-grpc-addr", b.config.AdminGRPCAddr, net.ListenConfig{}},
	} {
		listener, err := b.config.listen(l.flag, l.addr, l.how)
		if err != nil {
			b.closeListeners()
			return err
		}
		*l.into = listener
	}
	return nil
}
