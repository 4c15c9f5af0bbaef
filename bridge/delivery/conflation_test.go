package delivery_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
)

// conflating is a configuration in which stalls are seen soon, and nothing else is on account of the time.
func conflating() delivery.Config {
	return delivery.Config{
		SendBuffer: 1, CompressFrom: 380, PingInterval: 2 * patience, WriteTimeout: 2 * patience,
		CloseTimeout: 4 * time.Millisecond, // a tick is a quarter of it
	}
}

func (s *served) append(t testing.TB, e journal.Entry) string {
	t.Helper()
	if _, err := s.journal.Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	return envelopeOf(e.Type, string(e.Data))
}

// TestFallenBehindGetsTheNewest: one that reads again after a stall gets the newest of each key, and all that has none;
// one that keeps up gets everything, though both share batches where they can.
func TestFallenBehindGetsTheNewest(t *testing.T) { onEveryWire(t, testFallenBehindGetsTheNewest) }

func testFallenBehindGetsTheNewest(t *testing.T, w wire) {
	config := conflating()
	config.Shards = 1
	s := serveOn(t, w, config, journal.MemoryConfig{})
	healthy, stalled, unconcerned := s.dial(t, ""), s.dialSlow(t, ""), s.dialSlow(t, "?types=legacy")
	const n, every, keys = 3000, 5, 4
	text := digits(400)
	var all, steady []string
	newest := make(map[string]string)
	for i := range n {
		e := journal.Entry{Type: "legacy", Data: fmt.Appendf(nil, `"%d:%s"`, i, text[:250+i%8*20])}
		if i%every != 0 && i < n-1 {
			e.Type, e.Key = "other", fmt.Sprint(i%keys)
		}
		if i == n/2 {
			e.Type, e.Key = "other", "once"
		}
		message := s.append(t, e)
		all = append(all, message)
		if newest[e.Key] = message; e.Key == "" {
			steady = append(steady, message)
		}
		if i == n/2 { // for somebody else, who alone can do without what came before
			e.Recipients = []string{"somebody"}
			s.append(t, e)
		}
		if got := receive(t, healthy); got != message {
			t.Fatalf("the one that keeps up got %.60s, want %.60s", got, message)
		}
	}
	await(t, "two have stalled", func() bool { return s.Stalled() == 2 })

	for i, want := range steady {
		if got := receive(t, unconcerned); got != want {
			t.Fatalf("types=legacy: message %d is %.60s, want %.60s", i, got, want)
		}
	}
	var got []string
	for last := all[n-1]; len(got) == 0 || got[len(got)-1] != last; {
		got = append(got, receive(t, stalled))
	}
	if !isSubsequence(got, all) || !isSubsequence(steady, got) {
		t.Errorf("the %d messages are not in order, or lack some of the %d that have no key", len(got), len(steady))
	}
	for key, message := range newest {
		if !slices.Contains(got, message) {
			t.Errorf("the newest message of key %q did not come", key)
		}
	}
	if len(got) >= n/2 {
		t.Errorf("%d of %d messages came", len(got), n)
	}
	if left := s.metric(t, "bridge_conflated_total", ""); int(left) != n-len(got) {
		t.Errorf("%v are said to have been left out, of %d there came %d", left, n, len(got))
	}

	// It keeps up from now on.
	await(t, "nobody is stalled any more", func() bool { return s.Stalled() == 0 })
	for i := range 20 {
		message := s.append(t, journal.Entry{Type: "other", Data: fmt.Append(nil, i), Key: "0"})
		if got := receive(t, stalled); got != message {
			t.Fatalf("message %d after the stall is %.60s", i, got)
		}
	}
}

// TestFarBackGetsAll: that a subscriber lacks much does not mean that it is slow.
func TestFarBackGetsAll(t *testing.T) { onEveryWire(t, testFarBackGetsAll) }

