package session_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rotki/notification-bridge/bridge/session"
)

func newClaim() session.Claim { return session.Claim{Name: session.NewName()} }

// TestElsewhere: a browser goes on at another bridge, after its own has ended in one way or another.
func TestElsewhere(t *testing.T) {
	for name, end := range map[string]func(*bridge, *session.Session){
		"cut off":          func(_ *bridge, s *session.Session) { s.Park(130); saved() },
		"the bridge ended": func(b *bridge, s *session.Session) { s.Park(130); b.end() },
		"killed":           func(b *bridge, _ *session.Session) { saved(); b.kill() },
		"unnoticed":        func(*bridge, *session.Session) { saved() },
	} {
		t.Run(name, func(t *testing.T) {
			shared(t, func(t *testing.T, store *shelf, one, two *bridge) {
				c := newClaim()
				s := one.tab(t, c, 0)
				s.Confirm(120)
				end(one, s)
				synctest.Wait()
				two.tab(t, c, 120)
			})
		})
	}
}

// TestTakenOnce: what was taken up at one bridge is not there any more at another.
func TestTakenOnce(t *testing.T) {
	for name, end := range map[string]func(*bridge, *session.Session){
		"cut off": func(_ *bridge, s *session.Session) { s.Park(130) },
		"killed":  func(b *bridge, _ *session.Session) { saved(); b.kill() },
	} {
		t.Run(name, func(t *testing.T) {
			shared(t, func(t *testing.T, store *shelf, one, two *bridge) {
				c := newClaim()
				s := one.tab(t, c, 0)
				s.Confirm(120)
				end(one, s)
				saved()
				s = two.tab(t, c, 120)
				s.Confirm(200)
				saved()
				s.Park(200)
				saved()
				three := run(t, session.Config{Store: store, Epoch: 7})
				three.tab(t, c, 200)
			})
		})
	}
}

// TestStandsElsewhere: a tab that is opened at another bridge does not use up the place of one that stands.
func TestStandsElsewhere(t *testing.T) {
	shared(t, func(t *testing.T, store *shelf, one, two *bridge) {
		c := newClaim()
		one.tab(t, c, 0).Confirm(120)
		saved()
		opened := two.tab(t, c, 120)
		opened.Confirm(200)
		saved()
		time.Sleep(2 * time.Minute)
		one.kill()
		two.tab(t, c, 120)
	})
}

// TestIdle: a connection on which nothing has come yet is known elsewhere, too.
func TestIdle(t *testing.T) {
	shared(t, func(t *testing.T, store *shelf, one, two *bridge) {
		c := newClaim()
		s, _, _ := one.Begin(c)
		saved() // while its handshake goes on
		s.Start(100)
		saved()
		one.kill()
		two.tab(t, c, 100)
	})
}

// TestOtherEpoch: what is of another journal does not count.
func TestOtherEpoch(t *testing.T) {
	shared(t, func(t *testing.T, store *shelf, one, two *bridge) {
		c := newClaim()
		one.tab(t, c, 0).Park(100)
		saved()
		three := run(t, session.Config{Store: store, Epoch: 8})
		three.tab(t, c, 0)
		two.tab(t, c, 100)
	})
}

// TestExpiresElsewhere: a place is kept no longer at other bridges, and in a bridge that is killed for a while longer.
func TestExpiresElsewhere(t *testing.T) {
	shared(t, func(t *testing.T, store *shelf, one, two *bridge) {
		parked, killed := newClaim(), newClaim()
		one.tab(t, killed, 0)
		one.tab(t, parked, 0).Park(100)
		saved()
		time.Sleep(58 * time.Second)
		two.tab(t, parked, 100).Park(100)
		saved()
		time.Sleep(61 * time.Second)
		two.tab(t, parked, 0)
		one.kill()
		time.Sleep(time.Minute)
		two.tab(t, killed, 100)
		time.Sleep(3 * time.Minute)
		two.tab(t, killed, 100) // which is that of the one that stands
		two.kill()
		three := run(t, session.Config{Store: store, Epoch: 7})
		time.Sleep(2 * time.Minute)
		three.tab(t, killed, 0)
	})
}

// TestStoreAway: when the store cannot be written to for minutes, it is said once, and everything is in it afterwards.
func TestStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lines
		store := newShelf()
		one := run(t, session.Config{Store: store, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		standing, parked := newClaim(), newClaim()
		one.tab(t, standing, 0).Confirm(110)
		saved()
		one.store.cut(always)
		lost := one.tab(t, parked, 0)
		time.Sleep(10 * time.Minute)
		lost.Park(100)
		one.tab(t, parked, 100).Park(100) // goes on here
		time.Sleep(10 * time.Second)
		one.store.cut(nil)
		saved()
		saved()
		two := run(t, session.Config{Store: store})
		two.tab(t, standing, 110)
		two.tab(t, parked, 100)
		if got := log.String(); strings.Count(got, "cannot be saved;") != 1 || strings.Count(got, "can be saved again") != 1 {
			t.Errorf("the log says:\n%s", got)
		}
	})
}

