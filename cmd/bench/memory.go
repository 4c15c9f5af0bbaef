//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/rotki/notification-bridge/cmd/bench/load"
)

const (
	// idleBurst is how many messages go to all idle connections, before their memory is measured again.
	idleBurst = 100
	// stalledRing is how many messages the journal keeps in runs with stalled subscribers. Whoever is further behind
	// is dropped, so that the burst and the measurement at a pace must fit.
	stalledRing = 8192
	// stalledBuffer is their SO_RCVBUF; stallingBurst fills it and the bridge's --send-buffer, several times over.
	stalledBuffer = 4 << 10
	stallingBurst = 3000
)

// idle is a run in which many are connected and next to nothing happens.
type idle struct {
	connections int
	rest        time.Duration // how long memory may take to fall
}

func (r idle) measure(ctx context.Context, l *lab) (_ figures, err error) {
	s, err := l.start(ctx, bridge) // which pings, as it does in service
	if err != nil {
		return nil, err
	}
	defer s.stop(&err)
	p, err := s.publisher(ctx, usualSize)
	if err != nil {
		return nil, err
	}
	defer p.close()
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	before, err := s.rss()
	if err != nil {
		return nil, err
	}
	crowd, err := load.Connect(ctx, load.Config{Addrs: []string{s.Websocket}, Path: everything, Count: r.connections})
	if err != nil {
		return nil, err
	}
	defer crowd.Close()
	connected, err := s.restingRSS(ctx, r.rest)
	if err != nil {
		return nil, err
	}
	if err := p.deliver(ctx, crowd, idleBurst, 0); err != nil {
		return nil, err
	}
	burst, err := s.restingRSS(ctx, r.rest)
	if err != nil {
		return nil, err
	}
	if _, err := crowd.Finish(idleBurst); err != nil {
		return nil, err
	}
	return figures{
		rssPerConnection:      float64(connected-before) / float64(r.connections),
		rssPerConnectionLater: float64(burst-before) / float64(r.connections),
	}, nil
}

// stalled is a run in which some subscribers read and others never do.
type stalled struct {
	healthy, stalled int
	messages         int
	interval         time.Duration
	rest             time.Duration // how long memory may take to fall
}

func (r stalled) measure(ctx context.Context, l *lab) (_ figures, err error) {
	s, err := l.start(ctx, bridge, noPings, "--write-timeout=1h", "--journal-messages="+decimal(stalledRing))
	if err != nil {
		return nil, err
	}
	defer s.stop(&err)
	p, err := s.publisher(ctx, usualSize)
	if err != nil {
		return nil, err
	}
	defer p.close()
	silent, err := load.Connect(ctx, load.Config{
		Addrs: []string{s.Websocket}, Path: everything, Count: r.stalled, Silent: true, ReceiveBuffer: stalledBuffer,
	})
	if err != nil {
		return nil, err
	}
	defer silent.Close()
	crowd, err := load.Connect(ctx, load.Config{Addrs: []string{s.Websocket}, Path: everything, Count: r.healthy})
	if err != nil {
		return nil, err
	}
	defer crowd.Close()
	if err := fill(ctx, p, crowd, stallingBurst); err != nil {
		return nil, err
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	if err := r.checkStalled(ctx, s); err != nil {
		return nil, err
	}
	crowd.Record(p.next)
	if err := p.deliver(ctx, crowd, r.messages, r.interval); err != nil {
		return nil, err
	}
	crowd.Record(1 << 30)
	var memory [3]int64 // when nothing more was published, with the ring full, and with all in the ring replaced
	for i := range memory {
		if i > 0 {
			err = fill(ctx, p, crowd, i*stalledRing)
		}
		if err == nil {
			memory[i], err = s.restingRSS(ctx, r.rest)
		}
		if err != nil {
			return nil, err
		}
	}
	tally, err := crowd.Finish(p.next)
	if err != nil {
		return nil, err
	}
	return figures{
		p50:              micros(tally.Latencies.Quantile(0.50)) / 1000,
		p99:              micros(tally.Latencies.Quantile(0.99)) / 1000,
		growthWithin:     float64(memory[1]-memory[0]) / (1 << 20),
		growthBeyondRing: float64(memory[2]-memory[1]) / (1 << 20),
	}, nil
}

// checkStalled makes sure that those who are to be stalled are.
func (r stalled) checkStalled(ctx context.Context, s *server) error {
	for name, least := range map[string]int{"bridge_blocked_writes_total": r.stalled, "bridge_connections": r.stalled + r.healthy} {
		value, err := s.metric(ctx, name)
		if err != nil {
			return err
		}
		if value < float64(least) {
			return fmt.Errorf("%s is %v, which says that not all %d are stalled and connected", name, value, r.stalled)
		}
	}
	return nil
}

// fill publishes up to a message, so few at a time that no healthy subscriber falls off the ring.
func fill(ctx context.Context, p *publisher, crowd *load.Crowd, upTo int) error {
	for p.next < upTo {
		if err := p.deliver(ctx, crowd, min(stalledRing/8, upTo-p.next), 0); err != nil {
			return err
		}
	}
	return nil
}
