// Package deploy_test measures what the README reckons with under "Sizing".
package deploy_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/session"
)

// BenchmarkSessions tells what a subscriber with a session costs where several bridges share a stream: the bytes that its
// bridge saves each time, the time that takes, and what every other bridge spends on it in memory and in time.
func BenchmarkSessions(b *testing.B) {
	const subscribers = 50_000
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	store := &store{}
	before := heap()
	other := session.New(session.Config{Store: &reader{store: store}, ParkTime: time.Hour})
	running.Go(func() { _ = other.Run(ctx) })
	if err := other.Ready(ctx); err != nil {
		b.Fatal(err)
	}
	own := session.New(session.Config{Store: store, ParkTime: time.Hour, SaveInterval: time.Millisecond})
	sessions := make([]*session.Session, subscribers)
	for i := range sessions {
		sessions[i], _, _ = own.Begin(session.Claim{Name: session.NewName(), New: true})
		sessions[i].Start(1_000_000)
	}
	mine := heap() - before
	running.Go(func() { _ = own.Run(ctx) })
	store.awaitPages()
	theirs := heap() - before - mine
	store.clear()
	for i := range b.N {
		for _, s := range sessions {
			s.Confirm(uint64(1_000_001 + i))
		}
		store.awaitPages()
	}
	store.mu.Lock()
	defer store.mu.Unlock()
	each := float64(b.N) * subscribers
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(store.bytes)/each, "saved-B/session")
	b.ReportMetric(float64(store.spent.Nanoseconds())/each, "follower-ns/session")
	b.ReportMetric(float64(mine)/subscribers, "own-B/session")
	b.ReportMetric(float64(theirs)/subscribers, "follower-B/session")
	runtime.KeepAlive(other)
}

// heap returns how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// store is a bucket that hands each page to the one who follows it at once.
type store struct {
	mu      sync.Mutex
	changed func(key string, value []byte)
	pages   int
	bytes   int
	spent   time.Duration
}

func (s *store) Put(_ context.Context, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	begun := time.Now()
	s.changed(key, value)
	s.spent += time.Since(begun)
	s.bytes += len(value)
	s.pages++
	return nil
}

func (s *store) Watch(ctx context.Context, _ func(key string, value []byte)) error {
	<-ctx.Done()
	return ctx.Err()
}

func (s *store) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages, s.bytes, s.spent = 0, 0, 0
}

// awaitPages returns once every page has been written since the last time.
func (s *store) awaitPages() {
	for {
		s.mu.Lock()
		if s.pages >= 64 {
			s.pages -= 64
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		time.Sleep(100 * time.Microsecond)
	}
}

// reader is the bucket for the other bridge.
type reader struct{ store *store }

func (r *reader) Put(context.Context, string, []byte) error { return nil }

func (r *reader) Watch(ctx context.Context, changed func(key string, value []byte)) error {
	r.store.mu.Lock()
	r.store.changed = changed
	r.store.mu.Unlock()
	changed("", nil)
	<-ctx.Done()
	return ctx.Err()
}
