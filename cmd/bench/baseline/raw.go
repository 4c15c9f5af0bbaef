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
	// stream and subject are named as the bridge's are.
	stream  = "rotki-notifications"
	subject = stream + ".0123456789abcdef."
	// streamReady is how long JetStream may take to be ready.
	streamReady = 30 * time.Second
)

// raw publishes with nats.go alone.
type raw struct {
	config    Config
	published []atomic.Int64 // by publisher
	js        []jetstream.JetStream
}

// serveRaw publishes as fast as it can, from the start, and tells on its control connection how much is acknowledged.
func serveRaw(c Config, w io.Writer) error {
	connect := func() (*nats.Conn, error) { return nats.Connect("nats://" + c.NATS) }
	if c.NATS == "" {
		options := natsOptions(c)
		options.DontListen = true
		s, err := startNATS(options)
		if err != nil {
			return err
		}
		connect = func() (*nats.Conn, error) { return nats.Connect("", nats.InProcessServer(s)) }
	}
	control, err := listen()
	if err != nil {
		return err
	}
	r := &raw{config: c, published: make([]atomic.Int64, c.Publishers)}
	failed := make(chan error, 1)
	fail := func(err error) {
		select {
		case failed <- err:
		default:
		}
	}
	for range c.Publishers {
		conn, err := connect()
		if err != nil {
			return err
		}
		js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(c.Window),
			jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) { fail(err) }))
		if err != nil {
			return err
		}
		r.js = append(r.js, js)
	}
	if err := r.create(); err != nil {
		return err
	}
	for i := range r.js {
		go func() { fail(r.publish(i)) }()
	}
	if err := announce(w, Addresses{Control: control.Addr().String()}); err != nil {
		return err
	}
	go func() { fail(r.tell(control)) }()
	return <-failed
}

// create creates the stream that the bridge would, as soon as JetStream lets it.
func (r *raw) create() error {
	ctx, cancel := context.WithTimeout(context.Background(), streamReady)
	defer cancel()
	for {
		attempt, done := context.WithTimeout(ctx, 2*time.Second)
		_, err := r.js[0].CreateStream(attempt, jetstream.StreamConfig{
			Name: stream, Subjects: []string{subject + ">"}, Replicas: r.config.Replicas,
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

func (r *raw) publish(publisher int) error {
	data := make([]byte, r.config.Size)
	for i := range data {
		data[i] = 'x'
	}
	for {
		if _, err := r.js[publisher].PublishMsgAsync(&nats.Msg{Subject: subject + "legacy", Data: data}); err != nil {
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
