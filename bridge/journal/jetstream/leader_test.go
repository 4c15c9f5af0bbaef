package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/journal"
	"github.com/rotki/notification-bridge/bridge/journal/jetstream"
)

// TestPublishesOverFailures: publishers that send again under the same ids whatever was not acknowledged, from the
// first such on and in a new term, lose nothing, get nothing stored twice, and keep their order, whatever happens to
// the servers. A second journal, which only follows, sees the same as the first.
func TestPublishesOverFailures(t *testing.T) {
	c, err := startCluster("failing", 3)
	if err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	for _, tc := range []struct {
		name string
		harm func(t *testing.T, stream string)
	}{
		{"the leader steps down", func(t *testing.T, stream string) {
			leader := c.leader(t, stream)
			if err := c.servers[leader].JetStreamStepdownStream("$G", stream); err != nil {
				t.Error(err)
			}
			c.awaitLeader(t, stream)
		}},
		{"the leader is killed", func(t *testing.T, stream string) {
			c.kill(t, c.leader(t, stream))
			c.awaitLeader(t, stream)
		}},
		{"the journal's server is killed", func(t *testing.T, _ string) { c.kill(t, 0) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			config := jetstream.Config{URLs: c.urls(), Replicas: 3, Stream: streamName(), AckTimeout: 2 * time.Second}
			j, follower := open(t, config), open(t, config)
			var stop atomic.Bool
			var publishing sync.WaitGroup
			sent := make([]int, 2)
			for p := range sent {
				publishing.Go(func() { sent[p] = publishUntil(t, j, fmt.Sprint(p), &stop) })
			}
			for range 3 {
				_, next := follower.Bounds()
				awaitHead(t, follower, next+300)
				tc.harm(t, config.Stream)
			}
			_, next := follower.Bounds()
			awaitHead(t, follower, next+300)
			stop.Store(true)
			publishing.Wait()
			head := uint64(1 + sent[0] + sent[1])
			for _, of := range []*jetstream.Journal{j, follower} {
				awaitHead(t, of, head)
				inOrder(t, of, 1, sent)
			}
			awaitReady(t, j, "")
		})
	}
}

// publishUntil publishes 0, 1, 2, … under a type, with up to 100 on their way, until it is told to stop, and then until
// all are acknowledged. It returns how many they are.
func publishUntil(t *testing.T, j *jetstream.Journal, typ string, stop *atomic.Bool) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	acknowledged, fails := 0, 0
	for !stop.Load() {
		begun, err := publishTerm(ctx, t, j, typ, acknowledged, stop)
		acknowledged = begun
		if err == nil {
			break
		}
		if !errors.Is(err, journal.ErrUnavailable) && !errors.Is(err, journal.ErrTermOver) {
			t.Errorf("publisher %s: %v", typ, err)
			break
		}
		fails++
		awaitReady(t, j, "")
	}
	t.Logf("publisher %s: %d acknowledged, began anew %d times", typ, acknowledged, fails)
	return acknowledged
}

// publishTerm publishes from a number on until something fails, or until it is told to stop and all are acknowledged.
// It returns the first number that is not.
func publishTerm(ctx context.Context, t *testing.T, j *jetstream.Journal, typ string, from int, stop *atomic.Bool) (int, error) {
	term, last := j.Term(), uint64(0)
	var pendings []journal.Pending
	for next := from; ; {
		if len(pendings) < 100 && !stop.Load() {
			p, err := j.Append(ctx, journal.Entry{ID: fmt.Sprintf("%s-%d", typ, next), Type: typ, Data: fmt.Append(nil, next), Term: term})
			if err != nil {
				return from, err
			}
			pendings = append(pendings, p)
			next++
			continue
		}
		if len(pendings) == 0 {
			return from, nil
		}
		r, err := pendings[0].Wait(ctx)
		if err != nil {
			return from, err
		}
		if r.Position.Seq <= last {
			t.Errorf("%s-%d is at %d, behind %d", typ, from, r.Position.Seq, last)
		}
		last = r.Position.Seq
		from++
		pendings = pendings[1:]
	}
}

// inOrder checks that a journal holds what was sent, each publisher's in its order, once.
func inOrder(t *testing.T, j *jetstream.Journal, from uint64, sent []int) {
	t.Helper()
	came := make(map[string]int)
	buffer := make([]*journal.Record, 100)
	for {
		n, err := j.Recall(t.Context(), from, buffer)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		for _, r := range buffer[:n] {
			if r.Seq != from || string(r.Data) != fmt.Sprint(came[r.Type]) {
				t.Fatalf("at %d: %s of %s is at %d, where %d should be", from, r.Data, r.Type, r.Seq, came[r.Type])
			}
			came[r.Type]++
			from++
		}
	}
	for p, n := range sent {
		if came[fmt.Sprint(p)] != n {
			t.Errorf("of publisher %d %d came, %d were acknowledged", p, came[fmt.Sprint(p)], n)
		}
	}
}

