package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Sessions is a key-value bucket beside the stream, in which bridges keep where their subscribers are. It is safe for
// concurrent use.
type Sessions struct {
	nc     *nats.Conn
	bucket jetstream.KeyValue
}

var errUnwatched = errors.New("the bucket can no longer be followed")

// Sessions returns the stream's bucket, in which a key is kept for ttl after it was last set, and creates it if there is
// none. It is stored as the stream is.
func (j *Journal) Sessions(ctx context.Context, ttl time.Duration) (*Sessions, error) {
	name := j.config.Stream + "-sessions"
	config := jetstream.KeyValueConfig{
		Bucket:      name,
		Description: "Where subscribers of rotki's bridge are",
		TTL:         ttl,
		Replicas:    j.config.Replicas,
		Storage:     j.config.wanted(0).Storage,
	}
	waiting, cancel := context.WithTimeout(ctx, j.config.ConnectTimeout)
	defer cancel()
	for {
		bucket, err := j.openBucket(waiting, config)
		if err == nil {
			return &Sessions{j.nc, bucket}, nil
		}
		if !isTransient(err) || waiting.Err() != nil {
			return nil, fmt.Errorf("open the bucket %s at %s: %w; --no-sessions does without it", name, j.config.place(), err)
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
	bucket, err := j.js.KeyValue(ctx, config.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return j.js.CreateOrUpdateKeyValue(ctx, config)
	}
	if err != nil {
		return nil, err
	}
	status, err := bucket.Status(ctx)
	if err != nil || status.TTL() == 0 || status.TTL() >= config.TTL {
		return bucket, err
	}
	return j.js.UpdateKeyValue(ctx, config)
}

// Put sets a key. It waits until the bucket has it.
func (s *Sessions) Put(ctx context.Context, key string, value []byte) error {
	_, err := s.bucket.Put(ctx, key, value)
	return err
}

// Watch calls changed with every key that is set, then with an empty one, and then with every change; a key that was
// deleted has no value. After a lost connection it begins anew. It returns when ctx is done, or why it cannot go on.
func (s *Sessions) Watch(ctx context.Context, changed func(key string, value []byte)) error {
	connected := s.nc.StatusChanged(nats.CONNECTED)
	defer s.nc.RemoveStatusListener(connected)
	for {
		if err := s.watch(ctx, connected, changed); !errors.Is(err, errMoved) {
			return err
		}
	}
}

// watch follows the bucket over one connection. The client would find out by itself that there is another, after a while.
func (s *Sessions) watch(ctx context.Context, connected <-chan nats.Status, changed func(key string, value []byte)) error {
	watcher, err := s.bucket.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer func() {
		_ = watcher.Stop()
		for range watcher.Updates() { // until whoever fills it has ended
		}
	}()
	for {
		select {
		case entry, open := <-watcher.Updates():
			switch {
			case !open:
				return errUnwatched
			case entry == nil:
				changed("", nil)
			case entry.Operation() == jetstream.KeyValuePut:
				changed(entry.Key(), entry.Value())
			default:
				changed(entry.Key(), nil)
			}
		case <-connected:
			return errMoved
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
