//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"

	"github.com/rotki/notification-bridge/cmd/bench/load"
	"github.com/rotki/notification-bridge/cmd/bench/procfs"
)

// window is how many messages of a stream may be on their way.
const window = 256

// longest is how many times the time of a run may pass until anything is acknowledged.
const longest = 20

// throughput is a run in which streams publish as fast as they can, and nobody subscribes.
type throughput struct {
	server  string
	streams int
	time    time.Duration
}

func (r throughput) measure(ctx context.Context, l *lab) (_ figures, err error) {
	s, err := l.start(ctx, r.server, noPings)
	if err != nil {
		return nil, err
	}
	defer s.stop(&err)
	p := startPumps(ctx, s.GRPC, r.streams)
	defer p.stop()
	return rate(ctx, r.time, p.failed, func() (sample, error) { return p.sample(s) })
}

// pumps are Publish streams.
type pumps struct {
	acknowledged atomic.Int64
	failed       chan error // has room for one of each
	stop         func()
}

// startPumps publishes until it is stopped, each stream over a connection of its own.
func startPumps(ctx context.Context, addr string, streams int) *pumps {
	p := &pumps{failed: make(chan error, streams)}
	driving, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for range streams {
		running.Go(func() {
			if err := pump(driving, addr, &p.acknowledged); err != nil && driving.Err() == nil {
				p.failed <- err
			}
		})
	}
	p.stop = func() {
		cancel()
		running.Wait()
	}
	return p
}

func (p *pumps) sample(server *server, others ...*server) (sample, error) {
	return newSample(p.acknowledged.Load(), server, others...)
}

// sample is what has come of a run at a moment.
type sample struct {
	acknowledged        int64
	at                  time.Time
	server, others, own time.Duration // CPU time; own is the load generator's
}

// newSample samples a server that has acknowledged messages, and others that help it.
func newSample(acknowledged int64, s *server, others ...*server) (sample, error) {
	now := sample{acknowledged: acknowledged, at: time.Now()}
	var first, second, third error
	now.server, first = s.cpu()
	now.others, second = group(others).cpu()
	now.own, third = procfs.CPU(os.Getpid())
	return now, cmp.Or(first, second, third)
}

// rate samples what has begun once it is warm, and again after a time. What fails meanwhile ends it.
func rate(ctx context.Context, d time.Duration, failed <-chan error, take func() (sample, error)) (figures, error) {
	pause := func(d time.Duration) error {
		select {
		case err := <-failed:
			return err
		case <-time.After(d):
			return ctx.Err()
		}
	}
	if err := pause(warmUp); err != nil {
		return nil, err
	}
	before, err := take()
	if err != nil {
		return nil, err
	}
	after := before
	for range longest { // a cluster may be choosing its leader
		if err := pause(d); err != nil {
			return nil, err
		}
		if after, err = take(); err != nil {
			return nil, err
		}
		if after.acknowledged > before.acknowledged {
			break
		}
	}
	messages, took := float64(after.acknowledged-before.acknowledged), after.at.Sub(before.at)
	if messages <= 0 {
		return nil, fmt.Errorf("nothing was acknowledged in %v", took)
	}
	server := micros(after.server-before.server) / messages
	return figures{
		publishRate:   messages / took.Seconds(),
		cpuPerMessage: server + micros(after.others-before.others)/messages,
		cpuOfServer:   server,
		cpuOfLoad:     micros(after.own-before.own) / messages,
	}, nil
}

// pump publishes in a stream until ctx is done.
func pump(ctx context.Context, addr string, acknowledged *atomic.Int64) error {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	stream, err := notificationsv1.NewNotificationServiceClient(conn).Publish(ctx)
	if err != nil {
		cancel()
		return err
	}
	places := make(chan struct{}, window)
	var sending sync.WaitGroup
	defer sending.Wait()
	defer cancel()
	sending.Go(func() {
		request := warning(string(load.AppendValue(nil, time.Now(), 0, usualSize)), nil)
		for {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return
			}
			if stream.Send(request) != nil {
				return // Recv says why
			}
		}
	})
	for {
		answer, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("the Publish stream ended: %w", err)
		}
		if answer.GetAccepted() == nil {
			return fmt.Errorf("refused: %v", answer.GetRejected())
		}
		acknowledged.Add(1)
		<-places
	}
}
