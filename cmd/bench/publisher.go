//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"

	"github.com/rotki/notification-bridge/cmd/bench/baseline"
	"github.com/rotki/notification-bridge/cmd/bench/load"
)

// outlet takes messages to a server. The envelope in which subscribers get a value is the same whichever it is.
type outlet interface {
	send(value []byte) error
	// acknowledged returns when the server has taken all that was sent, if it says so.
	acknowledged(ctx context.Context) error
	close()
}

// publisher numbers messages and sends them at a pace.
type publisher struct {
	outlet
	next  int // number of the next message
	size  int // of an envelope
	value []byte
}

// publisher connects to the server. With recipients, only they are to get the messages.
func (s *server) publisher(ctx context.Context, size int, recipients ...string) (*publisher, error) {
	var o outlet
	var err error
	if s.GRPC != "" {
		o, err = newStream(ctx, s.GRPC, recipients)
	} else {
		o, err = newControl(s.Control)
	}
	if err != nil {
		return nil, fmt.Errorf("connect a publisher to %s: %w", s.name, err)
	}
	return &publisher{outlet: o, size: size}, nil
}

// publish sends n messages, one in each interval; as fast as they are taken if that is 0.
func (p *publisher) publish(ctx context.Context, n int, interval time.Duration) error {
	start := time.Now()
	for i := range n {
		if wait := time.Until(start.Add(time.Duration(i) * interval)); wait > 0 {
			if err := sleep(ctx, wait); err != nil {
				return err
			}
		}
		p.value = load.AppendValue(p.value[:0], time.Now(), p.next, p.size)
		if err := p.send(p.value); err != nil {
			return fmt.Errorf("publish message %d: %w", p.next, err)
		}
		p.next++
	}
	return nil
}

// deliver publishes, and returns when all of it has arrived.
func (p *publisher) deliver(ctx context.Context, crowd *load.Crowd, n int, interval time.Duration) error {
	if err := p.publish(ctx, n, interval); err != nil {
		return err
	}
	if err := p.acknowledged(ctx); err != nil {
		return err
	}
	return crowd.Await(ctx, p.next)
}

// control is the outlet to a baseline.
type control struct {
	conn            net.Conn
	envelope, frame []byte
}

func newControl(addr string) (*control, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &control{conn: conn}, nil
}

func (c *control) send(value []byte) error {
	c.envelope = append(append(append(c.envelope[:0], load.Prefix...), value...), load.Suffix...)
	c.frame = baseline.AppendPayload(c.frame[:0], c.envelope)
	_, err := c.conn.Write(c.frame)
	return err
}

func (c *control) acknowledged(context.Context) error { return nil }

func (c *control) close() { _ = c.conn.Close() }

// stream is the outlet to the bridge: a Publish stream. Its answers are read all the time.
type stream struct {
	conn       *grpc.ClientConn
	calls      grpc.BidiStreamingClient[notificationsv1.PublishRequest, notificationsv1.PublishResponse]
	cancel     context.CancelFunc
	recipients []string

	sent     int64
	accepted atomic.Int64
	failed   error         // why no more answers come; set before ended is closed
	ended    chan struct{} // closed when no more answers come
}

func newStream(ctx context.Context, addr string, recipients []string) (*stream, error) {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	calls, err := notificationsv1.NewNotificationServiceClient(conn).Publish(ctx)
	if err != nil {
		cancel()
		_ = conn.Close()
		return nil, err
	}
	s := &stream{conn: conn, calls: calls, cancel: cancel, recipients: recipients, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		s.failed = s.readAnswers()
	}()
	return s, nil
}

func (s *stream) readAnswers() error {
	for {
		answer, err := s.calls.Recv()
		if err != nil {
			return fmt.Errorf("the Publish stream ended: %w", err)
		}
		if answer.GetAccepted() == nil {
			return fmt.Errorf("refused: %v", answer.GetRejected())
		}
		s.accepted.Add(1)
	}
}

func (s *stream) send(value []byte) error {
	s.sent++
	err := s.calls.Send(warning(string(value), s.recipients))
	if err == nil {
		return nil
	}
	<-s.ended // Send only says that the stream has ended
	return s.failed
}

func (s *stream) acknowledged(ctx context.Context) error {
	for s.accepted.Load() < s.sent {
		select {
		case <-s.ended:
			return s.failed
		default:
		}
		if err := sleep(ctx, time.Millisecond); err != nil {
			return errors.Join(fmt.Errorf("%d of %d messages are acknowledged", s.accepted.Load(), s.sent), err)
		}
	}
	return nil
}

func (s *stream) close() {
	s.cancel()
	<-s.ended
	_ = s.conn.Close()
}

// warning asks to publish a text.
func warning(text string, recipients []string) *notificationsv1.PublishRequest {
	return &notificationsv1.PublishRequest{
		Notification: &notificationsv1.Notification{Payload: &notificationsv1.Notification_Legacy{
			Legacy: &notificationsv1.Legacy{Verbosity: notificationsv1.Verbosity_VERBOSITY_WARNING, Value: text},
		}},
		Recipients: recipients,
	}
}
