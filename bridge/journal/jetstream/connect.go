package jetstream

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// retryWait is the time between attempts to connect.
	retryWait = 200 * time.Millisecond
	// pingInterval is the time between pings of the server; after two without an answer the connection is given up.
	pingInterval = 5 * time.Second
)

// connect returns a connection that reconnects for ever. It waits until NATS answers or ctx is done; what no waiting
// can mend is an error at once.
func (c Config) connect(ctx context.Context, lost func(error), back func()) (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name("rotki-bridge"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(retryWait),
		nats.ReconnectJitter(retryWait/2, retryWait/2),
		nats.ReconnectBufSize(-1),   // what is published while there is no connection fails, rather than comes late
		nats.IgnoreAuthErrorAbort(), // credentials may be renewed while the bridge runs
		nats.PingInterval(pingInterval),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { lost(err) }),
		nats.ReconnectHandler(func(*nats.Conn) { back() }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			c.Logger.Debug("nats", "err", err)
		}),
	}
	if c.Server != nil {
		return nats.Connect("", append(options, nats.InProcessServer(c.Server.nats))...)
	}
	if c.Credentials != "" {
		options = append(options, nats.UserCredentials(c.Credentials))
	}
	if c.NKey != "" {
		key, err := nats.NkeyOptionFromSeed(c.NKey)
		if err != nil {
			return nil, fmt.Errorf("read the NKey seed in %s: %w", c.NKey, err)
		}
		options = append(options, key)
	}
	if c.TLS != nil {
		options = append(options, nats.Secure(c.TLS))
	}
	waiting := false
	for {
		nc, err := nats.Connect(strings.Join(c.URLs, ","), options...)
		if err == nil {
			if waiting {
				c.Logger.Info("NATS answers", "server", nc.ConnectedUrlRedacted())
			}
			return nc, nil
		}
		if !mayMend(err) {
			return nil, fmt.Errorf("connect to NATS at %s: %w", c.place(), err)
		}
		if !waiting {
			waiting = true
			c.Logger.Warn("waiting for NATS", "urls", c.place(), "timeout", c.ConnectTimeout, "err", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("NATS at %s does not answer: %w; is it running, and is the address right?", c.place(), err)
		case <-time.After(retryWait):
		}
	}
}

// redacted returns URLs without their passwords.
func redacted(urls []string) []string {
	shown := make([]string, len(urls))
	for i, text := range urls {
		shown[i] = "an address that cannot be read"
		if u, err := url.Parse(text); err == nil {
			shown[i] = u.Redacted()
		}
	}
	return shown
}
