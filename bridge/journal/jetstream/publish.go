package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rotki/notification-bridge/bridge/journal"
)

const (
	headerBatchID       = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"

	firstRetry = 5 * time.Millisecond
	lastRetry  = 250 * time.Millisecond
)

// errGoneBack: the stream gave out a sequence number for the second time.
var errGoneBack = errors.New("the stream has lost notifications that it had acknowledged, or was restored from a backup; restart the bridge")

// sendPipelined sends entries one behind the other. One connection leads to the one server that stores them, so that
// they arrive in order; and a server that cannot store one will not store the next. Atomic batches would be surer
// still, but a server that is alone writes them to its disk twice, and gets little more than half as many of them
// done.
func (j *Journal) sendPipelined(g *group) *flight {
	flight := j.acks.begin(len(g.entries))
	err := j.health.broken()
	if err == nil && g.term != j.Term() {
		err = journal.ErrTermOver // what was to come before them has failed
	}
	if err != nil {
		flight.fail(err)
		return flight
	}
	for i := range g.entries {
		if flight.over() {
			break // one before it may be lost with its connection, and there may be another connection
		}
		message := g.entries[i].message
		message.Reply = flight.reply(i)
		if err := j.nc.PublishMsg(message); err != nil {
			flight.fail(err)
			break
		}
	}
	return flight
}

// settlePipelined waits for the acks. The error is what became of the entries that have no receipt then.
func (j *Journal) settlePipelined(ctx context.Context, f *flight, entries []outgoing) error {
	err := j.await(ctx, f)
	for i, a := range f.acks {
		if a.seq != 0 {
			if err := j.settle(ctx, &entries[i], a); err != nil {
				return err
			}
		}
	}
	return err
}

// publishBatches sends the entries in atomic batches, of which each is stored as a whole or not at all: when the
// stream's leader changes in the middle, none gets in front of one that was lost. The error is what became of the
// entries that have no receipt then. JetStream refuses a batch with a duplicate in it; so the entries there go one by
// one, then two by two and so on.
func (j *Journal) publishBatches(ctx context.Context, entries []outgoing) error {
	size := len(entries)
	for len(entries) > 0 {
		size = min(size, len(entries))
		a, err := j.store(ctx, entries[:size])
		if refusedWith(err, codeDuplicateInBatch) && size > 1 {
			size = 1
			continue
		}
		if err != nil {
			return err
		}
		first := a.seq - uint64(size-1)
		for i := range size {
			if err := j.settle(ctx, &entries[i], ack{seq: first + uint64(i), duplicate: a.duplicate}); err != nil {
				return err
			}
		}
		entries = entries[size:]
		size *= 2
		if a.duplicate {
			size = 1 // retries come in rows
		}
	}
	return nil
}

// store sends entries as a batch, and again as long as it is certain that it was not stored: while the stream has no
// leader, for one. It returns the ack of the last.
func (j *Journal) store(ctx context.Context, entries []outgoing) (ack, error) {
	ctx, cancel := context.WithTimeout(ctx, j.config.AckTimeout)
	defer cancel()
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		a, err := j.send(ctx, entries)
		if !notStored(err) {
			return a, err
		}
		j.health.check() // it may be that there is no stream any more
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ack{}, err
		}
		if broken := j.health.broken(); broken != nil {
			return ack{}, broken
		}
	}
}

// send sends entries once, as a batch if they are several.
func (j *Journal) send(ctx context.Context, entries []outgoing) (ack, error) {
	flight := j.acks.begin(1)
	last := len(entries) - 1
	for i := range entries {
		message := entries[i].message
		message.Reply = ""
		if last > 0 {
			batchHeaders(message, flight.id(), i, last)
		} else if message.Header != nil {
			noBatchHeaders(message)
		}
		if i == last {
			message.Reply = flight.reply(0)
		}
		if err := j.nc.PublishMsg(message); err != nil {
			flight.fail(err)
			break
		}
	}
	if err := j.await(ctx, flight); err != nil {
		return ack{}, err
	}
	a := flight.acks[0]
	if last > 0 && a.count != len(entries) {
		return ack{}, fmt.Errorf("a batch of %d was acknowledged as one of %d", len(entries), a.count)
	}
	return a, nil
}

func batchHeaders(m *nats.Msg, id string, i, last int) {
	if m.Header == nil {
		m.Header = make(nats.Header, 3)
	}
	m.Header[headerBatchID] = []string{id}
	m.Header[headerBatchSequence] = []string{strconv.Itoa(i + 1)}
	if i == last {
		m.Header[headerBatchCommit] = []string{"1"}
	} else {
		delete(m.Header, headerBatchCommit)
	}
}

func noBatchHeaders(m *nats.Msg) {
	delete(m.Header, headerBatchID)
	delete(m.Header, headerBatchSequence)
	delete(m.Header, headerBatchCommit)
}

// settle sets an entry's receipt.
func (j *Journal) settle(ctx context.Context, o *outgoing, a ack) error {
	receipt := journal.Receipt{
		Position: journal.Position{Epoch: j.epoch, Seq: a.seq}, Subscribers: o.subscribers, Duplicate: a.duplicate,
	}
	if a.duplicate {
		receipt.Subscribers = j.subscribersOf(ctx, a.seq)
	} else {
		if a.seq <= j.newest {
			j.health.breakDown(errGoneBack)
			return errGoneBack
		}
		j.newest = a.seq
	}
	o.receipt = receipt
	return nil
}

// subscribersOf returns the number that was stored with an entry, 0 when it is not stored any more.
func (j *Journal) subscribersOf(ctx context.Context, seq uint64) uint32 {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if !j.follow(ctx, seq+1) {
		return 0
	}
	records := make([]*journal.Record, 1)
	if n, err := j.Recall(ctx, seq, records); err != nil || n == 0 {
		return 0
	}
	return records[0].Subscribers
}

// follow waits until the window has got to a sequence number, and reports whether it has.
func (j *Journal) follow(ctx context.Context, next uint64) bool {
	moved := make(chan struct{}, 1)
	defer j.Notify(moved)()
	for {
		if _, at := j.Bounds(); at >= next {
			return true
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}
