package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// defaultPresence is how long a bridge is taken to be there after it last said so.
	defaultPresence = 10 * time.Second
	// askRound is how long an answer may take before the question is put again: what carried it may have been lost.
	askRound = 2 * time.Second
	// askPause is how long a bridge that cannot be reached is left alone.
	askPause = 200 * time.Millisecond
	// requestBuffer is how many requests may wait at a bridge. More are dropped, and put again by who asks.
	requestBuffer = 256
)

// BusConfig says who is on a bus. Name must be set; the zero value of the rest is its default.
type BusConfig struct {
	// Name is the bridge's, which no other bridge of the stream may have: letters, digits, - and _.
	Name string
	// Presence is how long a bridge is taken to be there after it last said so, which it does three times as often;
	// 10 s by default. The longest that any bridge of a stream has asked for holds for all.
	Presence time.Duration
}

// Bus lets the bridges of a stream ask each other. Who is there is in a key-value bucket beside the stream; questions
// and answers go past the stream, under the subjects _rotki.<stream>.control.<bridge>.
//
// A bridge that cannot say that it is there is overlooked by the others in the end: it has lapsed. It knows before they
// do. It is safe for concurrent use.
type Bus struct {
	config  BusConfig
	bucket  bucket
	js      jetstream.JetStream
	log     *slog.Logger
	subject string // of requests, up to the bridge's name
	lease   atomic.Pointer[time.Time]
}

// Bus returns the stream's bus. The bridge is on it while Serve runs.
func (j *Journal) Bus(ctx context.Context, config BusConfig) (*Bus, error) {
	if config.Presence == 0 {
		config.Presence = defaultPresence
	}
	if !isBridgeName(config.Name) {
		return nil, fmt.Errorf("%q cannot be the name of a bridge; use letters, digits, - and _", config.Name)
	}
	b, err := j.bucket(ctx, jetstream.KeyValueConfig{
		Bucket:      j.config.Stream + "-bridges",
		Description: "Which of rotki's bridges are there",
		TTL:         config.Presence,
	})
	if err != nil {
		return nil, err
	}
	return &Bus{
		config: config, bucket: b, js: j.js, log: j.config.Logger, subject: "_rotki." + j.config.Stream + ".control.",
	}, nil
}

