// Package jetstream keeps the journal in a NATS JetStream: in a cluster that runs elsewhere, or in a server in this
// process. What it has acknowledged survives the process, and any number of bridges share one stream.
//
// Positions are the stream's sequence numbers, and their epoch is in the stream's metadata. Each journal follows the
// stream into its own window, so that reads cost the stream nothing; what the window does not hold any more is fetched
// when it is asked for.
//
// # Concurrency
//
// A Journal is safe for concurrent use. Its goroutines are one that publishes, one that follows the stream, one that
// looks after the stream when something is wrong, and those of the connection. Close ends them all.
package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rotki/notification-bridge/bridge/journal"
)

// Journal is a journal.Journal that is kept in a stream.
type Journal struct {
	*journal.Window

	config Config
	nc     *nats.Conn
	js     jetstream.JetStream
	epoch  uint64
	prefix string // of the stream's subjects
	acks   acks
	health *health
	moved  chan struct{} // tells the tail that the connection is another
	mark   *mark         // nil without a store of its own
	idle   chan struct{} // tells that the tail has all there is
	newest uint64        // sequence number that was acknowledged last; the publishing goroutine's

	work    chan struct{} // tells it that a group fills, or that none will
	mu      sync.Mutex
	term    uint64
	sealed  bool
	filling *group

	publishing sync.WaitGroup
	running    sync.WaitGroup
	abandon    context.CancelFunc // gives up what is on its way
	stop       context.CancelFunc
	closing    sync.Once
	closed     error
}

var _ journal.Journal = (*Journal)(nil)

// Open returns the journal that a stream holds, and creates the stream if there is none. It waits for NATS as long as
// the configuration says, and then until the window has what the stream has for it. The error says what is wrong
// where, and what to do. A server in the configuration is the journal's from then on: Open shuts it down when it
// fails.
func Open(ctx context.Context, config Config) (*Journal, error) {
	config = config.withDefaults()
	j := &Journal{
		config:  config,
		health:  newHealth(config.Logger, config.Server != nil),
		moved:   make(chan struct{}, 1),
		idle:    make(chan struct{}, 1),
		work:    make(chan struct{}, 1),
		term:    1,
		filling: newGroup(maxBatch, 1),
	}
	if err := j.open(ctx); err != nil {
		_ = j.Close(context.Background())
		return nil, err
	}
	return j, nil
}

func (j *Journal) open(ctx context.Context) error {
	if err := j.config.check(); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, j.config.ConnectTimeout)
	defer cancel()
	nc, err := j.config.connect(waiting, j.lost, j.back)
	if err != nil {
		return err
	}
	j.nc = nc
	if j.js, err = jetstream.New(nc); err != nil {
		return err
	}
	info, err := j.stream(waiting)
	if err != nil {
		return err
	}
	if info, err = j.verify(waiting, info); err != nil {
		return err
	}
	j.prefix = prefix(j.config.Stream, j.epoch)
	j.newest = info.State.LastSeq
	j.acks.flights = make(map[uint64]*flight)
	j.acks.inbox = nats.NewInbox() + "."
	if _, err := nc.Subscribe(j.acks.inbox+"*.*", j.acks.take); err != nil {
		return fmt.Errorf("listen for acknowledgements: %w", err)
	}
	j.Window = journal.NewWindow(j.config.Window, j.start(waiting, info.State))
	j.run()
	return j.catchUp(ctx, info.State)
}

func (j *Journal) run() {
	publishing, abandon := context.WithCancel(context.Background())
	running, stop := context.WithCancel(context.Background())
	j.abandon, j.stop = abandon, stop
	switch {
	case j.config.Server != nil:
		j.filling.most = maxPipelined
		j.publishing.Go(func() { j.publishAhead(publishing, maxAhead) })
	case j.config.Replicas == 1 && j.nc.ConnectedClusterName() == "":
		j.filling.most = maxPipelined
		j.publishing.Go(func() { j.publishAhead(publishing, maxAheadElsewhere) })
	default:
		j.publishing.Go(func() { j.publishAll(publishing) })
	}
	j.running.Go(func() { j.tail(running) })
	j.running.Go(func() { j.watch(running) })
}

