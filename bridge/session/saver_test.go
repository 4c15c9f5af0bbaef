package session

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// shelf is a store of which the tests say when it works.
type shelf struct {
	mu       sync.Mutex
	values   map[string][]byte
	watchers []chan string
	broken   bool
	largest  int // bytes of a value; 0: as many as one likes
	refused  map[string]int
}

func newShelf() *shelf { return &shelf{values: make(map[string][]byte), refused: make(map[string]int)} }

func (s *shelf) Put(_ context.Context, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken || s.largest > 0 && len(value) > s.largest {
		s.refused[key]++
		return errors.New("it does not fit on the shelf")
	}
	s.values[key] = value
	for _, w := range s.watchers {
		w <- key
	}
	return nil
}

func (s *shelf) Watch(ctx context.Context, changed func(string, []byte)) error {
	news := make(chan string, 10_000)
	s.mu.Lock()
	for key, value := range s.values {
		changed(key, value)
	}
	s.watchers = append(s.watchers, news)
	s.mu.Unlock()
	changed("", nil)
	for {
		select {
		case key := <-news:
			s.mu.Lock()
			value := s.values[key]
			s.mu.Unlock()
			changed(key, value)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// bridge is a registry at work.
type bridge struct {
	*Registry
	metrics *prometheus.Registry
	stop    func() // saves a last time
	kill    func() // does not
}

// open runs a registry on a shelf, in a bubble of synctest.
func open(t *testing.T, store *shelf) bridge {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b := bridge{metrics: prometheus.NewRegistry()}
	b.Registry = New(Config{Store: store, Epoch: 1, Registerer: b.metrics})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = b.Run(ctx)
	}()
	if err := b.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	b.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	b.kill = func() {
		store.mu.Lock()
		was := store.broken
		store.broken = true
		store.mu.Unlock()
		b.stop()
		store.mu.Lock()
		store.broken = was
		store.mu.Unlock()
	}
	t.Cleanup(b.stop)
	return b
}

// begin begins a connection, which must begin at a cursor; 0 for none.
func (b bridge) begin(t *testing.T, c Claim, want uint64) *Session {
	t.Helper()
	s, from, resumed := b.Begin(c)
	if !resumed {
		from = 0
	}
	if from != want {
		t.Errorf("a connection begins at %d, want %d", from, want)
	}
	s.Start(max(from, 1))
	return s
}

// settle lets saves and what follows from them take place.
func settle() { time.Sleep(time.Second) }

func TestKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, c := newShelf(), Claim{Name: NewName()}
		first := open(t, store)
		first.begin(t, c, 0).Confirm(10)
		settle()
		first.kill()
		second := open(t, store)
		s := second.begin(t, c, 10)
		s.Confirm(20)
		s.Park(25)
		s = second.begin(t, c, 20)
		s.Confirm(30)
		second.kill() // within the save interval
		third := open(t, store)
		s = third.begin(t, c, 10) // what was saved last
		s.Close()
		third.stop()
	})
}

// TestKilledAgain: a browser goes on where it was, not where it had gone on before.
func TestKilledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, c := newShelf(), Claim{Name: NewName()}
		first := open(t, store)
		first.begin(t, c, 0).Confirm(10)
		settle()
		first.kill()
		for i := range uint64(5) {
			next := open(t, store)
			s := next.begin(t, c, 10*(i+1))
			s.Confirm(10 * (i + 2))
			settle()
			if i%2 == 0 {
				next.kill()
			} else {
				s.Park(10 * (i + 2))
				next.stop()
			}
		}
	})
}

// TestKilledAtOnce: what was taken up is told together with who took it up.
func TestKilledAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShelf()
		first := open(t, store)
		old := Claim{Name: NewName(), New: true, Kin: 7}
		first.begin(t, old, 0).Park(10)
		settle()
		first.kill()
		second := open(t, store)
		second.begin(t, Claim{Name: NewName(), New: true, Kin: 7}, 1)
		settle()
		page := make(map[entryID]bool)
		for i := range pages {
			for id := range second.saver.mine[i] {
				page[id] = len(second.lives[i]) == 1
			}
		}
		if len(page) != 1 {
			t.Errorf("%d were taken", len(page))
		}
		for id, together := range page {
			if !together {
				t.Errorf("%v is told apart from its taker", id)
			}
		}
	})
}

func TestStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, c := newShelf(), Claim{Name: NewName(), Subject: "alice"}
		first := open(t, store)
		s := first.begin(t, c, 0)
		s.Confirm(10)
		s.Park(10)
		first.stop()
		second := open(t, store)
		second.begin(t, Claim{Name: c.Name, Subject: "bob"}, 0).Close()
		second.begin(t, c, 10).Close()
		second.begin(t, c, 0).Close()
		second.stop()
		third := open(t, store)
		third.begin(t, c, 0)
	})
}

