//go:build linux

package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"

	"github.com/rotki/notification-bridge/cmd/bench/load"
)

// window is how many messages of a stream may be on their way.
const window = 256

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
	driving, stop := context.WithCancel(ctx)
	var streams sync.WaitGroup
	defer streams.Wait()
	defer stop()
	var acknowledged atomic.Int64
	failed := make(chan error, r.streams)
	for range r.streams {
		streams.Go(func() {
			if err := pump(driving, s.GRPC, &acknowledged); err != nil && driving.Err() == nil {
				failed <- err
			}
		})
	}
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
	cpuBefore, err := s.cpu()
	if err != nil {
		return nil, err
	}
	before, start := acknowledged.Load(), time.Now()
	if err := pause(r.time); err != nil {
		return nil, err
	}
	messages, took := float64(acknowledged.Load()-before), time.Since(start)
	cpuAfter, err := s.cpu()
	if err != nil {
		return nil, err
	}
	if messages == 0 {
		return nil, fmt.Errorf("nothing was acknowledged in %v", took)
	}
	return figures{
		publishRate:   messages / took.Seconds(),
		cpuPerMessage: micros(cpuAfter-cpuBefore) / messages,
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
