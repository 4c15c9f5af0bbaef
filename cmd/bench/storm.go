//go:build linux

package main

import (
	"context"
	"time"

	"github.com/rotki/notification-bridge/cmd/bench/load"
)

// storm is a run in which many connect at once.
type storm struct {
	server      string
	subscribers int
}

func (r storm) measure(ctx context.Context, l *lab) (_ figures, err error) {
	s, err := l.start(ctx, r.server, noPings)
	if err != nil {
		return nil, err
	}
	defer s.stop(&err)
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	before, err := s.cpu()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	crowd, err := load.Connect(ctx, load.Config{Addrs: []string{s.Websocket}, Path: everything, Count: r.subscribers})
	if err != nil {
		return nil, err
	}
	took := time.Since(start)
	defer crowd.Close()
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	after, err := s.cpu()
	if err != nil {
		return nil, err
	}
	if _, err := crowd.Finish(0); err != nil {
		return nil, err
	}
	return figures{
		cpuPerHandshake: micros(after-before) / float64(r.subscribers),
		handshakeRate:   float64(r.subscribers) / took.Seconds(),
	}, nil
}