func testFarBackGetsAll(t *testing.T, w wire) {
	s := serveOn(t, w, delivery.Config{}, journal.MemoryConfig{})
	const n = 300 // which no socket is too small for
	var all []string
	for i := range n {
		all = append(all, s.append(t, journal.Entry{Type: "other", Data: fmt.Append(nil, i), Key: "a"}))
	}
	conn := s.dial(t, "")
	s.publish(t, "other", `"it has joined its shard"`)
	_ = receive(t, conn)
	s.Rewind(n + 1)
	for i, want := range all {
		if got := receive(t, conn); got != want {
			t.Fatalf("message %d is %s, want %s", i, got, want)
		}
	}
	if left := s.metric(t, "bridge_conflated_total", ""); left != 0 {
		t.Errorf("%v were left out", left)
	}
}

// TestConflationModel holds what clients get, who stall at random, against what was published.
func TestConflationModel(t *testing.T) {
	left := 0
	for seed := range uint64(8) {
		w := wires[seed%uint64(len(wires))]
		t.Run(fmt.Sprintf("%d-%v", seed, w), func(t *testing.T) { left += testConflationModel(t, w, seed) })
	}
	if left == 0 {
		t.Error("nothing was left out: the test did not test what it should")
	}
}

func testConflationModel(t *testing.T, w wire, seed uint64) (left int) {
	random := rand.New(rand.NewPCG(4, seed))
	config := conflating()
	config.Shards = 2
	if seed%8 == 4 {
		config.SendBuffer = 8 << 10 // which takes a part of a batch
	}
	s := serveOn(t, w, config, journal.MemoryConfig{})
	var clients []*mixClient
	for i := range 5 {
		const slow = 64
		clients = append(clients, s.join(t, fmt.Sprintf("client %d", i), random.IntN(2)<<2|slow|48))
	}
	var published []journal.Entry
	publish := func(e journal.Entry) {
		s.append(t, e)
		published = append(published, e)
	}
	filling := digits(400)
	for range 40 {
		for _, c := range clients {
			c.gate.set(random.IntN(3) > 0)
		}
		keyed := random.IntN(4)
		for range random.IntN(200) {
			text := filling[:random.IntN(len(filling))]
			e := journal.Entry{Type: "legacy", Data: fmt.Appendf(nil, `"%d:%s"`, len(published), text)}
			if random.IntN(4) < keyed {
				e.Type, e.Key = "other", fmt.Sprint(random.IntN(6))
			}
			publish(e)
		}
		if random.IntN(4) == 0 {
			await(t, "those who read have all", func() bool {
				return !slices.ContainsFunc(clients, func(c *mixClient) bool { return !c.gate.shut && !c.hasLast(published) })
			})
		}
	}
	publish(journal.Entry{Type: "legacy", Data: []byte(`"last"`)})
	for _, c := range clients {
		c.gate.set(false)
		await(t, c.name+" got the last", func() bool { return c.ended() || c.hasLast(published) })
		left += checkConflated(t, c, published)
	}
	if counted := int(s.metric(t, "bridge_conflated_total", "")); counted != left {
		t.Errorf("%d are said to have been left out, it were %d", counted, left)
	}
	return left
}

// form returns the message that a client gets of an entry.
func (c *mixClient) form(e journal.Entry) string {
	if c.text {
		return envelopeOf(e.Type, strconv.Quote(string(e.Data)))
	}
	return envelopeOf(e.Type, string(e.Data))
}

// hasLast reports whether the newest message that a client got is the last that was published.
func (c *mixClient) hasLast(published []journal.Entry) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(published) == 0 || len(c.got) > 0 && c.got[len(c.got)-1] == c.form(published[len(published)-1])
}

// checkConflated returns how many messages a client did not get, none of which may have been without a newer one.
func checkConflated(t *testing.T, c *mixClient, published []journal.Entry) (left int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.problem != "" {
		t.Errorf("%s got %s", c.name, c.problem)
	}
	newest := make(map[string]int)
	for i, e := range published {
		newest[e.Key] = i
	}
	got := c.got
	for i, e := range published {
		switch {
		case len(got) > 0 && got[0] == c.form(e):
			got = got[1:]
		case e.Key == "" || newest[e.Key] == i:
			t.Fatalf("%s: message %d, with the key %q, did not come in its place", c.name, i, e.Key)
		default:
			left++
		}
	}
	if len(got) > 0 {
		t.Errorf("%s: out of order there came %.60s, and %d more", c.name, got[0], len(got)-1)
	}
	return left
}
