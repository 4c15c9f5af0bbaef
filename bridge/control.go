package bridge

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rotki/notification-bridge/bridge/control"
)

// controlTimeout is how long a start waits to know what was revoked before, and to be on the bus.
const controlTimeout = 5 * time.Second

// controlPause is how long a bus that cannot be had is left alone.
const controlPause = time.Second

// revokedBeyond is how much longer a token stays revoked than any bridge would accept it, if clocks are that wrong.
const revokedBeyond = 5 * time.Minute

// openControl opens what operators' calls and callers' credentials have in common: which tokens are revoked.
func (b *Bridge) openControl(ctx context.Context, registry *prometheus.Registry) (err error) {
	store, err := b.journal.Revoked(ctx)
	if err != nil {
		return err
	}
	if b.bus, err = b.journal.Bus(ctx, b.name); err != nil {
		return err
	}
	b.revocations = control.NewRevocations(control.RevocationsConfig{
		Store: store, Logger: b.config.Logger, Registerer: registry,
	})
	b.callers, err = b.config.openCallers(ctx, b.revocations.Revoked, registry)
	return err
}

// lapsed returns what tells whether a token may be revoked without this bridge's knowing; nil where that cannot be.
func (b *Bridge) lapsed() func() bool {
	if b.bus == nil || b.callers.tokens == nil {
		return nil
	}
	return b.bus.Lapsed
}

// serveControl makes the server of operators' calls.
func (b *Bridge) serveControl(registry *prometheus.Registry) {
	config := control.Config{
		Name:        b.name,
		Connections: b.delivery,
		Streams:     b.ingest,
		Revocations: b.revocations,
		Bus:         b.bus,
		TLS:         secure(b.callers.admin),
		Leeway:      b.config.Access.Leeway + revokedBeyond,
		Logger:      b.config.Logger,
		Registerer:  registry,
	}
	if b.callers.tokens != nil { // else there is nothing to be revoked
		config.Hold = func(hold bool) {
			b.onHold.Store(hold)
			b.delivery.Hold(hold)
			b.ingest.Hold(hold)
		}
	}
	if operators := b.callers.operatorsAt(b.adminGRPCListener.Addr()); operators != nil {
		config.Authenticate = b.callers.refusals.calls(byAdmin, operators)
	}
	b.control = control.New(config)
}

// runControl follows what is revoked, and is on the bus, until end is called, which waits for that. The engine must be
// running.
func (b *Bridge) runControl() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			err := b.control.Run(ctx)
			if err == nil {
				return
			}
			b.config.Logger.Error("other bridges cannot reach this one, retrying", "err", err)
			select {
			case <-time.After(controlPause):
			case <-ctx.Done():
			}
		}
	})
	// Whoever comes in before is known to have been shut out would be let in.
	waiting, stopWaiting := context.WithTimeout(ctx, controlTimeout)
	defer stopWaiting()
	if err := b.control.Ready(waiting); err != nil {
		b.config.Logger.Warn("which tokens were revoked before cannot be read yet", "err", err)
	}
	return sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
}

// warnOfPlainText says where credentials cross the network so that others can read them.
func (b *Bridge) warnOfPlainText() {
	for _, l := range []struct {
		name   string
		addr   net.Addr
		secure bool
	}{
		{"http", b.httpListener.Addr(), b.callers.http != nil},
		{"grpc", b.grpcListener.Addr(), b.callers.grpc != nil},
		{"admin", b.adminListener.Addr(), b.callers.admin != nil},
		{"admin-grpc", b.adminGRPCListener.Addr(), b.callers.admin != nil},
	} {
		if !l.secure && !isLoopback(l.addr) {
			b.config.Logger.Warn("this address does not speak TLS: whoever is on the way can read tokens and notifications, "+
				"unless a proxy in front encrypts them", "listener", l.name, "addr", l.addr)
		}
	}
}
