package client_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/client"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick makes tests of reconnecting short.
var quick = client.Backoff{Min: time.Millisecond, Max: 20 * time.Millisecond}

// running is a bridge.
type running struct {
	*bridge.Bridge
	stop func() // drains it
}

func (r running) url() string { return "ws://" + r.HTTPAddr() + "/ws/" }

// start runs a bridge, on free ports unless config names some.
func start(t testing.TB, config bridge.Config) running {
	t.Helper()
	for _, addr := range []*string{&config.HTTPAddr, &config.GRPCAddr, &config.AdminAddr, &config.AdminGRPCAddr} {
		if *addr == "" {
			*addr = "127.0.0.1:0"
		}
	}
	b, err := bridge.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the bridge ended with: %v", err)
		}
	})
	t.Cleanup(stop)
	return running{b, stop}
}

// newPublisher returns a publisher that is closed, with whatever it has left, at the end of the test.
func newPublisher(t testing.TB, config client.PublisherConfig) *client.Publisher {
	t.Helper()
	if config.Backoff == (client.Backoff{}) {
		config.Backoff = quick
	}
	p, err := client.NewPublisher(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		expired, cancel := context.WithCancel(context.Background())
		cancel()
		_ = p.Close(expired)
	})
	return p
}

// warning is a notification that carries text.
func warning(text string) *notificationsv1.Notification {
	return &notificationsv1.Notification{Payload: &notificationsv1.Notification_Legacy{Legacy: &notificationsv1.Legacy{
		Verbosity: notificationsv1.Verbosity_VERBOSITY_WARNING, Value: text,
	}}}
}

// listener is a subscriber at work.
type listener struct {
	connected chan struct{} // one for each time that it is subscribed
	messages  chan client.Message
	ended     chan error // one: why the iteration ended, nil if it was stopped
}

// listen subscribes. It returns when the subscription stands.
func listen(t testing.TB, config client.SubscriberConfig) listener {
	t.Helper()
	l := listener{make(chan struct{}, 100), make(chan client.Message, 100_000), make(chan error, 1)}
	config.OnConnect = func() { l.connected <- struct{}{} }
	if config.Backoff == (client.Backoff{}) {
		config.Backoff = quick
	}
	s, err := client.NewSubscriber(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		var ended error
		for m, err := range s.Messages(ctx) {
			if err != nil {
				ended = err
				continue
			}
			l.messages <- m
		}
		l.ended <- ended
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	await(t, l.connected)
	return l
}

// texts returns the texts of the next n warnings.
func (l listener) texts(t testing.TB, n int) []string {
	t.Helper()
	texts := make([]string, 0, n)
	for range n {
		texts = append(texts, await(t, l.messages).Notification.GetLegacy().GetValue())
	}
	return texts
}

// await receives, within a time that only a failing test needs.
func await[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// publishStream is the server's side of a Publish stream.
type publishStream = grpc.BidiStreamingServer[notificationsv1.PublishRequest, notificationsv1.PublishResponse]

// scripted is a gRPC server that does with each stream, counted from 1, what a real bridge should not.
type scripted struct {
	notificationsv1.UnimplementedNotificationServiceServer
	mu      sync.Mutex
	streams int
	script  func(number int, stream publishStream) error
}

func (s *scripted) Publish(stream publishStream) error {
	s.mu.Lock()
	s.streams++
	number := s.streams
	s.mu.Unlock()
	return s.script(number, stream)
}

func (s *scripted) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams
}

// serve runs a scripted server and returns its address.
func serve(t testing.TB, script func(number int, stream publishStream) error) (string, *scripted) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{script: script}
	server := grpc.NewServer()
	notificationsv1.RegisterNotificationServiceServer(server, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return l.Addr().String(), s
}

// accept answers one request as accepted, at a position of this server.
func accept(stream publishStream, request *notificationsv1.PublishRequest) error {
	return stream.Send(&notificationsv1.PublishResponse{
		Id:     request.GetId(),
		Result: &notificationsv1.PublishResponse_Accepted{Accepted: &notificationsv1.Accepted{Position: fmt.Sprint("at ", request.GetId())}},
	})
}

// acceptAll answers until the client has closed its side.
func acceptAll(stream publishStream) error {
	for {
		request, err := stream.Recv()
		if err != nil {
			return nil // io.EOF, or there is nobody left to tell
		}
		if err := accept(stream, request); err != nil {
			return err
		}
	}
}
