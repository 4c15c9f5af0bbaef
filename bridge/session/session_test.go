package session_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/rotki/notification-bridge/bridge/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestName(t *testing.T) {
	for range 100 {
		n := session.NewName()
		if got, ok := session.ParseName(n.String()); !ok || got != n {
			t.Fatalf("%v became %v", n, got)
		}
	}
	for _, text := range []string{"", "x", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAA\nAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA+"} {
		if n, ok := session.ParseName(text); ok {
			t.Errorf("%q became %v", text, n)
		}
	}
}

func FuzzParseName(f *testing.F) {
	f.Add(session.NewName().String())
	f.Fuzz(func(t *testing.T, text string) {
		if n, ok := session.ParseName(text); ok && n.String() != text {
			t.Errorf("%q became %v", text, n)
		}
	})
}

func TestKin(t *testing.T) {
	if session.KinOf("", "a") != 0 || session.KinOf("a", "") != 0 || session.KinOf("a", "b") == 0 {
		t.Error("only whoever gives both is known by them")
	}
	if session.KinOf("ab", "c") == session.KinOf("a", "bc") {
		t.Error("two browsers are taken for one")
	}
}

// browser is a name with connections to a registry.
type browser struct {
	*testing.T
	registry *session.Registry
	claim    session.Claim
}

func newBrowser(t *testing.T, config session.Config) browser {
	return browser{t, session.New(config), session.Claim{Name: session.NewName()}}
}

// connect begins a connection, which must begin at a cursor: 0 for the head, which is then 100.
func (b browser) connect(want uint64) *session.Session {
	b.Helper()
	s, from, resumed := b.registry.Begin(b.claim)
	if !resumed {
		from = 0
	}
	if from != want {
		b.Errorf("a connection begins at %d, want %d", from, want)
	}
	if from == 0 {
		from = 100
	}
	s.Start(from)
	return s
}

func TestParked(t *testing.T) {
	b := newBrowser(t, session.Config{})
	s := b.connect(0)
	s.Confirm(120)
	s.Confirm(110) // comes too late
	s.Park(130)
	s = b.connect(120)
	s.Confirm(140)
	s.Park(140)
	b.connect(140).Park(140)
	b.connect(140)
}

// TestNeverStarted: a handshake that came to nothing leaves what it took up.
func TestNeverStarted(t *testing.T) {
	b := newBrowser(t, session.Config{})
	b.connect(0).Park(100)
	s, from, _ := b.registry.Begin(b.claim)
	s.Park(from)
	b.connect(100)
}

// TestTabs: with two tabs cut off, both begin at the earlier's place, and the next ones at their own.
func TestTabs(t *testing.T) {
	b := newBrowser(t, session.Config{})
	one, two := b.connect(0), b.connect(100)
	one.Confirm(110)
	two.Confirm(150)
	one.Park(150)
	two.Park(150)
	one, two = b.connect(110), b.connect(110)
	one.Confirm(200)
	two.Confirm(210)
	two.Park(210)
	two = b.connect(200) // the other stands, and may be the one that came back
	two.Confirm(300)
	one.Confirm(300)
}

// TestStanding: whether the client has lost a connection that still stands, nobody knows.
func TestStanding(t *testing.T) {
	b := newBrowser(t, session.Config{})
	b.connect(0).Confirm(120)
	b.connect(120)
}

// TestShadow: a tab that is opened while another comes back does not take its place away.
func TestShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrowser(t, session.Config{})
		b.connect(0).Park(100)
		opened := b.connect(100)
		opened.Confirm(120)
		time.Sleep(59 * time.Second)
		back := b.connect(100)
		back.Confirm(120)
		time.Sleep(time.Second)
		b.connect(120).Confirm(120) // nobody can come back any more
		// Once its taker is cut off itself, its own place counts.
		opened.Park(120)
		again := b.connect(120)
		again.Confirm(130)
		back.Confirm(130)
		again.Park(130)
		b.connect(120) // that of the third
	})
}

// TestClosedTaker: what a tab took up that is closed may have been another's.
func TestClosedTaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrowser(t, session.Config{})
		b.connect(0).Park(100)
		time.Sleep(30 * time.Second)
		opened := b.connect(100)
		opened.Confirm(150)
		opened.Close()
		time.Sleep(29 * time.Second)
		back := b.connect(100)
		back.Confirm(150)
		time.Sleep(time.Second)
		back.Close()
		b.connect(0)
	})
}

// TestExpiryOfTheOther: when one of two tabs is back, the other's place is kept as long as its own would have been.
func TestExpiryOfTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrowser(t, session.Config{})
		one, two := b.connect(0), b.connect(100)
		two.Confirm(120)
		one.Confirm(110)
		one.Park(110)
		time.Sleep(50 * time.Second)
		two.Park(120)
		time.Sleep(5 * time.Second)
		one = b.connect(110)
		one.Confirm(200)
		time.Sleep(54 * time.Second)
		b.connect(110).Confirm(200)
		time.Sleep(time.Second)
		b.connect(200)
	})
}

// TestNoticedLate: where a client has come back before the end of its connection was noticed, it has taken up the place,
// unless that was too long before, or the connection was in use since.
func TestNoticedLate(t *testing.T) {
	for name, tc := range map[string]struct {
		late time.Duration
		used bool
		want uint64
	}{
		"soon":     {500 * time.Millisecond, false, 500},
		"too late": {501 * time.Millisecond, false, 100},
		"in use":   {100 * time.Millisecond, true, 101},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBrowser(t, session.Config{})
				lost := b.connect(0)
				back := b.connect(100)
				if tc.used {
					lost.Confirm(101)
				}
				time.Sleep(tc.late)
				lost.Park(110)
				back.Confirm(500)
				time.Sleep(3 * time.Second)
				back.Park(500)
				b.connect(tc.want)
			})
		})
	}
	t.Run("one place for one", func(t *testing.T) {
		b := newBrowser(t, session.Config{})
		one, two := b.connect(0), b.connect(100)
		back := b.connect(100)
		one.Park(100)
		two.Park(100)
		back.Confirm(500)
		back.Park(500)
		b.connect(100)
	})
}

