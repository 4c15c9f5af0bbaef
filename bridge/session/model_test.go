package session_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rotki/notification-bridge/bridge/session"
)

// modelConfig is the registries' in the model.
var modelConfig = session.Config{ParkTime: time.Minute, SaveInterval: 500 * time.Millisecond, Epoch: 7}

// unsaved is the interval between saves, and a little.
const unsaved = 600 * time.Millisecond

// moment is how long what was taken up takes to be known everywhere, and to be contradicted.
const moment = 100 * time.Millisecond

// model is tabs of one browser that come and go at two bridges with one store.
type model struct {
	*testing.T
	random  *rand.Rand
	claim   session.Claim
	store   *shelf
	bridges [2]*modelBridge
	tabs    []*modelTab
	all     []*connection // that there ever were
	head    uint64        // of the journal
	history []string

	repeats, excused int
}

// modelBridge is a bridge, and its connections as it knows them.
type modelBridge struct {
	*bridge
	number      int
	connections []*connection
}

// connection is one as its bridge knows it.
type connection struct {
	session *session.Session
	tab     *modelTab // nil once the tab has lost it
	of      *modelTab
	bridge  *modelBridge
	process *bridge // the bridge's then
	start   time.Time
	ended   time.Time // when it was cut off for the bridge, too; zero for not yet
	opened  bool      // it is the tab's first, or the first after a clean close
	number  int
	written uint64
}

// modelTab is a tab of the browser.
type modelTab struct {
	name       string
	connection *connection
	got        uint64    // everything before this
	away       bool      // it was cut off, and will come back
	since      time.Time // when it was
	last       *connection
	doubts     []*connection // see excuse
}

