package bridge

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rotki/notification-bridge/bridge/session"
)

// sessionsTimeout is how long a start waits for sessions from before.
const sessionsTimeout = 5 * time.Second

// openSessions returns the registry of sessions, nil when they are switched off.
func (c Config) openSessions(ctx context.Context, j keeper, registerer prometheus.Registerer) (*session.Registry, error) {
	if c.NoSessions {
		return nil, nil
	}
	store, err := j.Sessions(ctx, session.TTLOf(c.SessionTime))
	if err != nil {
		return nil, err
	}
	return session.New(session.Config{
		ParkTime:   c.SessionTime,
		Limit:      c.SessionLimit,
		Epoch:      j.Epoch(),
		Store:      store,
		Logger:     c.Logger,
		Registerer: registerer,
	}), nil
}

// runSessions follows and saves sessions until end is called, which waits for the last save.
func (b *Bridge) runSessions() (end func()) {
	if b.sessions == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = b.sessions.Run(ctx) })
	// Whoever comes back before others' sessions are known would miss what it missed.
	waiting, stopWaiting := context.WithTimeout(ctx, sessionsTimeout)
	defer stopWaiting()
	if err := b.sessions.Ready(waiting); err != nil {
		b.config.Logger.Warn("sessions from before cannot be read yet", "err", err)
	}
	return sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
}
