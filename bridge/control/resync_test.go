package control_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rotki/notification-bridge/bridge/control"
	"github.com/rotki/notification-bridge/bridge/delivery"
)

// lonely is a bus without others, which says of its bridge what a test wants it to.
type lonely struct {
	lapsed chan func(bool)
}

func (l lonely) Serve(ctx context.Context, _ func(context.Context, []byte) []byte, lapsed func(bool)) error {
	l.lapsed <- lapsed
	<-ctx.Done()
	return nil
}

func (l lonely) Lapsed() bool { return false }

func (l lonely) Ask(context.Context, []byte) (map[string][]byte, []string, error) {
	return nil, nil, nil
}

// slow is a store with one token, of which it tells when it may.
type slow struct {
	may <-chan struct{}
}

func (s slow) Put(context.Context, string, time.Time) error { return nil }

func (s slow) Watch(ctx context.Context, changed func(string, time.Time)) error {
	<-s.may
	changed("a", time.Now().Add(time.Hour))
	changed("", time.Time{})
	<-ctx.Done()
	return ctx.Err()
}

// run runs a server with the bus and the store until stop is called, and returns what the bus can say.
func run(t *testing.T, config control.Config, store control.Store) (lapsed func(bool), stop func()) {
	bus := lonely{make(chan func(bool))}
	config.Bus = bus
	config.Revocations = control.NewRevocations(control.RevocationsConfig{Store: store})
	config.Streams = new(subscribers)
	server := control.New(config)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return <-bus.lapsed, func() {
		cancel()
		running.Wait()
	}
}

// TestLapsedOnceMore: a bridge that has lapsed once more while it read what was revoked delivers nothing until it is
// back, even if it has been back in between.
func TestLapsedOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		may := make(chan struct{})
		holds := make(chan bool, 10)
		config := control.Config{Connections: new(subscribers), Hold: func(hold bool) { holds <- hold }}
		lapsed, stop := run(t, config, slow{may})
		defer stop()
		lapsed(false)
		synctest.Wait() // it reads
		lapsed(true)
		lapsed(false)
		lapsed(true)
		close(may)
		synctest.Wait()
		for len(holds) > 0 {
			if !<-holds {
				t.Error("it delivers, though others overlook it")
			}
		}
		lapsed(false)
		synctest.Wait()
		if len(holds) != 1 || <-holds {
			t.Error("it does not deliver again")
		}
	})
}

// lasting are connections that take a moment to end.
type lasting struct {
	subscribers
	ending chan struct{} // closed when they begin to
	ended  chan struct{} // closed when they have
}

func (l *lasting) Disconnect(delivery.Selector, delivery.Disconnect) int {
	close(l.ending)
	// Whoever waits for this waits for a mutex, of which nothing tells. A bridge that does not wait is caught by the pause;
	// one that does is right however long it is.
	time.Sleep(100 * time.Millisecond)
	close(l.ended)
	return 1
}

// TestReleasedOnceEnded: a bridge delivers again once what was revoked meanwhile is ended, also when it was somebody
// else who read first that it was.
func TestReleasedOnceEnded(t *testing.T) {
	may := make(chan struct{})
	close(may)
	connections := &lasting{ending: make(chan struct{}), ended: make(chan struct{})}
	released := make(chan struct{})
	config := control.Config{Connections: connections, Hold: func(hold bool) {
		if hold {
			return
		}
		select {
		case <-connections.ended:
		default:
			t.Error("it delivers before the connections of a revoked token are ended")
		}
		close(released)
	}}
	lapsed, stop := run(t, config, slow{may})
	defer stop()
	<-connections.ending // whoever follows the store ends them
	lapsed(false)
	<-released
}