// TestRefusedPage: a page that the store refuses keeps no other from being saved, in the last save neither.
func TestRefusedPage(t *testing.T) {
	for name, end := range map[string]func(*bridge){"running": func(b *bridge) { saved(); saved(); b.kill() }, "ending": func(b *bridge) { b.end() }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log lines
				store := newShelf()
				one := run(t, session.Config{Store: store, Logger: slog.New(slog.NewTextHandler(&log, nil))})
				for range 1000 {
					one.tab(t, newClaim(), 0)
				}
				one.store.cut(func(key string) bool { return strings.HasSuffix(key, ".7") || strings.HasSuffix(key, ".9") })
				end(one)
				if n := len(store.keys()); n != 62 {
					t.Errorf("%d of 62 pages are saved", n)
				}
				if got := log.String(); strings.Count(got, "\n") > 1 {
					t.Errorf("the log says:\n%s", got)
				}
			})
		})
	}
}

// TestChosenNames: a client that chooses its names does not choose its page, and one with very many connections does not
// fill it.
func TestChosenNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShelf()
		one := run(t, session.Config{Store: store})
		same := newClaim()
		for i := range 2000 {
			c := newClaim()
			c.Name[0] = 0
			one.tab(t, c, 0)
			s, _, _ := one.Begin(same)
			s.Start(uint64(1000 + i))
		}
		saved()
		one.kill()
		if n := len(store.keys()); n != 64 {
			t.Errorf("%d pages", n)
		}
		for _, key := range store.keys() {
			if size := len(store.page(key)); size > 4000 {
				t.Errorf("%s has %d bytes", key, size)
			}
		}
		two := run(t, session.Config{Store: store})
		two.tab(t, same, 1000)
	})
}

// TestKinIsTakenWhole: a client to which no cookie comes back, and that what it has taken up is gone, are saved with one
// write: a bridge that is killed in between leaves the one or the other.
func TestKinIsTakenWhole(t *testing.T) {
	kin := func() session.Claim { return session.Claim{Name: session.NewName(), New: true, Kin: 7} }
	for name, elsewhere := range map[string]bool{"here": false, "elsewhere": true} {
		t.Run(name, func(t *testing.T) {
			shared(t, func(t *testing.T, store *shelf, one, two *bridge) {
				one.tab(t, kin(), 0).Park(100)
				saved()
				taker := one
				if elsewhere {
					taker = two
				}
				store.forget()
				taker.tab(t, kin(), 100)
				saved()
				if n := len(store.written()); n != 1 && !elsewhere || n > 2 { // elsewhere, one drops what it had
					t.Errorf("%d pages were written: %q", n, store.written())
				}
				one.kill()
				two.kill()
				three := run(t, session.Config{Store: store, Epoch: 7})
				three.tab(t, kin(), 100)
			})
		})
	}
}

// TestNotOurs: what is in the store and makes no sense changes nothing, and is said once.
func TestNotOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lines
		store := newShelf()
		one := run(t, session.Config{Store: store})
		c := newClaim()
		one.tab(t, c, 0).Park(100)
		saved()
		two := run(t, session.Config{Store: store, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		page := store.page(store.keys()[0])
		for i := range 10 {
			_ = store.Put(t.Context(), fmt.Sprint("x", i), []byte("x"))
			_ = store.Put(t.Context(), fmt.Sprintf("000000000000000%d.0", i), page) // one bridge's in another's place
			_ = store.Put(t.Context(), store.keys()[0]+".copy", page)
		}
		synctest.Wait()
		two.tab(t, c, 100)
		if n := strings.Count(log.String(), "\n"); n != 1 {
			t.Errorf("it was said %d times", n)
		}
		one.end()
	})
}

// TestDeleted: a page that is deleted is no longer known.
func TestDeleted(t *testing.T) {
	shared(t, func(t *testing.T, store *shelf, one, two *bridge) {
		c := newClaim()
		one.tab(t, c, 0).Park(100)
		saved()
		for _, key := range store.keys() {
			_ = store.Put(t.Context(), key, nil)
		}
		synctest.Wait()
		two.tab(t, c, 0)
	})
}

// TestParkedElsewhere: what other bridges have does not count as parked here.
func TestParkedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, metrics := newShelf(), prometheus.NewRegistry()
		one := run(t, session.Config{Store: store})
		two := run(t, session.Config{Store: store, Limit: 1, Registerer: metrics})
		claims := []session.Claim{newClaim(), newClaim(), newClaim()}
		for _, c := range claims {
			one.tab(t, c, 0).Park(100)
		}
		saved()
		if n := value(t, metrics, "bridge_sessions_parked"); n != 0 {
			t.Errorf("%v parked", n)
		}
		for _, c := range claims {
			two.tab(t, c, 100)
		}
	})
}

// lines is a log.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
