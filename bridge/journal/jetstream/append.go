package jetstream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/rotki/notification-bridge/bridge/journal"
)

const (
	// maxBatch is how many entries go into a batch at the most, which is as much as JetStream takes; maxPipelined how many
	// are sent together to a server that is alone.
	maxBatch     = 1000
	maxPipelined = 500
	// maxGroupBytes bounds either in bytes, unless one alone is larger.
	maxGroupBytes = 2 << 20
	// maxAhead is how many groups more may be on their way to the server in this process, maxAheadElsewhere to one that is
	// alone, but may have other bridges. JetStream drops what comes while 10,000 messages wait for it.
	maxAhead          = 6
	maxAheadElsewhere = 1
)

// group is entries that are published together. While one is on its way, the next fills.
type group struct {
	entries []outgoing
	most    int // entries that it takes
	term    uint64
	bytes   int
	taken   chan struct{} // closed when it fills no more
	done    chan struct{} // closed when every entry's receipt or err is set
	err     error         // what became of the entries without a receipt
}

// outgoing is an entry on its way.
type outgoing struct {
	message     *nats.Msg
	subscribers uint32
	receipt     journal.Receipt // its Seq is 0 until the entry is stored
}

func newGroup(most int, term uint64) *group {
	return &group{most: most, term: term, taken: make(chan struct{}), done: make(chan struct{})}
}

func (g *group) takes(size int) bool {
	return len(g.entries) == 0 || len(g.entries) < g.most && g.bytes+size <= maxGroupBytes
}

// pending is an entry of a group.
type pending struct {
	group *group
	index int
}

// Settled implements journal.Pending.
func (p *pending) Settled() bool {
	select {
	case <-p.group.done:
		return true
	default:
		return false
	}
}

// Wait implements journal.Pending.
func (p *pending) Wait(ctx context.Context) (journal.Receipt, error) {
	select {
	case <-p.group.done:
	default:
		select {
		case <-p.group.done:
		case <-ctx.Done():
			return journal.Receipt{}, context.Cause(ctx)
		}
	}
	if receipt := p.group.entries[p.index].receipt; receipt.Position.Seq != 0 {
		return receipt, nil
	}
	return journal.Receipt{}, p.group.err
}

// Append implements journal.Journal. It waits only while a whole group is on its way and the next is full.
func (j *Journal) Append(ctx context.Context, e journal.Entry) (journal.Pending, error) {
	message, size, err := j.encode(&e)
	if err != nil {
		return nil, err
	}
	for {
		p, full, err := j.enqueue(outgoing{message: message, subscribers: e.Subscribers}, size, e.Term)
		if err != nil {
			return nil, err
		}
		if p != nil {
			return p, nil
		}
		select {
		case <-full:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// enqueue adds an entry to the group that fills. When it is full, it returns a channel that closes when another fills.
func (j *Journal) enqueue(o outgoing, size int, term uint64) (p *pending, full <-chan struct{}, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.sealed:
		return nil, nil, journal.ErrClosed
	case term != 0 && term != j.term:
		return nil, nil, journal.ErrTermOver
	case !j.filling.takes(size):
		return nil, j.filling.taken, nil
	}
	j.filling.entries = append(j.filling.entries, o)
	j.filling.bytes += size
	if len(j.filling.entries) == 1 {
		wake(j.work)
	}
	return &pending{j.filling, len(j.filling.entries) - 1}, nil, nil
}

// Term implements journal.Journal. It begins with 1.
func (j *Journal) Term() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.term
}

// publishAll publishes one group after the other, until the journal is sealed and nothing is left.
func (j *Journal) publishAll(ctx context.Context) {
	for g := range j.groups() {
		err := j.health.broken()
		if err == nil {
			err = j.publishBatches(ctx, g.entries)
		}
		j.finish(g, err)
	}
}

// publishAhead is publishAll for a server that is alone: it does not wait for one group's acknowledgement before it
// sends the next, up to a number of them.
func (j *Journal) publishAhead(ctx context.Context, ahead int) {
	type sent struct {
		group  *group
		flight *flight
	}
	under := make(chan sent, ahead)
	var settling sync.WaitGroup
	settling.Go(func() {
		for s := range under {
			j.finish(s.group, j.settlePipelined(ctx, s.flight, s.group.entries))
		}
	})
	for g := range j.groups() {
		under <- sent{g, j.sendPipelined(g)}
	}
	close(under)
	settling.Wait()
}

// groups yields each group that has something in it, until the journal is sealed and nothing is left.
func (j *Journal) groups() iter.Seq[*group] {
	return func(yield func(*group) bool) {
		for range j.work {
			g, more := j.take()
			if len(g.entries) > 0 && !yield(g) || !more {
				return
			}
		}
	}
}

// finish tells those who wait for a group what became of it.
func (j *Journal) finish(g *group, err error) {
	j.acknowledge()
	j.health.published(err)
	if err != nil {
		j.fail(g, err)
	}
	close(g.done)
}

// take returns the group that has filled, and whether another may follow.
func (j *Journal) take() (g *group, more bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	g = j.filling
	j.filling = newGroup(j.filling.most, j.term)
	close(g.taken)
	return g, !j.sealed
}

// fail begins another term, in which nothing of the one before is on its way: neither what is left of the group nor
// what was to follow it. Under one lock, so that no entry of the old term comes after it.
func (j *Journal) fail(g *group, err error) {
	if !errors.Is(err, journal.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", journal.ErrUnavailable, err)
	}
	j.mu.Lock()
	j.term++
	next := j.filling
	j.filling = newGroup(j.filling.most, j.term)
	j.mu.Unlock()
	j.acks.failAll(err)
	g.err, next.err = err, err
	close(next.taken)
	close(next.done)
}

// Seal makes every later Append fail with journal.ErrClosed. What was appended is still stored, and the journal still
// follows its stream.
func (j *Journal) Seal() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sealed = true
	wake(j.work)
}

func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
