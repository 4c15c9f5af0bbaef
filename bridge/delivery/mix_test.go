package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
)

const (
	mixOperations = 60
	mixClients    = 8
	mixBytes      = 400_000 // published, about
)

// mix runs a program against an engine and holds what clients got against what was published.
type mix struct {
	*served
	t         *testing.T
	program   []byte
	drain     bool // the end
	lossless  bool // the journal keeps everything
	published []journal.Entry
	bytes     int
	clients   []*mixClient
}

// FuzzMix: whatever publishers and clients do, everyone who stays gets all that was published since it joined, in order
// and whole, unless the journal could not wait for it; and the numbers add up.
func FuzzMix(f *testing.F) {
	for seed := range byte(8) {
		f.Add(mixProgram(uint64(seed), seed<<2))
	}
	f.Fuzz(runMix)
}

// TestMix runs programs that are always the same.
func TestMix(t *testing.T) {
	for seed := range uint64(48) {
		program := mixProgram(seed, byte(seed))
		t.Run(fmt.Sprintf("%d", seed), func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("the program was []byte(%q)", program)
				}
			})
			runMix(t, program)
		})
	}
}

// mixProgram returns a program that begins with three clients in the setting that the bits of first choose.
func mixProgram(seed uint64, first byte) []byte {
	random := rand.New(rand.NewPCG(2, seed))
	program := []byte{first, byte(random.Uint32()), 0, byte(random.Uint32()), 0, byte(random.Uint32()), 0, byte(random.Uint32())}
	for range mixOperations {
		program = append(program, byte(random.Uint32()), byte(random.Uint32()))
	}
	return program
}

func (m *mix) next() int {
	if len(m.program) == 0 {
		return 0
	}
	b := m.program[0]
	m.program = m.program[1:]
	return int(b)
}

func runMix(t *testing.T, program []byte) {
	m := &mix{t: t, program: program}
	first, second := m.next(), m.next()
	config := delivery.Config{Shards: 1 + second%3, CloseTimeout: patience, PingInterval: 2 * patience, WriteTimeout: 2 * patience}
	limits := journal.MemoryConfig{}
	if first&1 != 0 {
		config.SendBuffer = 1
	}
	if m.lossless = first&8 == 0; !m.lossless {
		limits.Messages = 4 + second>>3
	}
	if second&4 != 0 {
		config.CompressFrom = 100
	}
	m.drain = first&16 != 0
	m.served = serveOn(t, wire{tls: first&2 != 0, deflate: first&4 != 0}, config, limits)
	for i := 0; i < mixOperations && len(m.program) > 0; i++ {
		m.operate(m.next()%18, m.next())
	}
	m.finish()
}

// operate does one thing of a program.
func (m *mix) operate(operation, what int) {
	switch {
	case operation < 2:
		if len(m.clients) < mixClients {
			c := m.join(m.t, fmt.Sprintf("client %d", len(m.clients)), what)
			c.joined = len(m.published)
			m.clients = append(m.clients, c)
		}
		return
	case operation < 8:
		for range 1 + what>>6 {
			m.publishSome(what)
		}
		return
	}
	here := slices.DeleteFunc(slices.Clone(m.clients), func(c *mixClient) bool { return c.left != stayed })
	if len(here) == 0 {
		return
	}
	c := here[what%len(here)]
	what /= len(here)
	switch operation {
	case 8, 9:
		c.gate.set(true)
	case 10, 11:
		c.gate.set(false)
	case 12:
		c.ping()
	case 13:
		c.say(what*16, what&1 != 0, false)
	case 14:
		c.say(what*16, what&1 != 0, true)
	case 15:
		c.left = closed
		c.write(masked(0x88, []byte("\x03\xe8bye")))
	case 16:
		if what&1 != 0 {
			c.say(200, false, true)
		}
		c.cut(what&6 != 0)
	case 17:
		c.left = broke
		c.write([][]byte{{0x81, 0}, masked(0x83, nil), masked(0xb1, nil), masked(0x80, nil), masked(0x88, []byte{3})}[what%5])
	}
}

// publishSome appends a notification, of up to 70 KB, unless that is too much for one program.
func (m *mix) publishSome(what int) {
	sizes := []int{0, 1, 70, 100, 1000, 5000, 16 << 10, 40_000, 65_500, 70_000}
	size := sizes[m.next()%len(sizes)]
	if m.bytes += size; m.bytes > mixBytes {
		size = 0
	}
	filling := strings.Repeat("x", size)
	if what&2 != 0 {
		filling = digits(size)
	}
	m.append([]string{"legacy", "other"}[what&1], fmt.Sprintf(`"%d:%s"`, len(m.published), filling))
}

func (m *mix) append(typ, data string) {
	m.publish(m.t, typ, data)
	m.published = append(m.published, journal.Entry{Type: typ, Data: []byte(data)})
}

// due returns what a client that stays has to get.
func (m *mix) due(c *mixClient) []string {
	var due []string
	for _, e := range m.published[c.joined:] {
		if c.typ != "" && c.typ != e.Type {
			continue
		}
		data := string(e.Data)
		if c.text {
			data = strconv.Quote(data)
		}
		due = append(due, envelopeOf(e.Type, data))
	}
	return due
}