// TestElsewhere: what is parked at one bridge is taken up at another, once.
func TestElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, c := newShelf(), Claim{Name: NewName()}
		one, two, three := open(t, store), open(t, store), open(t, store)
		s := one.begin(t, c, 0)
		s.Confirm(10)
		s.Park(10)
		settle()
		next := two.begin(t, c, 10)
		next.Confirm(20)
		settle()
		next.Park(20)
		settle()
		last := three.begin(t, c, 20)
		last.Close()
		settle()
		for _, b := range []bridge{one, two, three} {
			b.begin(t, c, 0).Close()
		}
	})
}

// TestStandsElsewhere: a tab that is opened at another bridge does not use up the place of the one that stands.
func TestStandsElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, c := newShelf(), Claim{Name: NewName()}
		one, two := open(t, store), open(t, store)
		first := one.begin(t, c, 0)
		first.Confirm(10)
		settle()
		opened := two.begin(t, c, 10)
		opened.Confirm(20)
		settle()
		first.Confirm(11)
		time.Sleep(shadowTime)
		one.kill()
		settle()
		two.begin(t, c, 11)
	})
}

// TestTabsExpire: whichever of two tabs comes back first, the other finds its place for as long as it has it.
func TestTabsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := New(Config{}), Claim{Name: NewName()}
		a, _, _ := r.Begin(c)
		a.Start(10)
		b, _, _ := r.Begin(c)
		b.Start(20)
		a.Park(10)
		time.Sleep(50 * time.Second)
		b.Park(20)
		time.Sleep(5 * time.Second)
		a, from, _ := r.Begin(c)
		a.Start(from)
		a.Confirm(100)
		if from != 10 {
			t.Errorf("the first begins at %d", from)
		}
		time.Sleep(15 * time.Second)
		if _, from, _ := r.Begin(c); from > 20 {
			t.Errorf("the second, which was cut off at 20, begins at %d", from)
		}
	})
}

func TestOtherEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, c := newShelf(), Claim{Name: NewName()}
		first := open(t, store)
		first.begin(t, c, 0).Park(10)
		first.stop()
		other := New(Config{Store: store, Epoch: 2})
		for key, value := range store.values {
			other.saver.changed(key, value)
		}
		if _, from, resumed := other.Begin(c); resumed {
			t.Errorf("a place in another stream was taken up: %d", from)
		}
	})
}

// TestExpiresElsewhere: the time to come back is the same at every bridge; of bridges that are gone nothing is kept.
func TestExpiresElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, c := newShelf(), Claim{Name: NewName()}
		first := open(t, store)
		first.begin(t, c, 0).Park(10)
		first.begin(t, Claim{Name: NewName()}, 0)
		settle()
		first.kill()
		second := open(t, store)
		time.Sleep(58 * time.Second)
		second.begin(t, c, 1).Close()
		time.Sleep(10 * time.Minute)
		second.begin(t, Claim{Name: NewName()}, 0).Close()
		third := open(t, store) // brings news
		third.begin(t, Claim{Name: NewName()}, 0).Close()
		settle()
		second.mu.Lock()
		defer second.mu.Unlock()
		for key, p := range second.saver.others {
			if p.instance == first.saver.instance {
				t.Errorf("page %s of a bridge that is gone is kept", key)
			}
		}
	})
}

// TestStoreFails: what cannot be saved is saved later.
func TestStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, c := newShelf(), Claim{Name: NewName()}
		first := open(t, store)
		store.mu.Lock()
		store.broken = true
		store.mu.Unlock()
		s := first.begin(t, c, 0)
		s.Confirm(10)
		s.Park(10)
		settle()
		store.mu.Lock()
		store.broken = false
		store.mu.Unlock()
		settle()
		second := open(t, store)
		second.begin(t, c, 10)
	})
}

// TestFullPage: what clients make of their names harms nobody else.
func TestFullPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShelf()
		store.largest = 1 << 20
		b := open(t, store)
		same := Claim{Name: NewName()}
		for range maxEntries + 10_000 {
			s, _, _ := b.Begin(same)
			s.Start(1000)
		}
		settle()
		if len(store.refused) != 0 {
			t.Errorf("pages were too large: %v", store.refused)
		}
	})
}

func BenchmarkSave(b *testing.B) {
	r := New(Config{Store: newShelf()})
	sessions := make([]*Session, 10_000)
	for i := range sessions {
		sessions[i], _, _ = r.Begin(Claim{Name: NewName()})
		sessions[i].Start(1000)
	}
	for i := 0; b.Loop(); i++ {
		for _, s := range sessions {
			s.Confirm(uint64(1001 + i))
		}
		r.saver.save(b.Context(), false)
	}
}
