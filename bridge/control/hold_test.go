package control_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rotki/notification-bridge/bridge/control"
)

// shakyBus is a bus of one, which lapses when it is told to.
type shakyBus struct{ lapses chan bool }

func (b shakyBus) Serve(ctx context.Context, _ func(context.Context, []byte) []byte, lapsed func(bool)) error {
	for {
		select {
		case l := <-b.lapses:
			lapsed(l)
		case <-ctx.Done():
			return nil
		}
	}
}

func (shakyBus) Ask(context.Context, []byte) (map[string][]byte, []string, error) {
	return nil, nil, nil
}

// slowStore takes a second to be read.
type slowStore struct{ unsteady }

func (s *slowStore) Watch(ctx context.Context, changed func(string, time.Time)) error {
	time.Sleep(time.Second)
	changed("", time.Time{})
	<-ctx.Done()
	return ctx.Err()
}

// TestLapsesAgain: what was read before others began to overlook a bridge once more is not enough to go on.
func TestLapsesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := shakyBus{make(chan bool)}
		var mu sync.Mutex
		var holds []bool
		server := control.New(control.Config{
			Name: "a", Connections: new(subscribers), Streams: new(subscribers), Bus: bus,
			Revocations: control.NewRevocations(control.RevocationsConfig{Store: new(slowStore)}),
			Hold: func(hold bool) {
				mu.Lock()
				defer mu.Unlock()
				holds = append(holds, hold)
			},
		})
		defer server.Shutdown(t.Context())
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = server.Run(ctx) })
		for _, step := range []struct {
			lapsed bool
			pause  time.Duration
			want   []bool // until then
		}{
			{false, 500 * time.Millisecond, []bool{true}},
			{true, 10 * time.Second, []bool{true, true}},
			{false, 10 * time.Second, []bool{true, true, false}},
		} {
			bus.lapses <- step.lapsed
			time.Sleep(step.pause)
			synctest.Wait()
			if mu.Lock(); !slices.Equal(holds, step.want) {
				t.Errorf("after lapsed(%v) the bridge was told to hold: %v, want %v", step.lapsed, holds, step.want)
			}
			mu.Unlock()
		}
		cancel()
		running.Wait()
	})
}