// stream opens the stream, as soon as JetStream is ready to.
func (j *Journal) stream(ctx context.Context) (*jetstream.StreamInfo, error) {
	for waiting := false; ; waiting = true {
		info, epoch, err := j.attempt(ctx)
		if err == nil {
			j.epoch = epoch
			return info, nil
		}
		if !isTransient(err) || ctx.Err() != nil {
			return nil, err
		}
		if !waiting {
			j.config.Logger.Warn("waiting for JetStream", "where", j.config.place(), "err", err)
		}
		select {
		case <-time.After(retryWait):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// attempt opens the stream once. A cluster without a leader would let it wait for ever.
func (j *Journal) attempt(ctx context.Context) (*jetstream.StreamInfo, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, min(j.config.AckTimeout, 2*time.Second))
	defer cancel()
	return j.config.openStream(ctx, j.js)
}

// start returns the sequence number with which the window is to begin: as much as fits of what the stream holds.
func (j *Journal) start(ctx context.Context, state jetstream.StreamState) uint64 {
	next := state.LastSeq + 1
	if state.Msgs == 0 {
		return next
	}
	records, age := j.config.Window.Room(int(state.Bytes / state.Msgs)) // what a message takes is about what its data take
	start := max(next-min(uint64(records), next), state.FirstSeq)
	begin, first := time.Now().Add(-age), make([]*journal.Record, 1)
	_, err := j.fetch(ctx, question{StartTime: &begin, Batch: 1}, first)
	switch {
	case err == nil:
		start = max(start, first[0].Seq)
	case errors.Is(err, errNotThere):
		start = next
	}
	return start
}

// catchUp waits until the window has all that the stream had when the journal was opened. That may be less than the
// stream numbers, if its store was damaged.
func (j *Journal) catchUp(ctx context.Context, state jetstream.StreamState) error {
	if whole := state.LastSeq + 1 - state.FirstSeq; state.Msgs > 0 && state.Msgs < whole {
		j.config.Logger.Error("notifications that were acknowledged are missing in the stream; its store was damaged, and its log says more",
			"stream", j.config.Stream, "from", state.FirstSeq, "to", state.LastSeq, "missing", whole-state.Msgs)
	}
	moved := make(chan struct{}, 1)
	defer j.Notify(moved)()
	begun := time.Now()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		_, at := j.Bounds()
		if at > state.LastSeq {
			return nil
		}
		select {
		case <-moved:
		case <-j.idle:
			return nil
		case <-tick.C:
			if err := j.health.broken(); err != nil {
				return fmt.Errorf("read the stream %s at %s: %w", j.config.Stream, j.config.place(), err)
			}
			j.config.Logger.Info("reading the stream", "at", at, "to", state.LastSeq, "for", time.Since(begun).Round(time.Second))
		case <-ctx.Done():
			return fmt.Errorf("read the stream %s at %s: %w", j.config.Stream, j.config.place(), context.Cause(ctx))
		}
	}
}

// lost is called when there is no connection any more.
func (j *Journal) lost(err error) {
	if err == nil {
		err = errors.New("the connection was closed")
	}
	err = fmt.Errorf("NATS at %s is away: %w", j.config.place(), err)
	j.health.change(func() { j.health.away = err })
	j.acks.failAll(err)
}

// back is called when there is another connection.
func (j *Journal) back() {
	j.health.change(func() { j.health.away = nil })
	j.health.check()
	wake(j.moved)
}

// Epoch implements journal.Journal.
func (j *Journal) Epoch() uint64 { return j.epoch }

// Close takes no more entries, waits for those on their way as long as ctx lets it, and ends everything: the tail, the
// connection, the server in this process. What is at hand can still be read. The error says that entries on their way
// were given up; whoever waits for them is told.
func (j *Journal) Close(ctx context.Context) error {
	j.closing.Do(func() { j.closed = j.close(ctx) })
	return j.closed
}

func (j *Journal) close(ctx context.Context) error {
	j.Seal()
	var err error
	if j.stop != nil {
		ended := make(chan struct{})
		go func() {
			j.publishing.Wait()
			close(ended)
		}()
		select {
		case <-ended:
		case <-ctx.Done():
			err = fmt.Errorf("notifications on their way to the journal were given up: %w", context.Cause(ctx))
			j.abandon()
			<-ended
		}
		j.abandon()
		j.stop()
		j.running.Wait()
	}
	if j.nc != nil {
		j.health.silence()
		j.nc.Close()
	}
	if j.mark != nil {
		_ = j.mark.file.Close()
	}
	if j.config.Server != nil {
		j.config.Server.stop()
	}
	return err
}
