//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/rotki/notification-bridge/cmd/bench/baseline"
	"github.com/rotki/notification-bridge/cmd/bench/load"
)

// envelopeHead and envelopeTail are what an envelope has around the data, which are all that a stream stores of it.
const (
	envelopeHead = `{"type":"legacy","data":`
	envelopeTail = `}`
)

// durable is throughput into a store: through the bridge or a relay, or with nats.go alone.
type durable struct {
	server  string // bridge, baseline.Relay or baseline.Raw
	store   store
	streams int
	time    time.Duration
}

func (r durable) measure(ctx context.Context, l *lab) (_ figures, err error) {
	p, err := l.open(ctx, r.store)
	if err != nil {
		return nil, err
	}
	defer p.close(&err)
	if r.server == baseline.Raw {
		return r.measureRaw(ctx, l, p)
	}
	var s *server
	if r.server == baseline.Relay {
		s, err = l.baseline(ctx, baseline.Relay, append(p.rawFlags(), "--window", decimal(window))...)
	} else {
		s, err = l.start(ctx, bridge, append(p.flags(0), noPings)...)
	}
	if err != nil {
		return nil, err
	}
	defer s.stop(&err)
	pumps := startPumps(ctx, s.GRPC, r.streams)
	defer pumps.stop()
	return rate(ctx, r.time, pumps.failed, func() (sample, error) { return pumps.sample(s, p.nats...) })
}

func (r durable) measureRaw(ctx context.Context, l *lab, p *place) (_ figures, err error) {
	size := len(load.AppendValue(nil, time.Now(), 0, usualSize)) + len(load.Prefix) + len(load.Suffix) -
		len(envelopeHead) - len(envelopeTail)
	s, err := l.baseline(ctx, baseline.Raw, append(p.rawFlags(),
		"--publishers", decimal(r.streams), "--window", decimal(window), "--size", decimal(size))...)
	if err != nil {
		return nil, err
	}
	defer s.stop(&err)
	control, err := net.Dial("tcp", s.Control)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", s.name, err)
	}
	defer control.Close()
	return rate(ctx, r.time, nil, func() (sample, error) {
		answer := make([]byte, 8)
		_, err := control.Write([]byte{0})
		if err == nil {
			_, err = io.ReadFull(control, answer)
		}
		if err != nil {
			return sample{}, fmt.Errorf("ask %s: %w", s.name, err)
		}
		return newSample(int64(binary.BigEndian.Uint64(answer)), s, p.nats...)
	})
}
