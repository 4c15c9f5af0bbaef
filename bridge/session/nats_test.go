package session_test

import (
	"bytes"
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/journal/jetstream"
	"github.com/rotki/notification-bridge/bridge/session"
)

// server starts a NATS server in this process, and returns a journal on it and its address.
func server(t *testing.T) (*jetstream.Journal, string) {
	t.Helper()
	s, err := jetstream.StartServer(t.Context(), jetstream.ServerConfig{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	return open(t, jetstream.Config{Server: s}), "nats://" + s.Addr().String()
}

func open(t *testing.T, config jetstream.Config) *jetstream.Journal {
	t.Helper()
	j, err := jetstream.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := j.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return j
}

// spy is a bridge's way to a bucket, which knows what has passed.
type spy struct {
	session.Store
	mu       sync.Mutex
	put, got map[string][]byte
	moved    chan struct{}
}

func spyOn(t *testing.T, j *jetstream.Journal) *spy {
	t.Helper()
	store, err := j.Sessions(t.Context(), session.TTLOf(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return &spy{Store: store, put: make(map[string][]byte), got: make(map[string][]byte), moved: make(chan struct{}, 1)}
}

func (s *spy) Put(ctx context.Context, key string, value []byte) error {
	err := s.Store.Put(ctx, key, value)
	if err == nil {
		s.note(s.put, key, value)
	}
	return err
}

func (s *spy) Watch(ctx context.Context, changed func(string, []byte)) error {
	return s.Store.Watch(ctx, func(key string, value []byte) {
		changed(key, value)
		s.note(s.got, key, value)
	})
}

func (s *spy) note(in map[string][]byte, key string, value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in[key] = value
	select {
	case s.moved <- struct{}{}:
	default:
	}
}

// forget lets go of what was saved.
func (s *spy) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.put)
}

// await waits until what a bridge has saved satisfies a condition.
func (s *spy) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	patience := time.After(30 * time.Second)
	for {
		s.mu.Lock()
		held := holds()
		s.mu.Unlock()
		if held {
			return
		}
		select {
		case <-s.moved:
		case <-patience:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// knows waits until a bridge knows all that another has saved.
func (s *spy) knows(t *testing.T, other *spy) {
	t.Helper()
	other.mu.Lock()
	want := maps.Clone(other.put)
	other.mu.Unlock()
	s.await(t, "it knows what the other has saved", func() bool {
		for key, value := range want {
			if !bytes.Equal(s.got[key], value) {
				return false
			}
		}
		return true
	})
}

// TestOnNATS: two bridges and a bucket in NATS; a browser goes on at the second, after the first has ended or was killed,
// and at a third.
func TestOnNATS(t *testing.T) {
	for name, end := range map[string]func(*bridge, *session.Session){
		"ended":  func(b *bridge, s *session.Session) { s.Park(130); b.end() },
		"killed": func(b *bridge, _ *session.Session) { b.kill() },
	} {
		t.Run(name, func(t *testing.T) {
			j, url := server(t)
			first, second := spyOn(t, j), spyOn(t, open(t, jetstream.Config{URLs: []string{url}}))
			config := func(s *spy, epoch uint64) session.Config { return session.Config{Store: s, Epoch: epoch} }
			one, two := run(t, config(first, 7)), run(t, config(second, 7))
			c := newClaim()
			s := one.tab(t, c, 0)
			s.Confirm(119)
			for range 2 { // the save that is seen first may have begun before
				first.forget()
				s.Confirm(120)
				first.await(t, "it is saved", func() bool { return len(first.put) > 0 })
			}
			end(one, s)
			second.knows(t, first)
			other := run(t, config(spyOn(t, j), 8))
			other.tab(t, c, 0) // of another journal
			s = two.tab(t, c, 120)
			s.Confirm(200)
			s.Park(200)
			two.end()
			three := run(t, config(spyOn(t, j), 7)) // reads it all
			s = three.tab(t, c, 200)
			s.Close()
		})
	}
}
