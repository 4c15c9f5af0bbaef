package session_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rotki/notification-bridge/bridge/session"
)

// shelf is a store in memory, which others can watch. It forgets nothing.
type shelf struct {
	mu       sync.Mutex
	pages    map[string][]byte
	puts     []string
	watchers map[chan string]struct{}
}

func newShelf() *shelf {
	return &shelf{pages: make(map[string][]byte), watchers: make(map[chan string]struct{})}
}

func (s *shelf) Put(_ context.Context, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages[key] = value
	s.puts = append(s.puts, key)
	for w := range s.watchers {
		w <- key
	}
	return nil
}

func (s *shelf) page(key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pages[key]
}

func (s *shelf) keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.pages))
}

// written returns the keys that were set since forget was called.
func (s *shelf) written() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(s.puts)))
}

func (s *shelf) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts = nil
}

func (s *shelf) Watch(ctx context.Context, changed func(string, []byte)) error {
	w := make(chan string, 100_000)
	s.mu.Lock()
	s.watchers[w] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, w)
	}()
	for _, key := range s.keys() {
		changed(key, s.page(key))
	}
	changed("", nil)
	for {
		select {
		case key := <-w:
			changed(key, s.page(key))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errAway = errors.New("the store is away")

// broken is one bridge's way to a store, that can be cut.
type broken struct {
	session.Store
	mu   sync.Mutex
	away func(key string) bool // nil for never
}

func (b *broken) Put(ctx context.Context, key string, value []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away != nil && b.away(key) {
		return errAway
	}
	return b.Store.Put(ctx, key, value)
}

func (b *broken) cut(away func(key string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = away
}

func always(string) bool { return true }

// bridge is a registry that runs on a store.
type bridge struct {
	*session.Registry
	store *broken
	end   func() // and saves a last time
}

// run starts a bridge, which has read the store, and ends with the test.
func run(t *testing.T, config session.Config) *bridge {
	t.Helper()
	b := &bridge{store: &broken{Store: config.Store}}
	config.Store = b.store
	b.Registry = session.New(config)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = b.Run(ctx) })
	b.end = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(b.end)
	if err := b.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// kill ends a bridge as kill -9 does: it saves nothing more.
func (b *bridge) kill() {
	b.store.cut(always)
	b.end()
}

// shared runs a test with a store and two bridges on it, in a bubble.
func shared(t *testing.T, test func(t *testing.T, store *shelf, one, two *bridge)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := newShelf()
		one, two := run(t, session.Config{Store: store, Epoch: 7}), run(t, session.Config{Store: store, Epoch: 7})
		test(t, store, one, two)
	})
}

// saved returns once what there is to save is saved, and known everywhere.
func saved() {
	time.Sleep(time.Second)
	synctest.Wait()
}

// tab is a connection at a bridge.
func (b *bridge) tab(t *testing.T, c session.Claim, want uint64) *session.Session {
	t.Helper()
	return browser{t, b.Registry, c}.connect(want)
}
