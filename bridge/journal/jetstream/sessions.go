package jetstream

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Sessions is a key-value bucket beside the stream, in which bridges keep where their subscribers are. It is safe for
// concurrent use.
type Sessions struct{ bucket bucket }

// Sessions returns the stream's bucket, in which a key is kept for ttl after it was last set, and creates it if there
// is none. It is stored as the stream is.
func (j *Journal) Sessions(ctx context.Context, ttl time.Duration) (*Sessions, error) {
	b, err := j.bucket(ctx, jetstream.KeyValueConfig{
		Bucket:      j.config.Stream + "-sessions",
		Description: "Where subscribers of rotki's bridge are",
		TTL:         ttl,
	})
	if err != nil {
		return nil, fmt.Errorf("%w; --no-sessions does without it", err)
	}
	return &Sessions{b}, nil
}

// Put sets a key. It waits until the bucket has it.
func (s *Sessions) Put(ctx context.Context, key string, value []byte) error {
	_, err := s.bucket.kv.Put(ctx, key, value)
	return err
}

// Watch calls changed with every key that is set, then with an empty one, and then with every change; a key that was
// deleted has no value. After a lost connection it begins anew. It returns when ctx is done, or why it cannot go on.
func (s *Sessions) Watch(ctx context.Context, changed func(key string, value []byte)) error {
	return s.bucket.follow(ctx, nil, func(entry jetstream.KeyValueEntry) error {
		switch {
		case entry == nil:
			changed("", nil)
		case entry.Operation() == jetstream.KeyValuePut:
			changed(entry.Key(), entry.Value())
		default:
			changed(entry.Key(), nil)
		}
		return nil
	})
}
