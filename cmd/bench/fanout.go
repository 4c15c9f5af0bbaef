//go:build linux

package main

import (
	"context"
	"time"

	"github.com/rotki/notification-bridge/cmd/bench/load"
)

const (
	// everything is the path of a subscriber to all messages, something that of one whose type is never published here.
	everything = "/ws/"
	something  = "/ws/?types=login_status"
	// usualSize is the size of an envelope.
	usualSize = 150
	// warmUp is how long messages are published before a measurement at a pace.
	warmUp = 500 * time.Millisecond
	// afterwards is how long a server without a message to deliver has for what else it does.
	afterwards = 100 * time.Millisecond
)

// fanOut is a run in which one publisher's messages go to many subscribers.
type fanOut struct {
	server      string
	history     int // messages that are published before anyone subscribes
	subscribers int
	others      int // subscribers that ask for another type
	messages    int
	interval    time.Duration // between messages; 0: as fast as they are taken
	size        int           // of an envelope; usualSize if 0
	deflate     bool          // offered by the subscribers
	toNobody    bool          // the messages have a recipient who is not there
}

func (f fanOut) measure(ctx context.Context, l *lab) (_ figures, err error) {
	s, err := l.start(ctx, f.server, noPings)
	if err != nil {
		return nil, err
	}
	defer s.stop(&err)
	var recipients []string
	if f.toNobody {
		recipients = []string{"nobody"}
	}
	if f.size == 0 {
		f.size = usualSize
	}
	p, err := s.publisher(ctx, f.size, recipients...)
	if err != nil {
		return nil, err
	}
	defer p.close()
	if err := p.publish(ctx, f.history, 0); err != nil {
		return nil, err
	}
	if err := p.acknowledged(ctx); err != nil {
		return nil, err
	}
	others, err := load.Connect(ctx, load.Config{Addrs: []string{s.Websocket}, Path: something, Count: f.others})
	if err != nil {
		return nil, err
	}
	defer others.Close()
	crowd, err := load.Connect(ctx, load.Config{
		Addrs: []string{s.Websocket}, Path: everything, Count: f.subscribers, First: p.next, Deflate: f.deflate,
	})
	if err != nil {
		return nil, err
	}
	defer crowd.Close()
	taken, err := f.deliver(ctx, group{s}, p, crowd)
	if err != nil {
		return nil, err
	}
	if _, err := others.Finish(0); err != nil {
		return nil, err
	}
	if f.toNobody {
		return figures{cpuPerMessage: micros(taken) / float64(f.messages)}, f.checkAlive(ctx, s, crowd)
	}
	tally, err := crowd.Finish(p.next)
	if err != nil {
		return nil, err
	}
	return figures{
		cpuPerDelivery:   micros(taken) / float64(f.messages*f.subscribers),
		cpuPerMessage:    micros(taken) / float64(f.messages),
		p50:              micros(tally.Latencies.Quantile(0.50)) / 1000,
		p99:              micros(tally.Latencies.Quantile(0.99)) / 1000,
		bytesPerDelivery: float64(tally.Bytes) / float64(tally.Messages),
		compressed:       number(crowd.Compressed()),
	}, nil
}

// deliver returns the CPU time that the servers took from the first message to the last subscriber's receipt of the last.
func (f fanOut) deliver(ctx context.Context, servers group, p *publisher, crowd *load.Crowd) (time.Duration, error) {
	warmUps := 20 // before a burst
	if f.interval > 0 {
		warmUps = max(3, min(f.messages, int(warmUp/f.interval)))
	}
	if err := f.await(ctx, p, crowd, warmUps); err != nil {
		return 0, err
	}
	if err := servers.settle(ctx); err != nil {
		return 0, err
	}
	if f.interval > 0 {
		crowd.Record(p.next)
	}
	before, err := servers.cpu()
	if err != nil {
		return 0, err
	}
	if err := f.await(ctx, p, crowd, f.messages); err != nil {
		return 0, err
	}
	after, err := servers.cpu()
	return after - before, err
}

// await publishes messages and returns when they have arrived where they should.
func (f fanOut) await(ctx context.Context, p *publisher, crowd *load.Crowd, messages int) error {
	if !f.toNobody {
		return p.deliver(ctx, crowd, messages, f.interval)
	}
	if err := p.publish(ctx, messages, f.interval); err != nil {
		return err
	}
	if err := p.acknowledged(ctx); err != nil {
		return err
	}
	return sleep(ctx, afterwards)
}

// checkAlive makes sure that the subscribers who got nothing would have got something.
func (f fanOut) checkAlive(ctx context.Context, s *server, crowd *load.Crowd) error {
	p, err := s.publisher(ctx, f.size)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.deliver(ctx, crowd, 1, 0); err != nil {
		return err
	}
	_, err = crowd.Finish(p.next)
	return err
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
