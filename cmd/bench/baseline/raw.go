//go:build linux

package baseline

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// streamName, streamPrefix and streamType are what the bridge has, too.
	streamName   = "rotki-notifications"
	streamPrefix = streamName + ".0123456789abcdef."
	streamType   = "legacy"
	// streamReady is how long JetStream may take to be ready.
	streamReady = 30 * time.Second
)

// patient waits for as long as the stream takes; nats.go would give up after 200 ms.
var patient = jetstream.WithStallWait(streamReady)

// stream is one like the bridge's, which nats.go publishes into.
type stream struct {
	config  Config
	connect func() (*nats.Conn, error)
	failed  chan error // has room for one
}

// openStream creates the stream.
func openStream(c Config) (*stream, error) {
	s := &stream{config: c, failed: make(chan error, 1)}
	s.connect = func() (*nats.Conn, error) { return nats.Connect("nats://" + c.NATS) }
	if c.NATS == "" {
		options := natsOptions(c)
		options.DontListen = true
		inside, err := startNATS(options)
		if err != nil {
			return nil, err
		}
		s.connect = func() (*nats.Conn, error) { return nats.Connect("", nats.InProcessServer(inside)) }
	}
	return s, s.create()
}

// create creates the stream that the bridge would, as soon as JetStream lets it.
func (s *stream) create() error {
	js, err := s.publisher()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), streamReady)
	defer cancel()
	for {
		attempt, done := context.WithTimeout(ctx, 2*time.Second)
		_, err := js.CreateStream(attempt, jetstream.StreamConfig{
			Name: streamName, Subjects: []string{streamPrefix + ">"}, Replicas: s.config.Replicas,
			MaxMsgs: 1 << 20, MaxBytes: 1 << 30, MaxAge: 24 * time.Hour, Duplicates: 2 * time.Minute,
			MaxMsgsPerSubject: -1, MaxConsumers: -1, MaxMsgSize: -1,
			DenyDelete: true, DenyPurge: true, AllowDirect: true, AllowAtomicPublish: true,
		})
		done()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("create the stream: %w", err)
		}
	}
}

// publisher returns one with a connection of its own.
func (s *stream) publisher() (jetstream.JetStream, error) {
	conn, err := s.connect()
	if err != nil {
		return nil, err
	}
	return jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(s.config.Window),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) { s.fail(err) }))
}

// fail ends the baseline.
func (s *stream) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// raw publishes with nats.go alone.
type raw struct {
	*stream
	published []atomic.Int64 // by publisher
	js        []jetstream.JetStream
}

// serveRaw publishes as fast as it can, from the start, and tells on its control connection how much is acknowledged.
func serveRaw(c Config, w io.Writer) error {
	s, err := openStream(c)
	if err != nil {
		return err
	}
	control, err := listen()
	if err != nil {
		return err
	}
	r := &raw{stream: s, published: make([]atomic.Int64, c.Publishers)}
	for range c.Publishers {
		js, err := s.publisher()
		if err != nil {
			return err
		}
		r.js = append(r.js, js)
	}
	for i := range r.js {
		go func() { s.fail(r.publish(i)) }()
	}
	go func() { s.fail(r.tell(control)) }()
	if err := announce(w, Addresses{Control: control.Addr().String()}); err != nil {
		return err
	}
	return <-s.failed
}

func (r *raw) publish(publisher int) error {
	data := make([]byte, r.config.Size)
	for i := range data {
		data[i] = 'x'
	}
	for {
		if _, err := r.js[publisher].PublishMsgAsync(&nats.Msg{Subject: streamPrefix + streamType, Data: data}, patient); err != nil {
			return err
		}
		r.published[publisher].Add(1)
	}
}

// tell answers each byte with the number of messages that are acknowledged by now, in eight bytes.
func (r *raw) tell(control net.Listener) error {
	conn, err := control.Accept()
	if err != nil {
		return err
	}
	for question := make([]byte, 1); ; {
		if _, err := io.ReadFull(conn, question); err != nil {
			return err
		}
		acknowledged := int64(0)
		for i, js := range r.js {
			acknowledged += r.published[i].Load() - int64(js.PublishAsyncPending())
		}
		if _, err := conn.Write(binary.BigEndian.AppendUint64(nil, uint64(acknowledged))); err != nil {
			return err
		}
	}
}
