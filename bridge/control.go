package bridge

import (
	"context"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rotki/notification-bridge/bridge/control"
)

// revocationsTimeout is how long a start waits for tokens that were revoked before.
const revocationsTimeout = 5 * time.Second

// openControl opens what operators' calls and callers' credentials have in common: which tokens are revoked.
func (b *Bridge) openControl(ctx context.Context, registry *prometheus.Registry) error {
	store, err := b.journal.Revoked(ctx)
	if err != nil {
		return err
	}
	b.revocations = control.NewRevocations(control.RevocationsConfig{
		Store: store, Logger: b.config.Logger, Registerer: registry,
	})
	b.callers, err = b.config.openCallers(ctx, b.revocations.Revoked, registry)
	return err
}

// serveControl makes the server of operators' calls.
func (b *Bridge) serveControl(registry *prometheus.Registry) {
	config := control.Config{
		Name:        b.name,
		Connections: b.delivery,
		Streams:     b.ingest,
		Revocations: b.revocations,
		Bus:         b.journal.Bus(b.name),
		TLS:         secure(b.callers.admin),
		Logger:      b.config.Logger,
		Registerer:  registry,
	}
	if operators := b.callers.operators(b.adminGRPCListener.Addr()); operators != nil {
		config.Authenticate = b.callers.refusals.calls(byAdmin, operators)
	}
	b.control = control.New(config)
}

// awaitRevocations waits until the tokens are known that were revoked before, or at other bridges.
func (b *Bridge) awaitRevocations(ctx context.Context) {
	waiting, stop := context.WithTimeout(ctx, revocationsTimeout)
	defer stop()
	if err := b.revocations.Ready(waiting); err != nil {
		b.config.Logger.Warn("tokens that were revoked before cannot be read yet", "err", err)
	}
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