func (m *model) note(format string, args ...any) {
	m.history = append(m.history, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{T: t, random: rand.New(rand.NewPCG(seed, 5)), claim: newClaim(), store: newShelf(), head: 1000}
	for i := range m.bridges {
		m.bridges[i] = &modelBridge{number: i}
		m.start(m.bridges[i])
	}
	for i := range 1 + m.random.IntN(3) {
		m.tabs = append(m.tabs, &modelTab{name: string(rune('A' + i))})
	}
	return m
}

func (m *model) start(b *modelBridge) {
	config := modelConfig
	config.Store = m.store
	b.bridge = run(m.T, config)
}

// step does something.
func (m *model) step() {
	tab := m.tabs[m.random.IntN(len(m.tabs))]
	switch m.random.IntN(12) {
	case 0, 1, 2:
		m.head += uint64(m.random.IntN(20))
		for _, b := range m.bridges {
			for _, c := range b.connections {
				c.written = m.head
			}
		}
	case 3, 4, 5:
		if c := tab.connection; c != nil {
			m.receive(tab, c.written)
			c.session.Confirm(tab.got)
		}
	case 6:
		if c := tab.connection; c != nil {
			m.receive(tab, tab.got+m.random.Uint64N(c.written-tab.got+1))
			m.cut(tab)
			if m.random.IntN(3) > 0 {
				m.notice(c)
			}
		}
	case 7, 8, 9:
		if tab.connection == nil {
			m.connect(tab, m.bridges[m.random.IntN(2)])
		}
	case 10:
		b := m.bridges[m.random.IntN(2)]
		switch n := m.random.IntN(20); {
		case n == 0:
			m.end(b, true)
		case n == 1:
			m.end(b, false)
		case n < 8 && len(b.connections) > 0:
			if c := b.connections[m.random.IntN(len(b.connections))]; c.tab == nil {
				m.notice(c)
			}
		}
	case 11:
		if c := tab.connection; c != nil && m.random.IntN(3) == 0 {
			m.note("%s is closed at %d", tab.name, tab.got)
			m.gone(c)
			c.session.Close()
			tab.connection, tab.away, tab.last = nil, false, nil
		}
	}
	switch m.random.IntN(10) {
	case 0:
		time.Sleep(time.Duration(m.random.Int64N(int64(15 * time.Second))))
	default:
		time.Sleep(time.Duration(m.random.Int64N(int64(200 * time.Millisecond))))
	}
	synctest.Wait()
}

// receive has a tab get everything before next.
func (m *model) receive(tab *modelTab, next uint64) { tab.got = max(tab.got, next) }

// cut takes a tab's connection away, which its bridge has not noticed.
func (m *model) cut(tab *modelTab) {
	m.note("%s is cut off at %d, bridge %d", tab.name, tab.got, tab.connection.bridge.number)
	tab.last = tab.connection
	tab.connection.tab = nil
	tab.connection, tab.away, tab.since, tab.doubts = nil, true, time.Now(), nil
}

// notice has a bridge notice that a connection has ended.
func (m *model) notice(c *connection) {
	m.note("bridge %d notices that connection %d has ended", c.bridge.number, c.number)
	m.gone(c)
	c.ended = time.Now()
	c.session.Park(c.written)
	if tab := c.of; tab.away && tab.last == c {
		for _, d := range c.bridge.connections {
			if d.start.After(c.start) && time.Since(d.start) <= 500*time.Millisecond {
				tab.doubts = append(tab.doubts, d) // as if it had begun after the end
			}
		}
	}
}

// gone takes a connection from its bridge.
func (m *model) gone(c *connection) {
	for i, other := range c.bridge.connections {
		if other == c {
			c.bridge.connections = append(c.bridge.connections[:i], c.bridge.connections[i+1:]...)
			return
		}
	}
}

// end ends a bridge and starts it again.
func (m *model) end(b *modelBridge, kill bool) {
	m.note("bridge %d ends, killed: %v", b.number, kill)
	for _, c := range b.connections {
		c.ended = time.Now()
	}
	for _, tab := range m.tabs {
		if tab.connection != nil && tab.connection.bridge == b {
			m.cut(tab)
			for _, d := range m.all {
				if kill && d.bridge != b && d.start.After(tab.last.start) && time.Since(d.start) < moment {
					tab.doubts = append(tab.doubts, d) // this bridge had no time to say that the tab's stood
				}
			}
		}
	}
	if kill {
		b.kill()
	} else {
		for _, c := range b.connections {
			c.session.Park(c.written)
		}
		b.bridge.end()
	}
	b.connections = nil
	m.start(b)
}

func (m *model) connect(tab *modelTab, b *modelBridge) {
	s, from, resumed := b.Begin(m.claim)
	if !resumed {
		from = m.head
	}
	s.Start(from)
	c := &connection{
		session: s, tab: tab, of: tab, bridge: b, process: b.bridge, start: time.Now(), written: m.head, number: len(m.history),
	}
	// It takes up what may be another's, unless what it left is there.
	stranger := !tab.away || m.unnoticed(tab.last, b) || len(tab.doubts) > 0 || m.excuse(tab, c) != ""
	m.note("%s, at %d, away: %v, connects to bridge %d: connection %d begins at %d, %v",
		tab.name, tab.got, tab.away, b.number, c.number, from, resumed)
	switch {
	case !tab.away:
		tab.got = from
	case from <= tab.got:
		m.repeats += int(tab.got - from)
	case m.excuse(tab, c) == "":
		m.Fatalf("%s has lost %d to %d:\n%s", tab.name, tab.got, from-1, strings.Join(m.history, "\n"))
	default:
		m.note("excused: %s", m.excuse(tab, c))
		m.excused++
		tab.got = from
	}
	for _, other := range m.tabs {
		if stranger && other != tab && other.away {
			other.doubts = append(other.doubts, c)
		}
	}
	c.opened = stranger
	tab.connection, tab.away = c, false
	b.connections, m.all = append(b.connections, c), append(m.all, c)
}

// unnoticed reports whether a bridge cannot know yet that a connection has ended.
func (m *model) unnoticed(c *connection, b *modelBridge) bool {
	return c.ended.IsZero() || c.process != b.bridge && time.Since(c.ended) < moment
}

// excuse returns why a tab that comes back may have lost something, which is what the package's comment says; empty for
// no reason.
func (m *model) excuse(tab *modelTab, c *connection) string {
	if time.Since(tab.since) >= modelConfig.ParkTime {
		return "it comes too late"
	}
	for _, d := range tab.doubts {
		switch {
		case d.process != c.process:
			return "another bridge has taken another tab for it"
		case !d.ended.IsZero():
			return "another tab was taken for it, and is cut off itself"
		case m.atOnce(d):
			return "two bridges took tabs for others before they knew of each other"
		}
	}
	if last := tab.last; last.opened && last.process != c.process && last.lasted() < unsaved {
		return "its connection was not saved yet"
	}
	return ""
}

// atOnce reports whether another connection began at another bridge at about the same time.
func (m *model) atOnce(d *connection) bool {
	for _, other := range m.all {
		if other.process != d.process && other.start.Sub(d.start).Abs() < moment {
			return true
		}
	}
	return false
}

// lasted returns for how long a connection's bridge could tell others of it.
func (c *connection) lasted() time.Duration {
	if c.ended.IsZero() {
		return time.Since(c.start)
	}
	return c.ended.Sub(c.start)
}

// FuzzNothingLost: whatever happens to a browser's tabs and to the bridges, no tab misses anything.
func FuzzNothingLost(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t, seed)
			for range 200 {
				m.step()
			}
			if m.excused > 0 {
				t.Logf("%d excused, %d repeats", m.excused, m.repeats)
			}
		})
	})
}
