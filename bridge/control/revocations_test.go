package control_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rotki/notification-bridge/bridge/control"
)

// TestRevocationsInTime: a token is revoked until its time has come, and forgotten soon after.
func TestRevocationsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := control.NewRevocations(control.RevocationsConfig{})
		var running sync.WaitGroup
		running.Go(func() { r.Run(ctx, nil) })
		now := time.Now()
		if !r.Add("a", now.Add(time.Hour)) || r.Add("a", now.Add(time.Minute)) || r.Add("a", now.Add(2*time.Hour)) ||
			r.Add("a", now.Add(time.Minute)) {
			t.Error("it is revoked more or less than once")
		}
		if r.Add("", now.Add(time.Hour)) || r.Add("b", now) {
			t.Error("what cannot be revoked is")
		}
		time.Sleep(2*time.Hour - time.Nanosecond)
		if !r.Revoked("a") || r.Revoked("b") || r.Revoked("") {
			t.Error("the wrong ones are revoked")
		}
		time.Sleep(time.Nanosecond)
		if r.Revoked("a") {
			t.Error("it is revoked for longer than it should")
		}
		if !r.Add("a", time.Now().Add(time.Second)) {
			t.Error("it cannot be revoked again before it is forgotten")
		}
		time.Sleep(2 * time.Minute)
		if !r.Add("a", time.Now().Add(time.Hour)) {
			t.Error("it cannot be revoked again")
		}
		cancel()
		running.Wait()
	})
}

// unsteady is a store that fails at first, and then tells of one token.
type unsteady struct {
	mu    sync.Mutex
	fails int
}

func (u *unsteady) Put(context.Context, string, time.Time) error { return nil }

func (u *unsteady) Watch(ctx context.Context, changed func(string, time.Time)) error {
	u.mu.Lock()
	u.fails--
	failing := u.fails >= 0
	u.mu.Unlock()
	if failing {
		return errors.New("no")
	}
	changed("a", time.Now().Add(time.Hour))
	changed("", time.Time{})
	<-ctx.Done()
	return ctx.Err()
}

// TestRevocationsRetry: a store that cannot be followed is tried again, and nobody is told that all is known before.
func TestRevocationsRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := control.NewRevocations(control.RevocationsConfig{Store: &unsteady{fails: 3}})
		var running sync.WaitGroup
		var told []string
		running.Go(func() {
			r.Run(ctx, func(tokenID string, until time.Time) {
				if r.Add(tokenID, until) {
					told = append(told, tokenID)
				}
			})
		})
		brief, stop := context.WithTimeout(ctx, 2500*time.Millisecond)
		defer stop()
		if r.Ready(brief) == nil {
			t.Error("it takes itself to know all")
		}
		if err := r.Ready(ctx); err != nil || !r.Revoked("a") {
			t.Errorf("%v, a is revoked: %v", err, r.Revoked("a"))
		}
		synced := ""
		if err := r.Sync(ctx, func(tokenID string, _ time.Time) { synced += tokenID }); err != nil || synced != "a" {
			t.Errorf("%v, %q is learned", err, synced)
		}
		cancel()
		running.Wait()
		if !slices.Equal(told, []string{"a"}) {
			t.Errorf("told are %q", told)
		}
	})
}