// finish lets everyone read on, and sees what has become of each.
func (m *mix) finish() {
	for _, c := range m.clients {
		c.gate.set(false)
	}
	for _, c := range m.clients {
		if c.left != stayed {
			await(m.t, c.name+" is let go", c.ended)
		}
	}
	if !m.drain {
		m.append("legacy", `"last"`)
		m.append("other", `"last"`)
		for _, c := range m.clients {
			due := len(m.due(c))
			await(m.t, c.name+" got everything", func() bool { return c.ended() || c.count() >= due })
			await(m.t, c.name+" got its pong", func() bool {
				return c.ended() || len(c.pings) == 0 || c.lastPong() == c.pings[len(c.pings)-1]
			})
		}
	}
	m.checkNumbers()
	if m.drain {
		ctx, cancel := context.WithTimeout(m.t.Context(), patience)
		defer cancel()
		m.Drain(ctx, 0)
		if m.Connections() != 0 {
			m.t.Errorf("%d are left after draining", m.Connections())
		}
	}
	m.stop()
	for _, c := range m.clients {
		await(m.t, c.name+" has ended", c.ended)
	}
	slow := int(m.metric(m.t, "bridge_disconnects_total", "too_slow"))
	for _, c := range m.clients {
		slow -= m.check(c)
	}
	if slow < 0 || m.lossless && slow > 0 {
		m.t.Errorf("%d more were dropped as too slow than have lost something", slow)
	}
}

// checkNumbers holds the metrics against what the clients did.
func (m *mix) checkNumbers() {
	count := func(left parting) (n int) {
		for _, c := range m.clients {
			if c.left == left {
				n++
			}
		}
		return n
	}
	reason := func(name string) int { return int(m.metric(m.t, "bridge_disconnects_total", name)) }
	await(m.t, "connections and disconnects add up to the handshakes", func() bool {
		ended := 0
		for _, name := range []string{
			"client_closed", "connection_lost", "protocol_error", "expired", "revoked", "dismissed", "too_talkative", "too_slow", "write_timeout", "ping_timeout", "shutdown",
		} {
			ended += reason(name)
		}
		accepted := int(m.metric(m.t, "bridge_handshakes_total", "accepted"))
		return accepted == len(m.clients) && accepted == ended+m.Connections() && m.Connections() == count(stayed)-reason("too_slow") ||
			!m.lossless && accepted == ended+m.Connections() && m.Connections() <= count(stayed)
	})
	for _, left := range []parting{closed, broke, cut} {
		if got, want := reason(string(left)), count(left); m.lossless && got != want || got > want {
			m.t.Errorf("%d ended as %s, want %d", got, left, want)
		}
	}
}

// check returns how many, 1 or 0, have lost what they should have got.
func (m *mix) check(c *mixClient) (lost int) {
	if c.problem != "" {
		m.t.Errorf("%s got %s", c.name, c.problem)
	}
	due := m.due(c)
	for i, got := range c.got {
		if i >= len(due) || got != due[i] {
			m.t.Fatalf("%s: of %d messages, number %d is %.60q of %d bytes", c.name, len(due), i, got, len(got))
		}
	}
	if rest := c.pongs; !isSubsequence(rest, c.pings) {
		m.t.Errorf("%s sent the pings %q and got the pongs %q", c.name, c.pings, rest)
	}
	code, torn := 0, errors.Is(c.end, errTorn)
	switch c.left {
	case closed:
		code = websocket.CloseNormalClosure
	case broke:
		code = websocket.CloseProtocolError
	case cut:
		return 0 // anything may be missing
	case stayed:
		if len(c.got) < len(due) {
			lost = 1
			if c.codes {
				code = websocket.CloseTryAgainLater
			}
		} else if m.drain && c.codes {
			code = websocket.CloseGoingAway
		}
	}
	// Who falls behind may lack what was on its way, or nothing at all, where it did not want what the journal has lost.
	mayLack := !m.lossless && (c.left != stayed || lost == 1 || c.typ != "")
	if lost == 1 && m.lossless {
		m.t.Errorf("%s got %d of %d messages, then %v", c.name, len(c.got), len(due), c.end)
	}
	if c.code != code && (!mayLack || c.code != 0 && c.code != websocket.CloseTryAgainLater) {
		m.t.Errorf("%s (%s) was told %d, want %d; it ended with %v", c.name, c.left, c.code, code, c.end)
	}
	if !mayLack && (torn || !errors.Is(c.end, io.EOF) && !errors.Is(c.end, io.ErrUnexpectedEOF)) {
		m.t.Errorf("%s (%s) ended with %v", c.name, c.left, c.end)
	}
	return lost
}

// isSubsequence reports whether some are among all, in the same order.
func isSubsequence(some, all []string) bool {
	for _, s := range some {
		i := slices.Index(all, s)
		if i < 0 {
			return false
		}
		all = all[i+1:]
	}
	return true
}