func TestSubject(t *testing.T) {
	b := newBrowser(t, session.Config{})
	b.claim.Subject = "alice"
	b.connect(0).Park(100)
	b.claim.Subject = "bob"
	b.connect(0).Close()
	b.claim.Subject = ""
	b.connect(0).Close()
	b.claim.Subject = "alice"
	b.connect(100)
}

// TestKinOnly: a client to which no cookie comes back is known by its kin, if it alone is.
func TestKinOnly(t *testing.T) {
	for name, tc := range map[string]struct {
		parked []session.Claim
		want   uint64
	}{
		"the only one":              {[]session.Claim{{New: true, Kin: 7}}, 100},
		"one of two":                {[]session.Claim{{New: true, Kin: 7}, {New: true, Kin: 7}}, 0},
		"another kin":               {[]session.Claim{{New: true, Kin: 8}}, 0},
		"no kin":                    {[]session.Claim{{New: true}}, 0},
		"a cookie came back":        {[]session.Claim{{Kin: 7}}, 0},
		"another subject":           {[]session.Claim{{New: true, Kin: 7, Subject: "bob"}}, 0},
		"the only one that fits it": {[]session.Claim{{Kin: 7}, {New: true, Kin: 7}, {New: true, Kin: 8}}, 100},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t, session.Config{})
			var open []*session.Session
			for _, claim := range tc.parked {
				claim.Name = session.NewName()
				s, _, _ := b.registry.Begin(claim)
				s.Start(100)
				open = append(open, s)
			}
			for _, s := range open {
				s.Park(100)
			}
			b.claim.New, b.claim.Kin = true, 7
			b.connect(tc.want)
		})
	}
}

func TestExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrowser(t, session.Config{ParkTime: time.Minute})
		b.connect(0).Park(100)
		time.Sleep(59 * time.Second)
		s := b.connect(100)
		s.Park(100)
		time.Sleep(60 * time.Second)
		b.connect(0)
	})
}

func TestLimit(t *testing.T) {
	metrics := prometheus.NewRegistry()
	b := newBrowser(t, session.Config{Limit: 2, Registerer: metrics})
	first := b.claim
	var claims []session.Claim
	for range 3 {
		b.claim.Name = session.NewName()
		claims = append(claims, b.claim)
		b.connect(0).Park(100)
	}
	b.claim = first
	b.connect(0).Close()
	b.claim = claims[0]
	b.connect(0).Close()
	for _, b.claim = range claims[1:] {
		b.connect(100).Close()
	}
	if got := value(t, metrics, "bridge_sessions_expired_total"); got != 1 {
		t.Errorf("%v had no room", got)
	}
}

// TestLimitOfOneSubject: however often one comes and goes, others keep their places, and so do its latest.
func TestLimitOfOneSubject(t *testing.T) {
	b := newBrowser(t, session.Config{Limit: 32})
	ann := b.claim
	ann.Subject = "ann"
	b.claim = ann
	b.connect(0).Park(100)
	var eve []session.Claim
	for range 100 {
		b.claim = session.Claim{Name: session.NewName(), Subject: "eve"}
		eve = append(eve, b.claim)
		b.connect(0).Park(100)
	}
	b.claim = ann
	b.connect(100).Close()
	for _, b.claim = range eve[98:] { // a sixteenth
		b.connect(100).Close()
	}
	b.claim = eve[68]
	b.connect(0).Close()
}

// TestManyTabs: beyond a number of tabs the latest share a place, which is the earlier's.
func TestManyTabs(t *testing.T) {
	b := newBrowser(t, session.Config{})
	var tabs []*session.Session
	for i := range 100 {
		s, _, _ := b.registry.Begin(b.claim)
		s.Start(uint64(1000 + i))
		tabs = append(tabs, s)
	}
	for _, s := range tabs {
		s.Park(2000)
	}
	for range 10 {
		s, from, _ := b.registry.Begin(b.claim)
		if from != 1000 {
			t.Fatalf("began at %d", from)
		}
		s.Start(from)
	}
}

func TestRepeatsAreCounted(t *testing.T) {
	metrics := prometheus.NewRegistry()
	b := newBrowser(t, session.Config{Registerer: metrics})
	b.connect(0).Park(107)
	if got := value(t, metrics, "bridge_sessions_parked"); got != 1 {
		t.Errorf("%v parked", got)
	}
	b.connect(100)
	if got := value(t, metrics, "bridge_session_repeats_total"); got != 7 {
		t.Errorf("%v repeats", got)
	}
	if got := value(t, metrics, "bridge_sessions_resumed_total"); got != 1 {
		t.Errorf("%v resumed", got)
	}
}

// value returns the sum of a metric.
func value(t *testing.T, metrics *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func BenchmarkBeginPark(b *testing.B) {
	r := session.New(session.Config{})
	claims := make([]session.Claim, 1<<15)
	for i := range claims {
		claims[i].Name = session.NewName()
	}
	for i := 0; b.Loop(); i++ {
		s, _, _ := r.Begin(claims[i%len(claims)])
		s.Start(uint64(i + 1))
		s.Park(uint64(i + 1))
	}
}
