package jetstream

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// markerTime is how long the bucket says of a key that its time has come.
	markerTime = time.Second
	// soundingTime is how long a sounding is kept: a reader that has not come to it by then reads again.
	soundingTime = time.Minute
)

// Revoked is a key-value bucket beside the stream, in which bridges keep which tokens were revoked, each until its time
// has come. It is safe for concurrent use.
type Revoked struct {
	bucket bucket
	js     jetstream.JetStream
}

// Revoked returns the stream's bucket of revoked tokens, and creates it if there is none. It is stored as the stream
// is.
func (j *Journal) Revoked(ctx context.Context) (*Revoked, error) {
	b, err := j.bucket(ctx, jetstream.KeyValueConfig{
		Bucket:         j.config.Stream + "-revoked",
		Description:    "Tokens that rotki's bridge refuses",
		LimitMarkerTTL: markerTime,
	})
	if err != nil {
		return nil, err
	}
	return &Revoked{b, j.js}, nil
}

// Put keeps a token revoked until a time; what is revoked for longer stays so. It waits until the bucket has it.
func (r *Revoked) Put(ctx context.Context, tokenID string, until time.Time) error {
	digest := sha256.Sum256([]byte(tokenID))
	key, value := hex.EncodeToString(digest[:]), encodeRevocation(tokenID, until)
	for {
		err := r.put(ctx, key, value, until)
		if !isOvertaken(err) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// isOvertaken reports whether another bridge has come in between. A bucket of several servers says so in a way of its own.
func isOvertaken(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return errors.Is(err, jetstream.ErrKeyExists) ||
		ok && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant
}

func (r *Revoked) put(ctx context.Context, key string, value []byte, until time.Time) error {
	last := uint64(0)
	entry, err := r.bucket.kv.Get(ctx, key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
	case err != nil:
		return err
	default:
		if _, stored, err := decodeRevocation(entry.Value()); err == nil && !stored.Before(until) {
			return nil
		}
		last = entry.Revision()
	}
	ttl := max(time.Until(until), 0).Truncate(time.Second) + 2*time.Second // the server counts whole seconds
	if last == 0 {
		_, err = r.bucket.kv.Create(ctx, key, value, jetstream.KeyTTL(ttl))
		return err
	}
	// The client sets a TTL only where it creates a key.
	m := nats.NewMsg("$KV." + r.bucket.kv.Bucket() + "." + key)
	m.Data = value
	_, err = r.js.PublishMsg(ctx, m, jetstream.WithMsgTTL(ttl), jetstream.WithExpectLastSequencePerSubject(last))
	return err
}

// Watch calls changed with every token that is revoked, then with an empty one, and then with every change. Before the
// empty one comes whatever was put before Watch was called, by whomever. After a lost connection it begins anew. It
// returns when ctx is done, or why it cannot go on.
func (r *Revoked) Watch(ctx context.Context, changed func(tokenID string, until time.Time)) error {
	sound := func() (uint64, error) { return r.sound(ctx) }
	return r.bucket.follow(ctx, sound, func(entry jetstream.KeyValueEntry) error {
		switch {
		case entry == nil:
			changed("", time.Time{})
		case entry.Operation() == jetstream.KeyValuePut && entry.Key() != soundings:
			tokenID, until, err := decodeRevocation(entry.Value())
			if err != nil {
				return fmt.Errorf("the revocation %s cannot be read: %w", entry.Key(), err)
			}
			changed(tokenID, until)
		}
		return nil
	})
}

// sound writes something that a reader will find behind all that is there, and returns where.
func (r *Revoked) sound(ctx context.Context) (uint64, error) {
	m := nats.NewMsg("$KV." + r.bucket.kv.Bucket() + "." + soundings)
	ack, err := r.js.PublishMsg(ctx, m, jetstream.WithMsgTTL(soundingTime))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// encodeRevocation returns a version, the time in seconds rounded up, and the token's id.
func encodeRevocation(tokenID string, until time.Time) []byte {
	seconds := until.Add(time.Second - time.Nanosecond).Unix()
	return append(binary.BigEndian.AppendUint64([]byte{1}, uint64(seconds)), tokenID...)
}

func decodeRevocation(value []byte) (tokenID string, until time.Time, err error) {
	const head = 1 + 8
	switch {
	case len(value) <= head:
		return "", time.Time{}, errors.New("it is too short")
	case value[0] != 1:
		return "", time.Time{}, fmt.Errorf("it has the version %d", value[0])
	}
	return string(value[head:]), time.Unix(int64(binary.BigEndian.Uint64(value[1:])), 0), nil
}
