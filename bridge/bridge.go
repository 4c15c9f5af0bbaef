// Package bridge is rotki's notification bridge: typed notifications come in over gRPC and go out to every websocket
// subscriber as the JSON envelopes that rotki's frontend reads.
//
// The parts are strangers to each other, and this package wires them: ingest takes requests off gRPC streams,
// envelope turns each into JSON, journal puts them into one order, delivery writes that to the subscribers.
//
// # Concurrency
//
// A Bridge is safe for concurrent use.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/rotki/notification-bridge/bridge/admin"
	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/ingest"
	"github.com/rotki/notification-bridge/bridge/session"
)

// Bridge is one running bridge.
type Bridge struct {
	config   Config
	journal  keeper
	sessions *session.Registry // nil for none
	delivery *delivery.Engine
	ingest   *ingest.Server
	http     *http.Server
	admin    *http.Server
	upstream *http.Transport
	state    atomic.Int32

	contract  atomic.Pointer[inForce]
	reloading sync.Mutex // held while another contract is put into force

	httpListener, grpcListener, adminListener net.Listener
}

// The states of a bridge, as /readyz tells them.
const (
	starting int32 = iota
	ready
	draining
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

	b := &Bridge{config: config, upstream: new(http.Transport)}
	if err := b.loadContract(); err != nil {
		return nil, err
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
	if b.sessions, err = config.openSessions(ctx, b.journal, registry); err != nil {
		return nil, err
	}
	b.delivery = delivery.New(delivery.Config{
		Log:              b.journal,
		Types:            b.types,
		StringData:       config.StringData,
		AllowedOrigins:   config.AllowedOrigins,
		Sessions:         b.sessions,
		SessionsByOrigin: !config.NoSessionsByOrigin,
		PingInterval:     config.PingInterval,
		WriteTimeout:     config.WriteTimeout,
		CompressFrom:     config.CompressFrom,
		SendBuffer:       config.SendBuffer,
		Logger:           config.Logger,
		Registerer:       registry,
	})
	b.ingest = ingest.New(ingest.Config{
		Sink: &pipeline{
			contract: &b.contract, journal: b.journal, audience: b.delivery, maxData: jsonPerByte * config.MaxMessageBytes,
		},
		MaxMessageBytes: config.MaxMessageBytes,
		Logger:          config.Logger,
		Registerer:      registry,
	})
	handler := routes{endpoint: b.delivery, events: b.delivery.Events(), contract: &b.contract}
	if upstream != nil {
		handler.upstream = newUpstream(upstream, b.upstream, config.Logger)
	}
	b.http = newHTTPServer(handler, config.Logger)
	if upstream == nil {
		b.http.ReadTimeout = headerTimeout // no request of the bridge's own has more than a head
	}
	b.admin = newHTTPServer(admin.Handler(admin.Config{Gatherer: registry, Ready: b.ready}), config.Logger)
	if err := b.listen(); err != nil {
		return nil, err
	}
	if upstream != nil && leadsTo(upstream, b.httpListener.Addr()) {
		b.closeListeners()
		return nil, fmt.Errorf("--upstream %s is the bridge itself: name the server behind it", config.Upstream)
	}
	return b, nil
}

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

func (b *Bridge) closeListeners() {
	for _, l := range []net.Listener{b.httpListener, b.grpcListener, b.adminListener} {
		if l != nil {
			_ = l.Close()
		}
	}
}

// HTTPAddr returns the address at which subscribers connect.
func (b *Bridge) HTTPAddr() string { return b.httpListener.Addr().String() }

// GRPCAddr returns the address at which publishers connect.
func (b *Bridge) GRPCAddr() string { return b.grpcListener.Addr().String() }

// AdminAddr returns the address of metrics and health.
func (b *Bridge) AdminAddr() string { return b.adminListener.Addr().String() }

func (b *Bridge) ready() error {
	switch b.state.Load() {
	case starting:
		return errors.New("starting")
	case draining:
		return errors.New("draining")
	}
	return b.journal.Ready()
}

// tellHealth keeps what gRPC's health service says in line with the journal.
func (b *Bridge) tellHealth(ctx context.Context) {
	for {
		b.ingest.SetServing(b.journal.Ready() == nil)
		select {
		case <-b.journal.Changed():
		case <-ctx.Done():
			return
		}
	}
}

// Run serves until ctx is done, then drains: no more publishes, every answer that is owed, what is in the journal to
// those who can take it, and then the end of each connection, all within DrainTimeout. It returns nil after that, or
// an error when a listener failed. It must be called once.
func (b *Bridge) Run(ctx context.Context) error {
	failed := make(chan error, 3)
	var serving sync.WaitGroup
	serve := func(what string, run func() error) {
		serving.Go(func() {
			if err := run(); err != nil && !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("%s: %w", what, err)
			}
		})
	}
	delivering, stopDelivering := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDelivering()
	// What is proxied, websockets above all, ends with these.
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	b.http.BaseContext = func(net.Listener) context.Context { return requests }
	endSessions := b.runSessions()
	defer endSessions()
	serving.Go(func() { b.tellHealth(delivering) })
	serve("deliver", func() error { return b.delivery.Run(delivering) })
	serve("serve websockets", func() error { return b.http.Serve(b.httpListener) })
	serve("serve publishers", func() error { return b.ingest.Serve(b.grpcListener) })
	serve("serve operators", func() error { return b.admin.Serve(b.adminListener) })
	b.state.Store(ready)
	b.config.Logger.Info("listening", "websocket", b.HTTPAddr(), "grpc", b.GRPCAddr(), "admin", b.AdminAddr())

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	b.drain(endSessions)
	stopDelivering()
	endRequests()
	_ = b.http.Close()
	_ = b.admin.Close()
	serving.Wait()
	b.upstream.CloseIdleConnections()
	return err
}

// drain stops in the order in which notifications flow.
func (b *Bridge) drain(endSessions func()) {
	start := time.Now()
	b.state.Store(draining)
	connections := b.delivery.Connections()
	b.config.Logger.Info("draining", "connections", connections, "timeout", b.config.DrainTimeout)
	deadline, cancel := context.WithTimeout(context.Background(), b.config.DrainTimeout)
	defer cancel()

	// A publisher that does not read its answers must not take the subscribers' share of the time.
	publishers, cancelPublishers := context.WithTimeout(deadline, b.config.DrainTimeout/2)
	b.ingest.Drain(publishers)
	cancelPublishers()
	b.journal.Seal() // it goes on to follow its stream, so that subscribers get what other bridges take

	// So that they do not all reconnect at once, somewhere else or here, they end one by one.
	spread := min(time.Duration(connections)*time.Millisecond, b.config.DrainTimeout/4)
	b.delivery.Drain(deadline, spread)
	if b.config.Upstream != "" {
		_ = b.http.Shutdown(deadline) // requests that are being passed on
	}
	endSessions() // they are kept where the journal is
	if err := b.journal.Close(deadline); err != nil {
		b.config.Logger.Warn("the journal was cut short", "err", err)
	}
	b.config.Logger.Info("drained", "took", time.Since(start).Round(time.Millisecond), "connections", b.delivery.Connections())
}
