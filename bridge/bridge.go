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

	"github.com/rotki/notification-bridge/bridge/control"
	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/ingest"
	"github.com/rotki/notification-bridge/bridge/limit"
	"github.com/rotki/notification-bridge/bridge/session"
)

// Bridge is one running bridge.
type Bridge struct {
	config      Config
	name        string // tells it from the other bridges of its stream
	journal     keeper
	sessions    *session.Registry // nil for none
	revocations *control.Revocations
	bus         control.Bus // nil for none
	callers     *callers
	delivery    *delivery.Engine
	ingest      *ingest.Server
	control     *control.Server
	http        *http.Server
	admin       *http.Server
	upstream    *http.Transport
	state       atomic.Int32
	onHold      atomic.Bool // nobody is let in, and nothing delivered

	contract  atomic.Pointer[inForce]
	reloading sync.Mutex // held while another contract is put into force

	httpListener, grpcListener, adminListener, adminGRPCListener net.Listener // without TLS

	adminConns, adminGRPCConns *limit.Conns
}

// The states of a bridge, as /readyz tells them.
const (
	starting int32 = iota
	ready
	draining
)

func (b *Bridge) closeListeners() {
	for _, l := range []net.Listener{b.httpListener, b.grpcListener, b.adminListener, b.adminGRPCListener} {
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

// AdminGRPCAddr returns the address of AdminService.
func (b *Bridge) AdminGRPCAddr() string { return b.adminGRPCListener.Addr().String() }

func (b *Bridge) ready() error {
	switch b.state.Load() {
	case starting:
		return errors.New("starting")
	case draining:
		return errors.New("draining")
	}
	if err := b.journal.Ready(); err != nil {
		return err
	}
	if b.onHold.Load() {
		return errors.New("it is not known which tokens are revoked; nobody is let in")
	}
	return nil
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
	failed := make(chan error, 5)
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
	serving.Go(func() { b.callers.run(delivering) })
	serve("deliver", func() error { return b.delivery.Run(delivering) })
	endControl := b.runControl()
	defer endControl()
	endSessions := b.runSessions()
	defer endSessions()
	serving.Go(func() { b.tellHealth(delivering) })
	serve("serve websockets", func() error { return b.http.Serve(over(b.callers.http, b.httpListener)) })
	serve("serve publishers", func() error { return b.ingest.Serve(b.grpcListener) })
	serve("serve operators", func() error { return b.admin.Serve(over(b.callers.admin, b.adminConns.Listen(b.adminListener))) })
	serve("serve operators' calls", func() error { return b.control.Serve(b.adminGRPCConns.Listen(b.adminGRPCListener)) })
	b.state.Store(ready)
	b.config.Logger.Info("listening",
		"websocket", b.HTTPAddr(), "grpc", b.GRPCAddr(), "admin", b.AdminAddr(), "admin_grpc", b.AdminGRPCAddr())
	b.warnOfPlainText()

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	b.drain(endControl, endSessions)
	stopDelivering()
	endRequests()
	_ = b.http.Close()
	_ = b.admin.Close()
	serving.Wait()
	b.upstream.CloseIdleConnections()
	return err
}

// drain stops in the order in which notifications flow.
func (b *Bridge) drain(endControl, endSessions func()) {
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
	b.control.Shutdown(deadline)
	endControl()  // nobody is left to be disconnected
	endSessions() // they are kept where the journal is
	if err := b.journal.Close(deadline); err != nil {
		b.config.Logger.Warn("the journal was cut short", "err", err)
	}
	b.config.Logger.Info("drained", "took", time.Since(start).Round(time.Millisecond), "connections", b.delivery.Connections())
}
