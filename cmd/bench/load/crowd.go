//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Crowd is a lot of subscribers to one server.
type Crowd struct {
	config     Config
	receivers  []*receiver
	stop       atomic.Bool
	recordFrom atomic.Int64
	running    sync.WaitGroup
	failed     chan error // has room for one of each receiver
}

// Tally is what a crowd has got.
type Tally struct {
	// Messages and Bytes are how many came, websocket headers included.
	Messages, Bytes int64
	// Latencies are the times from publication to receipt.
	Latencies *Histogram
}

// Connect subscribes, and reads whatever comes from then on unless the crowd is silent. Close must follow.
func Connect(ctx context.Context, config Config) (*Crowd, error) {
	c := &Crowd{config: config, failed: make(chan error, threads())}
	c.recordFrom.Store(1 << 62)
	first := 0
	for i := range threads() {
		share := config
		share.Count = config.Count/threads() + min(1, max(0, config.Count%threads()-i))
		r, err := newReceiver(share, &c.stop, &c.recordFrom)
		if err != nil {
			c.Close()
			return nil, err
		}
		c.receivers = append(c.receivers, r)
		number := first
		c.running.Go(func() {
			if err := r.connect(ctx, number); err != nil {
				c.failed <- err
			}
		})
		first += share.Count
	}
	c.running.Wait()
	select {
	case err := <-c.failed:
		c.Close()
		return nil, fmt.Errorf("connect %d subscribers: %w", config.Count, err)
	default:
	}
	if config.Silent {
		return c, nil
	}
	for _, r := range c.receivers {
		c.running.Go(func() {
			if err := r.receive(); err != nil {
				c.failed <- err
			}
		})
	}
	return c, nil
}

// Compressed reports whether the server has agreed to compress.
func (c *Crowd) Compressed() bool { return c.receivers[0].compressed }

// Record says that from this message on latencies count. Without it, none do.
func (c *Crowd) Record(from int) { c.recordFrom.Store(int64(from)) }

// Await returns when every subscriber has got the messages before number next. The error says what is not as it should
// be.
func (c *Crowd) Await(ctx context.Context, next int) error {
	messages := int64(next-c.config.First) * int64(c.config.Count)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		received := c.received()
		switch {
		case received == messages:
			return nil
		case received > messages:
			return fmt.Errorf("%d messages came, only %d were published", received, messages)
		}
		select {
		case err := <-c.failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("%d of %d messages have come: %w", received, messages, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// Finish stops reading. It is an error if not every subscriber has got the messages before number next and no more.
func (c *Crowd) Finish(next int) (Tally, error) {
	time.Sleep(20 * time.Millisecond) // for what should not come
	c.stop.Store(true)
	c.running.Wait()
	select {
	case err := <-c.failed:
		return Tally{}, err
	default:
	}
	tally := Tally{Latencies: new(Histogram)}
	for _, r := range c.receivers {
		for _, s := range r.subscribers {
			if each := next - c.config.First; s.got != each {
				return Tally{}, fmt.Errorf("a subscriber has got %d messages, want %d", s.got, each)
			}
			if len(s.held) > 0 {
				return Tally{}, errors.New("a subscriber has got half a frame")
			}
		}
		tally.Messages += r.received.Load()
		tally.Bytes += r.bytes
		tally.Latencies.Merge(&r.latencies)
	}
	return tally, nil
}

// Close closes the connections.
func (c *Crowd) Close() {
	c.stop.Store(true)
	c.running.Wait()
	for _, r := range c.receivers {
		r.close()
	}
}

func (c *Crowd) received() (n int64) {
	for _, r := range c.receivers {
		n += r.received.Load()
	}
	return n
}
