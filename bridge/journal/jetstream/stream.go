package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rotki/notification-bridge/bridge/journal"
)

// epochKey is where the stream's metadata hold its epoch: 16 hexadecimal digits.
const epochKey = "rotki-epoch"

// wanted returns the stream that a bridge creates.
func (c Config) wanted(epoch uint64) jetstream.StreamConfig {
	storage := jetstream.FileStorage
	if c.InMemory {
		storage = jetstream.MemoryStorage
	}
	return jetstream.StreamConfig{
		Name:               c.Stream,
		Description:        "Notifications of rotki's bridge",
		Subjects:           []string{prefix(c.Stream, epoch) + ">"},
		Retention:          jetstream.LimitsPolicy,
		Discard:            jetstream.DiscardOld,
		MaxMsgs:            int64(c.Messages),
		MaxBytes:           int64(c.Bytes),
		MaxAge:             c.Age,
		MaxMsgsPerSubject:  -1,
		MaxConsumers:       -1,
		MaxMsgSize:         -1,
		Storage:            storage,
		Replicas:           c.Replicas,
		Duplicates:         c.DedupWindow,
		DenyDelete:         true,
		DenyPurge:          true,
		AllowDirect:        true,
		AllowAtomicPublish: true,
		Metadata:           map[string]string{epochKey: fmt.Sprintf("%016x", epoch)},
	}
}

// openStream creates the stream if there is none and returns it with its epoch. When several do so at the same moment,
// the first one's epoch is everybody's. The error says what does not fit.
func (c Config) openStream(ctx context.Context, js jetstream.JetStream) (*jetstream.StreamInfo, uint64, error) {
	stream, err := js.Stream(ctx, c.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, c.wanted(journal.NewEpoch()))
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			stream, err = js.Stream(ctx, c.Stream)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("create the stream %s at %s: %w", c.Stream, c.place(), err)
		}
	}
	if err != nil {
		return nil, 0, fmt.Errorf("look for the stream %s at %s: %w", c.Stream, c.place(), err)
	}
	info := stream.CachedInfo()
	epoch, err := c.fits(info.Config)
	if err != nil {
		return nil, 0, fmt.Errorf("the stream %s at %s does not fit: %w; choose another name for the bridge's stream, or delete this one",
			c.Stream, c.place(), err)
	}
	return info, epoch, c.bound(ctx, js, info)
}

// bound sees to it that a stream's bounds are those of the configuration. They are changed where nobody else can want
// others; elsewhere a stream keeps the bounds with which it was created.
func (c Config) bound(ctx context.Context, js jetstream.JetStream, info *jetstream.StreamInfo) error {
	have := info.Config
	if have.MaxMsgs == int64(c.Messages) && have.MaxBytes == int64(c.Bytes) && have.MaxAge == c.Age &&
		have.Duplicates == c.DedupWindow {
		return nil
	}
	log := c.Logger.With("stream", c.Stream, "messages", have.MaxMsgs, "bytes", have.MaxBytes, "age", have.MaxAge,
		"dedup", have.Duplicates)
	if c.Server == nil {
		if have.Duplicates < c.DedupWindow {
			return fmt.Errorf("the stream %s at %s remembers an id for %v only, not for %v; ask for less, or edit the stream (nats stream edit)",
				c.Stream, c.place(), have.Duplicates, c.DedupWindow)
		}
		log.Warn("the stream keeps the bounds with which it was created; edit it (nats stream edit) if they are to be others")
		return nil
	}
	have.MaxMsgs, have.MaxBytes, have.MaxAge, have.Duplicates = int64(c.Messages), int64(c.Bytes), c.Age, c.DedupWindow
	stream, err := js.UpdateStream(ctx, have)
	if err != nil {
		return fmt.Errorf("change the bounds of the stream %s at %s: %w", c.Stream, c.place(), err)
	}
	log.Info("the stream has new bounds; it had these")
	*info = *stream.CachedInfo()
	return nil
}

// fits returns a stream's epoch, or in what it differs from one that a bridge creates.
func (c Config) fits(have jetstream.StreamConfig) (uint64, error) {
	text := have.Metadata[epochKey]
	epoch, err := strconv.ParseUint(text, 16, 64)
	want := c.wanted(epoch)
	switch {
	case text == "":
		return 0, errors.New("no bridge has created it")
	case err != nil || len(text) != 16:
		return 0, fmt.Errorf("its epoch %q cannot be read", text)
	case have.Mirror != nil || len(have.Sources) > 0:
		return 0, errors.New("it copies other streams")
	case have.Sealed:
		return 0, errors.New("it is sealed, and takes no more notifications")
	case !slices.Equal(have.Subjects, want.Subjects) || have.SubjectTransform != nil:
		return 0, fmt.Errorf("its subjects are %q, not %q", have.Subjects, want.Subjects)
	case have.Retention != want.Retention:
		return 0, fmt.Errorf("its retention is %v, not by limits", have.Retention)
	case have.Discard != want.Discard:
		return 0, errors.New("it refuses new notifications when it is full, rather than discard old ones")
	case have.MaxMsgsPerSubject > 0:
		return 0, fmt.Errorf("it keeps only %d notifications of each type", have.MaxMsgsPerSubject)
	case have.MaxMsgSize >= 0:
		return 0, fmt.Errorf("it takes no messages beyond %d bytes", have.MaxMsgSize)
	case have.NoAck:
		return 0, errors.New("it acknowledges nothing")
	case have.AllowMsgTTL || have.AllowRollup || have.AllowMsgCounter || have.AllowMsgSchedules:
		return 0, errors.New("it lets messages remove others, or themselves")
	case !have.DenyDelete || !have.DenyPurge:
		return 0, errors.New("notifications can be deleted from it")
	case !have.AllowDirect || !have.AllowAtomicPublish:
		return 0, errors.New("it does not allow direct reads and atomic batches")
	case have.Storage != want.Storage:
		return 0, fmt.Errorf("it is kept in %v storage, not %v", have.Storage, want.Storage)
	case have.Replicas != want.Replicas:
		return 0, fmt.Errorf("it has %d replicas, not %d", have.Replicas, want.Replicas)
	}
	return epoch, nil
}