// TestRestart: the journal is where it was, ids included, and a subscriber's position still leads to what follows it.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	config := jetstream.Config{Window: journal.WindowConfig{Messages: 50}}
	var epoch uint64
	const each = 100
	for life := range 3 {
		config.Server = embedded(t, jetstream.ServerConfig{Dir: dir})
		j := open(t, config)
		if epoch != 0 && j.Epoch() != epoch {
			t.Fatal("the epoch has changed")
		}
		epoch = j.Epoch()
		if oldest, next := j.Bounds(); next != uint64(life*each+1) || next-oldest != min(50, uint64(life*each)) {
			t.Errorf("in life %d the bounds are %d, %d", life, oldest, next)
		}
		var batch []journal.Entry
		for i := range each {
			batch = append(batch, journal.Entry{ID: fmt.Sprintf("0-%d", life*each+i), Type: "0", Data: fmt.Append(nil, life*each+i), Subscribers: 5})
		}
		if life > 0 {
			batch = append([]journal.Entry{{ID: "0-0", Type: "0", Data: []byte("0")}}, batch...)
		}
		receipts := add(t, j, batch...)
		if r := receipts[0]; life > 0 && (!r.Duplicate || r.Position.Seq != 1 || r.Subscribers != 5) {
			t.Errorf("the first one again: %+v", r)
		}
		awaitHead(t, j, uint64((life+1)*each+1))
		inOrder(t, j, 1, []int{(life + 1) * each})
		shut(t, j)
	}
}

// TestServerRestart: a server that goes away and comes back costs the tail neither a record nor its place.
func TestServerRestart(t *testing.T) {
	c, err := startCluster("lone", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	j := open(t, jetstream.Config{URLs: c.urls()})
	for n := range 3 {
		add(t, j, journal.Entry{ID: fmt.Sprintf("0-%d", 2*n), Type: "0", Data: fmt.Append(nil, 2*n)})
		term := j.Term()
		if _, err := j.Append(t.Context(), journal.Entry{Type: "0", Data: []byte(`{}`), Term: term + 1}); !errors.Is(err, journal.ErrTermOver) {
			t.Errorf("an entry of the next term: %v", err)
		}
		c.kill(t, 0)
		addAtLast(t, j, journal.Entry{ID: fmt.Sprintf("0-%d", 2*n+1), Type: "0", Data: fmt.Append(nil, 2*n+1)})
	}
	awaitHead(t, j, 7)
	inOrder(t, j, 1, []int{6})
}

// addAtLast adds an entry as a publisher does: again until it is stored.
func addAtLast(t *testing.T, j *jetstream.Journal, e journal.Entry) {
	t.Helper()
	for {
		awaitReady(t, j, "") // which may not know yet that the server is gone
		p, err := j.Append(t.Context(), e)
		if err == nil {
			_, err = p.Wait(t.Context())
		}
		if err == nil {
			return
		}
		if !errors.Is(err, journal.ErrUnavailable) {
			t.Fatal(err)
		}
	}
}

// TestAway: while NATS is away, appends fail in a term of their own, and readiness says why.
func TestAway(t *testing.T) {
	c, err := startCluster("away", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	j := open(t, jetstream.Config{URLs: c.urls()})
	add(t, j, journal.Entry{Type: "0", Data: []byte("0")})
	c.servers[0].Shutdown()
	c.servers[0].WaitForShutdown()
	awaitReady(t, j, "is away")
	term := j.Term()
	appendFails(t, j, journal.ErrUnavailable)
	if j.Term() == term || j.Connected() || j.FailureCount(jetstream.Disconnected) == 0 {
		t.Errorf("term %d, connected %v", j.Term(), j.Connected())
	}
	if err := c.restart(0); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, j, "")
	add(t, j, journal.Entry{Type: "0", Data: []byte("1")})
	awaitHead(t, j, 3)
	inOrder(t, j, 1, []int{2})
}

// leader returns which server leads a stream, -1 for none.
func (c *cluster) leader(t testing.TB, stream string) int {
	t.Helper()
	for i, s := range c.servers {
		if s.JetStreamIsStreamLeader("$G", stream) {
			return i
		}
	}
	return -1
}

func (c *cluster) awaitLeader(t testing.TB, stream string) {
	t.Helper()
	await(t, "the stream has a leader", func() bool { return c.leader(t, stream) >= 0 })
}

// kill ends a server and starts it again.
func (c *cluster) kill(t testing.TB, i int) {
	t.Helper()
	c.servers[i].Shutdown()
	c.servers[i].WaitForShutdown()
	if err := c.restart(i); err != nil {
		t.Fatal(err)
	}
}
