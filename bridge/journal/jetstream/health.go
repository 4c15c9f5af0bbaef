package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Failure is why entries on their way were lost, or may have been.
type Failure string

// The failures there are.
const (
	Disconnected Failure = "disconnected" // no connection to NATS
	Timeout      Failure = "timeout"      // no answer, so that nobody knows
	Refused      Failure = "refused"      // the server said no: its disk is full, for one
	StreamLost   Failure = "stream_lost"  // the stream is not the journal's any more
)

// Failures are all of them.
var Failures = []Failure{Disconnected, Timeout, Refused, StreamLost}

// health is what the journal knows of its stream.
type health struct {
	log     *slog.Logger
	checks  chan struct{} // asks for a look at the stream
	changed chan struct{} // tells that ready may say something else
	mu      sync.Mutex
	away    error // why there is no connection
	silent  error // why the stream does not answer
	failing error // why the last entries were not stored
	gone    error // why this will not end
	fails   int   // how many times in a row entries were not stored
	here    bool  // the server is in this process
	stuck   bool  // only what it stores shows that it does: after a full disk it looks well, and is not
	missed  int   // how many times in a row the stream was not found
	shown   bool  // the log says that the journal is unavailable
	counts  map[Failure]uint64
}

func newHealth(log *slog.Logger, here bool) *health {
	return &health{
		log: log, here: here, checks: make(chan struct{}, 1), changed: make(chan struct{}, 1), counts: make(map[Failure]uint64),
	}
}

// Ready returns nil, or why nothing can be stored at the moment.
func (j *Journal) Ready() error { return j.health.ready() }

// Changed returns a channel that gets something whenever Ready has begun or ceased to return nil. It is for one
// receiver.
func (j *Journal) Changed() <-chan struct{} { return j.health.changed }

// Connected reports whether there is a connection to NATS.
func (j *Journal) Connected() bool { return j.nc.IsConnected() }

// FailureCount returns how many times entries on their way failed for a reason.
func (j *Journal) FailureCount(f Failure) uint64 {
	j.health.mu.Lock()
	defer j.health.mu.Unlock()
	return j.health.counts[f]
}

func (h *health) ready() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reason()
}

// reason returns the gravest of what is wrong. The lock is held.
func (h *health) reason() error {
	for _, err := range []error{h.gone, h.away, h.silent, h.failing} {
		if err != nil {
			return err
		}
	}
	return nil
}

// change runs f under the lock and logs what came of it, once for each change.
func (h *health) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was, before := h.gone, h.reason()
	f()
	reason := h.reason()
	switch {
	case h.gone != nil && was == nil:
		h.log.Error("the journal has lost its stream", "err", h.gone)
	case reason != nil && !h.shown:
		h.log.Warn("the journal is unavailable", "err", reason)
	case reason == nil && h.shown:
		h.log.Info("the journal is available again")
	}
	if h.shown = reason != nil; h.shown == (before == nil) {
		wake(h.changed)
	}
}

// broken returns why nothing will ever be stored again, or nil.
func (h *health) broken() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.gone
}

func (h *health) breakDown(err error) {
	h.change(func() {
		if h.gone == nil {
			h.gone = err
		}
	})
}

// silence makes what comes go unlogged: that the journal ends the connection is not news.
func (h *health) silence() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log = slog.New(slog.DiscardHandler)
}

// check asks for a look at the stream.
func (h *health) check() { wake(h.checks) }

// published takes note of what became of a group.
func (h *health) published(err error) {
	if err == nil {
		h.mu.Lock()
		fine := h.failing == nil && h.silent == nil
		h.fails = 0
		h.mu.Unlock()
		if !fine {
			h.change(func() { h.failing, h.silent, h.stuck = nil, nil, false })
		}
		return
	}
	h.change(func() {
		h.counts[h.failure(err)]++
		h.failing = fmt.Errorf("the last notifications could not be stored: %w", err)
		if h.stuck = h.here && errors.Is(err, errTimeout); h.stuck {
			h.failing = fmt.Errorf("the server in this process stores nothing, and may have no room on its disk; make room and restart the bridge: %w", err)
		}
		h.fails++
	})
	h.check()
}

// failure is how err is counted. The lock is held.
func (h *health) failure(err error) Failure {
	switch {
	case h.gone != nil:
		return StreamLost
	case h.away != nil || errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrConnectionClosed):
		return Disconnected
	case errors.Is(err, errTimeout):
		return Timeout
	}
	return Refused
}

// watch looks at the stream whenever it is asked to, and again until all is well or cannot become so.
func (j *Journal) watch(ctx context.Context) {
	for {
		select {
		case <-j.health.checks:
		case <-ctx.Done():
			return
		}
		for !j.inspect(ctx) {
			select {
			case <-time.After(j.health.patience()):
			case <-ctx.Done():
				return
			}
		}
	}
}

// deleted is how many looks in a row must not find the stream: a new leader of the cluster may not know all streams
// yet.
const deleted = 4

// miss takes note that the stream was not found, and reports whether it is gone.
func (h *health) miss() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.missed++
	return h.missed == deleted
}

// patience is how long to wait before the next look. It grows while the stream looks well and yet stores nothing.
func (h *health) patience() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.missed > 0 {
		return heartbeat
	}
	return min(500*time.Millisecond<<min(h.fails, 10), 5*time.Second)
}

// inspect looks at the stream and reports whether there is nothing to wait for.
func (j *Journal) inspect(ctx context.Context) bool {
	h := j.health
	if !j.nc.IsConnected() || h.broken() != nil {
		return true // a new connection asks for a look
	}
	asking, cancel := context.WithTimeout(ctx, j.config.AckTimeout)
	defer cancel()
	stream, err := j.js.Stream(asking, j.config.Stream)
	if ctx.Err() != nil {
		return true
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if h.miss() {
			h.breakDown(fmt.Errorf("the stream %s was deleted; restart the bridge, which creates another", j.config.Stream))
			return true
		}
		h.change(func() { h.silent = fmt.Errorf("the stream %s is not there", j.config.Stream) })
		return false
	}
	if err != nil {
		h.change(func() { h.silent = fmt.Errorf("JetStream does not answer: %w", err) })
		return false
	}
	have := stream.CachedInfo().Config
	expected := j.config
	expected.Replicas = have.Replicas // an operator may add servers at any time
	if epoch, err := expected.fits(have); err != nil {
		h.breakDown(fmt.Errorf("the stream %s was changed: %w; restart the bridge when it is as it was", j.config.Stream, err))
		return true
	} else if epoch != j.epoch {
		h.breakDown(fmt.Errorf("the stream %s was replaced by another; restart the bridge", j.config.Stream))
		return true
	}
	h.change(func() { h.silent, h.missed = nil, 0 })
	h.mu.Lock()
	failing, stuck := h.failing != nil, h.stuck
	h.mu.Unlock()
	if !failing || stuck {
		return true
	}
	if !j.wouldStore(asking) {
		return false
	}
	h.change(func() { h.failing = nil })
	return true
}

// wouldStore asks the stream whether it would store a message, with one that it refuses for its form after it has seen
// to its limits: readiness may be what keeps publishers away, so that none would ever find out.
func (j *Journal) wouldStore(ctx context.Context) bool {
	m := nats.NewMsg(j.prefix + "probe")
	batchHeaders(m, "probe", 0, 0)
	m.Header.Set(headerBatchCommit, "no")
	answer, err := j.nc.RequestMsgWithContext(ctx, m)
	if err != nil {
		return false
	}
	_, err = parseAck(answer)
	return refusedWith(err, codeInvalidCommit)
}
