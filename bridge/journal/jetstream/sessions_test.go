package jetstream_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/journal/jetstream"
)

// watched is what a bucket tells.
type watched struct {
	news chan [2]string
	stop func()
}

// watch follows a bucket until stop is called.
func watch(t *testing.T, s *jetstream.Sessions) watched {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := watched{news: make(chan [2]string, 1000)}
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil { // a server that has just started may not have the bucket yet
			err := s.Watch(ctx, func(key string, value []byte) { w.news <- [2]string{key, string(value)} })
			t.Logf("watch: %v", err)
		}
	})
	w.stop = func() {
		cancel()
		watching.Wait()
	}
	t.Cleanup(w.stop)
	return w
}

// await returns once a key has a value.
func (w watched) await(t *testing.T, key, value string) {
	t.Helper()
	for {
		select {
		case got := <-w.news:
			if got == [2]string{key, value} {
				return
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s does not become %q", key, value)
		}
	}
}

func sessions(t *testing.T, j *jetstream.Journal, ttl time.Duration) *jetstream.Sessions {
	t.Helper()
	s, err := j.Sessions(t.Context(), ttl)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSessions(t *testing.T) {
	dir := t.TempDir()
	j := open(t, jetstream.Config{Server: embedded(t, jetstream.ServerConfig{Dir: dir})})
	s := sessions(t, j, time.Minute)
	w := watch(t, s)
	w.await(t, "", "")
	for i := range 100 {
		if err := s.Put(t.Context(), "a.1", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	w.await(t, "a.1", "99")
	later := watch(t, s)
	if got := <-later.news; got != [2]string{"a.1", "99"} {
		t.Errorf("a later watcher is first told %v", got)
	}
	later.await(t, "", "")
	for _, stop := range []func(){w.stop, later.stop} {
		stop()
	}
	shut(t, j)

	again := open(t, jetstream.Config{Server: embedded(t, jetstream.ServerConfig{Dir: dir})})
	watch(t, sessions(t, again, time.Minute)).await(t, "a.1", "99")
}

// TestSessionsExpire: a key is gone a while after it was last set, and a bridge that wants less does not change that.
func TestSessionsExpire(t *testing.T) {
	j := open(t, jetstream.Config{Server: embedded(t, jetstream.ServerConfig{})})
	sessions(t, j, time.Second)
	s := sessions(t, j, 3*time.Second)
	sessions(t, j, 2*time.Second)
	start := time.Now()
	if err := s.Put(t.Context(), "a.1", []byte("x")); err != nil {
		t.Fatal(err)
	}
	await(t, "the key is gone", func() bool {
		// A server whose bucket was changed while it was empty may not look for what is old until something is put.
		if err := s.Put(t.Context(), "b.1", []byte("x")); err != nil {
			t.Fatal(err)
		}
		w := watch(t, s)
		defer w.stop()
		gone := true
		for got := <-w.news; got[0] != ""; got = <-w.news {
			gone = gone && got[0] != "a.1"
		}
		return gone
	})
	if kept := time.Since(start); kept < 3*time.Second {
		t.Errorf("the key was kept for %v", kept)
	}
}

// TestSessionsOverRestart: whoever follows the bucket goes on when its server is back.
func TestSessionsOverRestart(t *testing.T) {
	c, err := startCluster("sessions", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	j := open(t, jetstream.Config{URLs: c.urls()})
	s := sessions(t, j, time.Minute)
	w := watch(t, s)
	for i := range 3 {
		put := func(value string) {
			t.Helper()
			for ctx := t.Context(); ; {
				trying, cancel := context.WithTimeout(ctx, time.Second)
				err := s.Put(trying, "a.1", []byte(value))
				cancel()
				if err == nil {
					return
				}
				if ctx.Err() != nil {
					t.Fatal(err)
				}
			}
		}
		put(fmt.Sprint("before ", i))
		w.await(t, "a.1", fmt.Sprint("before ", i))
		c.kill(t, 0)
		put(fmt.Sprint("after ", i))
		w.await(t, "a.1", fmt.Sprint("after ", i))
	}
}
