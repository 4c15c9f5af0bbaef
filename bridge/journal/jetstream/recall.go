package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rotki/notification-bridge/bridge/journal"
)

const (
	// maxFetch and maxFetchBytes bound what is fetched from the stream at once.
	maxFetch      = 512
	maxFetchBytes = 4 << 20
	fetchRetry    = 20 * time.Millisecond
)

// errNotThere: the server that was asked has no such message, or not yet.
var errNotThere = errors.New("no such message")

// Recall implements journal.Journal. What is not at hand comes from whichever server of the stream answers first, on a
// way of its own, so that the tail is not held up.
func (j *Journal) Recall(ctx context.Context, from uint64, into []*journal.Record) (int, error) {
	for {
		n, err := j.Read(from, into)
		if !errors.Is(err, journal.ErrLost) || len(into) == 0 {
			return n, err
		}
		batch := min(len(into), maxFetch)
		n, err = j.fetch(ctx, question{Seq: max(from, 1), Batch: batch, MaxBytes: maxFetchBytes}, into[:batch])
		switch {
		case err == nil && into[0].Seq == from:
			return n, nil
		case err == nil:
			return 0, &journal.LostError{Next: into[0].Seq}
		case !errors.Is(err, errNotThere):
			return 0, fmt.Errorf("%w: fetch from the stream: %w", journal.ErrUnavailable, err)
		}
		// Either nothing is left of the stream, or a replica answered that has not got so far.
		stream, err := j.js.Stream(ctx, j.config.Stream)
		if err != nil {
			return 0, fmt.Errorf("%w: look at the stream: %w", journal.ErrUnavailable, err)
		}
		if from < stream.CachedInfo().State.FirstSeq {
			return 0, journal.ErrLost
		}
		select {
		case <-time.After(fetchRetry):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// Since implements journal.Journal. It goes by the time at which the stream's leader stored a notification.
func (j *Journal) Since(ctx context.Context, t time.Time) (uint64, error) {
	oldest, next := j.Bounds()
	first := make([]*journal.Record, 1)
	if oldest != next && !t.IsZero() {
		if n, err := j.Read(oldest, first); err == nil && n == 1 && first[0].Time.Before(t) {
			return j.Window.Since(t), nil
		}
	}
	q := question{Seq: 1, Batch: 1}
	if !t.IsZero() {
		q = question{StartTime: &t, Batch: 1}
	}
	_, err := j.fetch(ctx, q, first)
	switch {
	case err == nil:
		return first[0].Seq, nil
	case errors.Is(err, errNotThere):
		return j.Window.Since(t), nil
	}
	return 0, fmt.Errorf("%w: look into the stream: %w", journal.ErrUnavailable, err)
}

// question is what JetStream's direct get is asked.
type question struct {
	Seq       uint64     `json:"seq,omitempty"`
	StartTime *time.Time `json:"start_time,omitempty"`
	Batch     int        `json:"batch"`
	MaxBytes  int        `json:"max_bytes,omitempty"`
}

// fetch fills into with consecutive records from the stream, and returns at least one or an error.
func (j *Journal) fetch(ctx context.Context, q question, into []*journal.Record) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, j.config.AckTimeout)
	defer cancel()
	text, err := json.Marshal(q)
	if err != nil {
		return 0, err
	}
	inbox := nats.NewInbox()
	sub, err := j.nc.SubscribeSync(inbox)
	if err != nil {
		return 0, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := j.nc.PublishRequest("$JS.API.DIRECT.GET."+j.config.Stream, inbox, text); err != nil {
		return 0, err
	}
	for n := range into {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return 0, err
		}
		r, err := fetched(m)
		if err == nil && n > 0 && r.Seq != into[n-1].Seq+1 {
			return n, nil
		}
		if errors.Is(err, errNotThere) && n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		into[n] = r
	}
	return len(into), nil
}

// fetched makes a record of an answer. The error is errNotThere when it says that there is none, or no more.
func fetched(m *nats.Msg) (*journal.Record, error) {
	switch status := m.Header.Get("Status"); status {
	case "":
	case "204", "404":
		return nil, errNotThere
	case "503":
		return nil, nats.ErrNoResponders
	default:
		return nil, fmt.Errorf("JetStream says %s %s", status, m.Header.Get("Description"))
	}
	seq, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("an answer without a sequence number: %w", err)
	}
	stored, err := time.Parse(time.RFC3339Nano, m.Header.Get("Nats-Time-Stamp"))
	if err != nil {
		return nil, fmt.Errorf("an answer without a time: %w", err)
	}
	return decode(m.Header.Get("Nats-Subject"), m.Header, m.Data, seq, stored), nil
}
