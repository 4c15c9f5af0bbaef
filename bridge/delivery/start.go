package delivery

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/rotki/notification-bridge/bridge/journal"
)

// now is where a subscriber begins that gets only what is appended from now on.
const now = math.MaxUint64

// catchUpTime is how long this bridge may take to get to know what a client has got from another.
const catchUpTime = time.Second

// goneError: the journal no longer has what follows a position, or never had.
type goneError struct {
	after    journal.Position
	earliest journal.Position
}

func (e *goneError) Error() string {
	return fmt.Sprintf("since: what follows %v is no longer held, so that something is lost; the earliest that is held is %v: connect with since=%v for all from there on",
		e.after, e.earliest, journal.Position{Epoch: e.earliest.Epoch, Seq: e.earliest.Seq - 1})
}

// locate returns the cursor with which a client begins. The error is a *goneError, or says that the journal cannot be
// asked now.
func (e *Engine) locate(ctx context.Context, s *since) (uint64, error) {
	log := e.config.Log
	switch {
	case s == nil || s.now:
		return now, nil
	case s.earliest:
		return log.Since(ctx, time.Time{})
	case s.age > 0:
		return log.Since(ctx, time.Now().Add(-s.age))
	}
	from := s.after.Seq + 1
	if oldest, next := log.Bounds(); s.after.Epoch == log.Epoch() && from >= oldest && (from <= next || e.comes(ctx, s.after.Seq)) {
		return from, nil
	}
	earliest, err := log.Since(ctx, time.Time{})
	if err != nil {
		return 0, err
	}
	gone := func(earliest uint64) error {
		return &goneError{after: s.after, earliest: journal.Position{Epoch: log.Epoch(), Seq: earliest}}
	}
	if _, next := log.Bounds(); s.after.Epoch != log.Epoch() || from < earliest || from > next {
		return 0, gone(earliest)
	}
	// There may be a hole in what is stored.
	if _, err := log.Recall(ctx, from, make([]*journal.Record, 1)); errors.Is(err, journal.ErrLost) {
		return 0, gone(max(earliest, nextOf(err)))
	} else if err != nil {
		return 0, err
	}
	return from, nil
}

// comes waits for a record that this bridge may be a moment late to get, and reports whether it has come.
func (e *Engine) comes(ctx context.Context, seq uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, catchUpTime)
	defer cancel()
	moved := make(chan struct{}, 1)
	defer e.config.Log.Notify(moved)()
	for {
		if _, next := e.config.Log.Bounds(); seq < next {
			return true
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}

// held returns a session's cursor, or the earliest that is held where that is later: what lies between is lost.
func (e *Engine) held(ctx context.Context, from uint64) (uint64, error) {
	if oldest, _ := e.config.Log.Bounds(); from >= oldest {
		return from, nil
	}
	earliest, err := e.config.Log.Since(ctx, time.Time{})
	return max(from, earliest), err
}
