package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// soundings is the key under which readers write before they read, where they must find all that was put before: a
// bucket of several servers may be read from one that lags, and what was put before the sounding is there once that is.
const soundings = "=sounding"

// bucket is a key-value bucket beside the stream, stored as the stream is.
type bucket struct {
	nc *nats.Conn
	kv jetstream.KeyValue
}

var errUnwatched = errors.New("the bucket can no longer be followed")

// bucket returns the bucket that a configuration names, and creates it if there is none. It waits for NATS as long as a
// start may.
func (j *Journal) bucket(ctx context.Context, config jetstream.KeyValueConfig) (bucket, error) {
	config.Replicas = j.config.Replicas
	config.Storage = j.config.wanted(0).Storage
	waiting, cancel := context.WithTimeout(ctx, j.config.ConnectTimeout)
	defer cancel()
	for {
		kv, err := j.openBucket(waiting, config)
		if err == nil {
			return bucket{j.nc, kv}, nil
		}
		if !isTransient(err) || waiting.Err() != nil {
			return bucket{}, fmt.Errorf("open the bucket %s at %s: %w", config.Bucket, j.config.place(), err)
		}
		select {
		case <-time.After(retryWait):
		case <-waiting.Done():
		}
	}
}

// openBucket returns a bucket that keeps keys long enough. Another bridge may want them for longer.
func (j *Journal) openBucket(ctx context.Context, config jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	ctx, cancel := context.WithTimeout(ctx, min(j.config.AckTimeout, 2*time.Second))
	defer cancel()
	kv, err := j.js.KeyValue(ctx, config.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return j.js.CreateOrUpdateKeyValue(ctx, config)
	}
	if err != nil {
		return nil, err
	}
	status, err := kv.Status(ctx)
	if err != nil || status.TTL() == 0 || status.TTL() >= config.TTL {
		return kv, err
	}
	return j.js.UpdateKeyValue(ctx, config)
}

// follow calls changed with every key that is set, then with nil, and then with every change, until changed returns an
// error, which it returns. After a lost connection it begins anew. sound writes a sounding and returns its revision:
// then whatever was put before follow was called comes before nil. It may be nil.
func (b bucket) follow(
	ctx context.Context, sound func() (uint64, error), changed func(jetstream.KeyValueEntry) error,
) error {
	connected := b.nc.StatusChanged(nats.CONNECTED)
	defer b.nc.RemoveStatusListener(connected)
	for {
		if err := b.followOnce(ctx, connected, sound, changed); !errors.Is(err, errMoved) {
			return err
		}
	}
}

// followOnce follows the bucket over one connection. The client would find out by itself that there is another, after a
// while.
func (b bucket) followOnce(
	ctx context.Context, connected <-chan nats.Status, sound func() (uint64, error),
	changed func(jetstream.KeyValueEntry) error,
) error {
	watcher, err := b.kv.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer func() {
		_ = watcher.Stop()
		for range watcher.Updates() { // until whoever fills it has ended
		}
	}()
	floor := uint64(0) // the sounding's revision, until that has come
	for {
		select {
		case entry, open := <-watcher.Updates():
			if !open {
				return errUnwatched
			}
			if entry == nil && sound != nil {
				// Only now: a key that is set again while the keys are read comes behind all of them, where it would be missed
				// behind a sounding that was there.
				if floor, err = sound(); err != nil {
					return err
				}
				continue
			}
			if err := changed(entry); err != nil {
				return err
			}
			if floor > 0 && entry.Revision() >= floor {
				floor = 0
				if err := changed(nil); err != nil {
					return err
				}
			}
		case <-connected:
			return errMoved
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
