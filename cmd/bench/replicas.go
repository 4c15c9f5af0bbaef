//go:build linux

package main

import (
	"context"

	"github.com/rotki/notification-bridge/cmd/bench/load"
)

// replicas is a run in which one publisher's messages go to subscribers that are spread over several bridges, by way of
// the stream that these share. Every subscriber must get them in the same order, which is that of publication.
type replicas struct {
	fanOut
	bridges int
	store   store
}

func (r replicas) measure(ctx context.Context, l *lab) (_ figures, err error) {
	store, err := l.open(ctx, r.store)
	if err != nil {
		return nil, err
	}
	defer store.close(&err)
	var bridges group
	var addresses []string
	for i := range r.bridges {
		s, err := l.start(ctx, bridge, append(store.flags(i), noPings)...)
		if err != nil {
			return nil, err
		}
		defer s.stop(&err)
		bridges, addresses = append(bridges, s), append(addresses, s.Websocket)
	}
	p, err := bridges[0].publisher(ctx, usualSize)
	if err != nil {
		return nil, err
	}
	defer p.close()
	crowd, err := load.Connect(ctx, load.Config{Addrs: addresses, Path: everything, Count: r.subscribers})
	if err != nil {
		return nil, err
	}
	defer crowd.Close()
	taken, err := r.deliver(ctx, append(bridges, store.nats...), p, crowd)
	if err != nil {
		return nil, err
	}
	tally, err := crowd.Finish(p.next)
	if err != nil {
		return nil, err
	}
	return figures{
		cpuPerDelivery: micros(taken) / float64(r.messages*r.subscribers),
		p50:            micros(tally.Latencies.Quantile(0.50)) / 1000,
		p99:            micros(tally.Latencies.Quantile(0.99)) / 1000,
	}, nil
}
