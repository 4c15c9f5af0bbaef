package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// DefaultAddr is where a bridge on its default settings takes notifications.
const DefaultAddr = "127.0.0.1:5044"

// PublisherConfig says how to publish. Its zero value publishes to a bridge on this machine.
type PublisherConfig struct {
	// Addr is the bridge's gRPC address, host:port or another target that grpc.NewClient knows; DefaultAddr by
	// default.
	Addr string
	// TLS encrypts the connection, and may hold a client certificate. By default it is not encrypted, which is right on
	// one machine only.
	TLS *tls.Config
	// Token says who the publisher is; by default nothing does. It is called for each stream. Without TLS a token is sent
	// to this machine only.
	Token TokenSource
	// DialOptions configure the gRPC connection further. Whoever gives some without TLS must give transport credentials.
	DialOptions []grpc.DialOption
	// Window is how many notifications may be unacknowledged before publishing waits; 1024 by default. They are
	// kept in memory.
	Window int
	// Backoff bounds the pauses between attempts to reach the bridge.
	Backoff Backoff
	// Logger gets a line when the bridge cannot be reached and when it can again; none by default.
	Logger *slog.Logger
	// OnConnect is called when the bridge gives its first answer on a new stream.
	OnConnect func()
	// OnOutage is called with the reason when the bridge cannot be reached, or a stream breaks, while something is
	// unacknowledged; and then not again before OnConnect.
	OnOutage func(err error)
}

func (c PublisherConfig) withDefaults() (PublisherConfig, error) {
	if c.Addr == "" {
		c.Addr = DefaultAddr
	}
	switch {
	case c.TLS != nil:
		c.DialOptions = append([]grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(c.TLS))}, c.DialOptions...)
	case len(c.DialOptions) > 0:
	case c.Token != nil && !isLoopback(c.Addr):
		return c, fmt.Errorf("the token would go to %s unencrypted: use TLS", c.Addr)
	default:
		c.DialOptions = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	if c.Window == 0 {
		c.Window = 1024
	}
	if c.Window < 0 {
		return c, fmt.Errorf("window of %d: it must be positive", c.Window)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.OnConnect == nil {
		c.OnConnect = func() {}
	}
	if c.OnOutage == nil {
		c.OnOutage = func(error) {}
	}
	var err error
	c.Backoff, err = c.Backoff.withDefaults()
	return c, err
}

// Publisher hands notifications to a bridge over one gRPC stream. Whatever happens to the stream, each notification
// is sent until the bridge has answered it, under the same id and in the order of publishing.
type Publisher struct {
	config PublisherConfig
	conn   *grpc.ClientConn
	outbox *outbox
	stop   context.CancelFunc // ends the goroutine that talks to the bridge
	done   chan struct{}      // closed when it has
}

// NewPublisher returns a publisher, which must be closed. It connects when something is published; the error is
// about the configuration only.
func NewPublisher(config PublisherConfig) (*Publisher, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("new publisher: %w", err)
	}
	options := append([]grpc.DialOption{
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: grpcbackoff.Config{
				BaseDelay: config.Backoff.Min, Multiplier: 2, Jitter: 0.5, MaxDelay: config.Backoff.Max,
			},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second}),
	}, config.DialOptions...)
	conn, err := grpc.NewClient(config.Addr, options...)
	if err != nil {
		return nil, fmt.Errorf("new publisher: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Publisher{
		config: config,
		conn:   conn,
		outbox: newOutbox(config.Window),
		stop:   stop,
		done:   make(chan struct{}),
	}
	go func() {
		defer close(p.done)
		p.run(ctx)
	}()
	return p, nil
}

// Publish hands a notification to the bridge and waits for the answer. n may be changed as soon as Publish returns.
// The errors are those of PublishAsync and Pending.Wait.
func (p *Publisher) Publish(ctx context.Context, n *notificationsv1.Notification, options ...PublishOption) (Accepted, error) {
	pending, err := p.PublishAsync(ctx, n, options...)
	if err != nil {
		return Accepted{}, err
	}
	return pending.Wait(ctx)
}

// PublishAsync hands a notification to the bridge and returns without waiting for the answer. It waits only while
// the window is full. n may be changed as soon as it returns. The error is a *RejectedError when n cannot be sent,
// ErrClosed after Close, or ctx's; in each of these cases nothing was sent.
func (p *Publisher) PublishAsync(ctx context.Context, n *notificationsv1.Notification, options ...PublishOption) (*Pending, error) {
	var how publishing
	for _, option := range options {
		option(&how)
	}
	if how.id == "" {
		how.id = randomID()
	}
	if how.restricted && len(how.recipients) == 0 {
		return nil, &RejectedError{
			Reason: notificationsv1.Reason_REASON_INVALID_FIELD, Field: "recipients",
			Message: "is empty; leave recipients out to reach every subscriber",
		}
	}
	encoded, err := newFrame(how.id, n, how.recipients)
	if err != nil {
		return nil, err
	}
	pending := &Pending{id: how.id, frame: encoded, done: make(chan struct{})}
	if err := p.outbox.put(ctx, pending); err != nil {
		return nil, err
	}
	return pending, nil
}

// Close waits until the bridge has answered all that was published, then ends the stream. When ctx is done before
// that, it gives up what is left. The error says how many notifications were not acknowledged, not counting those
// that were refused. Publishing fails with ErrClosed from the moment Close is called.
func (p *Publisher) Close(ctx context.Context) error {
	p.outbox.close()
	var gaveUp error
	select {
	case <-p.done:
	case <-ctx.Done():
		gaveUp = ctx.Err()
		p.stop()
		<-p.done
	}
	lost, err := p.outbox.losses()
	if gaveUp != nil {
		err = gaveUp
	}
	switch {
	case lost > 0:
		return fmt.Errorf("close publisher: %d notifications were not acknowledged: %w", lost, err)
	case gaveUp != nil:
		return fmt.Errorf("close publisher: everything was answered, but the stream did not end: %w", err)
	}
	return nil
}
