package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// heartbeat is how often the server says that it is there when it has nothing else to say, deaf how long a tail goes
	// on without a word from it.
	heartbeat = 250 * time.Millisecond
	deaf      = time.Second
	// consumerTime is how long a consumer may take to be created, before another attempt may find a server that is up.
	consumerTime = time.Second
	// tailBuffer is how many messages may wait for the tail; beyond it, it begins anew where it is.
	tailBuffer = 1 << 16
	// goneBack is how many times in a row a stream may seem to end before what it delivered. A new leader may take a
	// moment to apply all that it has.
	goneBack = 10
)

var (
	errSkipped = errors.New("a delivery is missing")
	errSilent  = errors.New("nothing comes from the stream, not even heartbeats")
	errMoved   = errors.New("the connection is another")
	errBehind  = errors.New("the stream ends before what it has delivered")
)

// tail puts the stream's messages into the window, one after the other, until ctx is done. Whatever ends a consumer,
// the next one begins where it was.
func (j *Journal) tail(ctx context.Context) {
	behind := 0
	for {
		err := j.consume(ctx)
		if ctx.Err() != nil {
			return
		}
		if !errors.Is(err, errBehind) {
			behind = 0
		} else if behind++; behind == goneBack {
			j.health.breakDown(errGoneBack)
		}
		j.config.Logger.Debug("the tail begins anew", "err", err)
		j.health.check()
		select {
		case <-time.After(heartbeat):
		case <-j.moved:
		case <-ctx.Done():
			return
		}
	}
}

// consume follows the stream with one consumer, for as long as that lasts.
func (j *Journal) consume(ctx context.Context) error {
	messages := make(chan *nats.Msg, tailBuffer)
	inbox := nats.NewInbox()
	sub, err := j.nc.ChanSubscribe(inbox, messages)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	_, next := j.Bounds()
	consumer, err := j.consumer(ctx, inbox, next)
	if err != nil {
		return err
	}
	defer j.dismiss(consumer)

	c := consuming{next: next}
	listening := time.NewTicker(deaf)
	defer listening.Stop()
	heard := true
	for {
		select {
		case m := <-messages:
			heard = true
			if err := j.receive(&c, m); err != nil {
				return err
			}
		case <-listening.C:
			if !heard {
				return errSilent
			}
			heard = false
		case <-j.moved:
			return errMoved
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// consumer creates a consumer that delivers from a sequence number on, and returns its name.
func (j *Journal) consumer(ctx context.Context, inbox string, from uint64) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, min(j.config.AckTimeout, consumerTime))
	defer cancel()
	stream, err := j.js.Stream(ctx, j.config.Stream)
	if err != nil {
		return "", err
	}
	if stream.CachedInfo().State.LastSeq+1 < from {
		return "", errBehind
	}
	consumer, err := stream.CreatePushConsumer(ctx, jetstream.ConsumerConfig{
		DeliverSubject:    inbox,
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       max(from, 1),
		AckPolicy:         jetstream.AckNonePolicy,
		MaxDeliver:        1,
		MemoryStorage:     true,
		Replicas:          1,
		IdleHeartbeat:     heartbeat,
		FlowControl:       true,
		InactiveThreshold: 10 * time.Second,
	})
	if err != nil {
		return "", err
	}
	return consumer.CachedInfo().Name, nil
}

// dismiss deletes a consumer. One that it cannot reach the server forgets by itself.
func (j *Journal) dismiss(consumer string) {
	if !j.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), heartbeat)
	defer cancel()
	_ = j.js.DeleteConsumer(ctx, j.config.Stream, consumer)
}

// consuming is how far a consumer has got.
type consuming struct {
	next      uint64 // in the stream
	delivered uint64 // by the consumer
}

// receive takes a message of the consumer's. The error says that it missed one.
func (j *Journal) receive(c *consuming, m *nats.Msg) error {
	if len(m.Data) == 0 && m.Header.Get("Status") == "100" {
		return j.control(c, m)
	}
	at, err := deliveryOf(m.Reply)
	if err != nil {
		return err
	}
	if at.delivered != c.delivered+1 {
		return fmt.Errorf("%w: %d came after %d", errSkipped, at.delivered, c.delivered)
	}
	c.delivered++
	if at.seq < c.next {
		return nil
	}
	if oldest, next := j.Bounds(); at.seq > c.next && oldest != next {
		j.config.Logger.Error("notifications are missing in the stream; subscribers who had not got that far are told that they lost some",
			"from", c.next, "to", at.seq-1)
	}
	j.Add(decode(m.Subject, m.Header, m.Data, at.seq, at.stored))
	c.next = at.seq + 1
	return nil
}

// control answers what is no message of the stream: heartbeats, and questions whether the tail keeps up.
func (j *Journal) control(c *consuming, m *nats.Msg) error {
	if m.Reply != "" {
		return m.Respond(nil)
	}
	stalled := m.Header.Get("Nats-Consumer-Stalled")
	if stalled != "" {
		if err := j.nc.Publish(stalled, nil); err != nil {
			return err
		}
	}
	if last := m.Header.Get("Nats-Last-Consumer"); last != "" && last != strconv.FormatUint(c.delivered, 10) {
		return fmt.Errorf("%w: the server is at %s, the tail at %d", errSkipped, last, c.delivered)
	}
	if stalled == "" {
		wake(j.idle) // the server has nothing else to say
	}
	return nil
}

// delivery is what the subject for a message's acknowledgement tells of it.
type delivery struct {
	seq       uint64 // in the stream
	delivered uint64 // by the consumer
	stored    time.Time
}

// deliveryOf reads $JS.ACK.<stream>.<consumer>.<times>.<stream seq>.<consumer seq>.<time>.<pending>, or the newer form
// with a domain and an account before the stream and a token at the end.
func deliveryOf(subject string) (delivery, error) {
	var numbers [3]uint64
	first := 5
	if strings.Count(subject, ".") >= 10 {
		first += 2
	}
	rest := subject
	for range first {
		_, rest, _ = strings.Cut(rest, ".")
	}
	for i := range numbers {
		var token string
		token, rest, _ = strings.Cut(rest, ".")
		n, err := strconv.ParseUint(token, 10, 64)
		if err != nil || !strings.HasPrefix(subject, "$JS.ACK.") {
			return delivery{}, fmt.Errorf("%q does not tell where a message is in the stream", subject)
		}
		numbers[i] = n
	}
	return delivery{seq: numbers[0], delivered: numbers[1], stored: time.Unix(0, int64(numbers[2]))}, nil
}