func isBridgeName(name string) bool {
	for _, r := range name {
		if r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return name != "" && len(name) <= 64
}

// Lapsed reports whether others may overlook this bridge: it has not come to be there yet, or could not say for too
// long that it is.
func (b *Bus) Lapsed() bool { return past(b.lease.Load()) }

// past reports whether a lease has ended, by either clock: the monotonic one stands still while the machine sleeps, and
// the other may be set back.
func past(lease *time.Time) bool {
	if lease == nil {
		return true
	}
	now := time.Now()
	return !now.Before(*lease) || !now.Round(0).Before(lease.Round(0))
}

// Serve answers others' requests with handle, one after the other, until ctx is done; then it says that the bridge is
// gone, and returns nil. Whoever has subscribers must therefore serve until it has none.
//
// lapsed is called with false once the bridge is there, with true when others may begin to overlook it, and with false
// when they no longer do; what was asked meanwhile was not asked of this bridge. It must not block; nil for none.
func (b *Bus) Serve(
	ctx context.Context, handle func(ctx context.Context, request []byte) []byte, lapsed func(bool),
) error {
	requests := make(chan *nats.Msg, requestBuffer)
	sub, err := b.bucket.nc.ChanSubscribe(b.subject+b.config.Name, requests)
	if err != nil {
		return fmt.Errorf("listen for what other bridges ask: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if lapsed == nil {
		lapsed = func(bool) {}
	}
	var present sync.WaitGroup
	defer present.Wait()
	present.Go(func() { b.present(ctx, lapsed) })
	for {
		select {
		case m := <-requests:
			if err := m.Respond(handle(ctx, m.Data)); err != nil {
				b.log.Warn("another bridge could not be answered", "err", err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// present says that the bridge is there until ctx is done, and then that it is not.
func (b *Bus) present(ctx context.Context, lapsed func(bool)) {
	connected := b.bucket.nc.StatusChanged(nats.CONNECTED)
	defer b.bucket.nc.RemoveStatusListener(connected)
	defer b.depart(ctx)
	gone := true
	look := func(lease *time.Time) {
		if !gone && past(lease) {
			gone = true
			lapsed(true)
		}
	}
	for ctx.Err() == nil {
		pause := retryWait
		look(b.lease.Load()) // it may have stood still, and that it can say so again makes up for nothing
		until, err := b.renew(ctx)
		look(b.lease.Load())
		if err == nil {
			pause = b.config.Presence / 3
			look(b.lease.Swap(&until)) // who asked Lapsed just when it ended waits to be told
			if gone && !b.Lapsed() {
				gone = false
				lapsed(false)
			}
		} else if ctx.Err() == nil {
			b.log.Debug("the bridge cannot say that it is there", "err", err)
		}
		if !gone {
			pause = min(pause, time.Until(*b.lease.Load()))
		}
		select {
		case <-time.After(pause):
		case <-connected:
		case <-ctx.Done():
		}
	}
}

// renew says that the bridge is there, and returns until when it will not be overlooked.
func (b *Bus) renew(ctx context.Context) (until time.Time, err error) {
	begun := time.Now()
	limit := begun.Add(2 * time.Second)
	if until := b.lease.Load(); !past(until) && until.Before(limit) {
		limit = *until // that it has lapsed must be known in time
	}
	ctx, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	_, err = b.bucket.kv.Put(ctx, b.config.Name, nil)
	return begun.Add(b.config.Presence - b.config.Presence/10), err
}

// depart says that the bridge is gone.
func (b *Bus) depart(ctx context.Context) {
	b.lease.Store(nil)
	if !b.bucket.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	entries, err := b.entries(ctx)
	if err == nil { // to delete the key would leave a mark under it, and a name is all that others look for
		err = entries.Purge(ctx, jetstream.WithPurgeSubject(b.entry(b.config.Name)))
	}
	if err != nil {
		b.log.Debug("the bridge cannot say that it is gone", "err", err)
	}
}

// Ask asks every other bridge that is there, and returns their answers by their names once there is one of each; one
// that ceases to be there meanwhile need not answer. When ctx is done before that, silent names those that have not
// answered. A bridge may get the request more than once. The error says that nobody knows who is there.
//
// What a bridge that comes to be there later must know, it has to find elsewhere: see Serve.
func (b *Bus) Ask(ctx context.Context, request []byte) (answers map[string][]byte, silent []string, err error) {
	answers = make(map[string][]byte)
	known := false
	for {
		there, unknown := b.others(ctx)
		if unknown == nil {
			known = true
			silent = slices.DeleteFunc(there, func(name string) bool { return answers[name] != nil })
			if len(silent) > 0 {
				maps.Copy(answers, b.askEach(ctx, silent, request))
				silent = slices.DeleteFunc(silent, func(name string) bool { return answers[name] != nil })
			}
			if len(silent) == 0 {
				return answers, nil, nil
			}
		}
		select {
		case <-time.After(askPause):
		case <-ctx.Done():
			if !known {
				return answers, nil, fmt.Errorf("find out which other bridges there are: %w", unknown)
			}
			return answers, silent, nil
		}
	}
}

// others returns the names of those that are there, in order: all that were when it was called. The bucket's leader
// tells them at once: who reads them one by one can miss one that says so again meanwhile, and moves to the end.
func (b *Bus) others(ctx context.Context) ([]string, error) {
	floor, err := b.bucket.kv.Put(ctx, soundings, nil)
	if err != nil {
		return nil, err
	}
	entries, err := b.entries(ctx)
	if err != nil {
		return nil, err
	}
	info, err := entries.Info(ctx, jetstream.WithSubjectFilter(b.entry(">")))
	if err != nil {
		return nil, err
	}
	if info.State.LastSeq < floor {
		return nil, errors.New("a server answers that led the bucket before, and does not know everything")
	}
	var names []string
	for subject := range info.State.Subjects {
		if name := strings.TrimPrefix(subject, b.entry("")); name != soundings && name != b.config.Name {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// entries returns the bucket as the stream that it is.
func (b *Bus) entries(ctx context.Context) (jetstream.Stream, error) {
	return b.js.Stream(ctx, "KV_"+b.bucket.kv.Bucket())
}

// entry returns the subject of a key there.
func (b *Bus) entry(key string) string { return "$KV." + b.bucket.kv.Bucket() + "." + key }

// askEach asks bridges once, all at the same time.
func (b *Bus) askEach(ctx context.Context, names []string, request []byte) map[string][]byte {
	ctx, cancel := context.WithTimeout(ctx, askRound)
	defer cancel()
	var (
		mu      sync.Mutex
		answers = make(map[string][]byte)
		asking  sync.WaitGroup
	)
	for _, name := range names {
		asking.Go(func() {
			m, err := b.bucket.nc.RequestWithContext(ctx, b.subject+name, request)
			if err != nil {
				b.log.Debug("another bridge does not answer", "bridge", name, "err", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			answers[name] = append([]byte{}, m.Data...) // never nil
		})
	}
	asking.Wait()
	return answers
}
