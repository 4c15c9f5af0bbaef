package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/ingest"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// slowSink stores nothing until it is told to, as a journal whose quorum is slow.
type slowSink struct {
	taken chan string
	store chan struct{} // closed to store all there is
	fail  error

	mu    sync.Mutex
	count int
}

type slowPending struct {
	sink     *slowSink
	position string
}

func (s *slowSink) Open(auth.Caller) ingest.Publisher { return s }

func (s *slowSink) Publish(_ context.Context, r *notificationsv1.PublishRequest) (ingest.Pending, error) {
	if r.GetId() == "panic" {
		panic("a secret of the bridge's inside")
	}
	if r.GetId() == "broken" {
		return nil, errors.New("a secret of the bridge's inside")
	}
	s.mu.Lock()
	s.count++
	position := fmt.Sprint(s.count)
	s.mu.Unlock()
	s.taken <- r.GetId()
	return slowPending{s, position}, nil
}

func (p slowPending) Settled() bool {
	select {
	case <-p.sink.store:
		return true
	default:
		return false
	}
}

func (p slowPending) Wait(ctx context.Context) (*notificationsv1.Accepted, error) {
	select {
	case <-p.sink.store:
		return &notificationsv1.Accepted{Position: p.position}, p.sink.fail
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type stream = grpc.BidiStreamingClient[notificationsv1.PublishRequest, notificationsv1.PublishResponse]

func serve(t *testing.T, config ingest.Config) (*ingest.Server, stream) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveAt(t, listener, config)
}

func serveAt(t *testing.T, listener net.Listener, config ingest.Config) (*ingest.Server, stream) {
	t.Helper()
	server := ingest.New(config)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		server.Drain(now)
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(func() {
		cancel()
		_ = conn.Close()
	})
	s, err := notificationsv1.NewNotificationServiceClient(conn).Publish(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return server, s
}

func send(t *testing.T, s stream, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := s.Send(&notificationsv1.PublishRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
	}
}

func expect(t *testing.T, s stream, id, position string) {
	t.Helper()
	response, err := s.Recv()
	if err != nil || response.GetId() != id || response.GetAccepted().GetPosition() != position {
		t.Fatalf("got %v, %v; want %s at %s", response, err, id, position)
	}
}

func TestAnswersThatAreOwedKeepTheirOrder(t *testing.T) {
	sink := &slowSink{taken: make(chan string, 10), store: make(chan struct{})}
	_, s := serve(t, ingest.Config{Sink: sink})
	send(t, s, "a", "b", strings.Repeat("x", 200), "c")
	for _, want := range []string{"a", "b", "c"} {
		if got := <-sink.taken; got != want {
			t.Errorf("%s was taken, want %s", got, want)
		}
	}
	close(sink.store)
	expect(t, s, "a", "1")
	expect(t, s, "b", "2")
	if response, err := s.Recv(); err != nil || response.GetRejected().GetField() != "id" {
		t.Fatalf("got %v, %v; want the long id refused", response, err)
	}
	expect(t, s, "c", "3")
	send(t, s, "d")
	expect(t, s, "d", "4")
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
}

// TestDrainPaysWhatIsOwed: what was taken is answered, nothing more is taken, and the stream ends with UNAVAILABLE.
func TestDrainPaysWhatIsOwed(t *testing.T) {
	const n = 100
	sink := &slowSink{taken: make(chan string, n), store: make(chan struct{})}
	server, s := serve(t, ingest.Config{Sink: sink})
	for i := range n {
		send(t, s, fmt.Sprint("id", i))
	}
	for range n {
		<-sink.taken
	}
	drained := make(chan struct{})
	go func() {
		server.Drain(t.Context())
		close(drained)
	}()
	close(sink.store)
	for i := range n {
		expect(t, s, fmt.Sprint("id", i), fmt.Sprint(i+1))
	}
	if _, err := s.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v", err)
	}
	<-drained
}

// TestDrainGivesUp: a journal that never answers does not hold up the end.
func TestDrainGivesUp(t *testing.T) {
	sink := &slowSink{taken: make(chan string, 1), store: make(chan struct{})}
	server, s := serve(t, ingest.Config{Sink: sink})
	send(t, s, "a")
	<-sink.taken
	now, cancel := context.WithCancel(t.Context())
	cancel()
	server.Drain(now)
	if _, err := s.Recv(); err == nil {
		t.Error("what was not stored was acknowledged")
	}
}

// TestWhatEndsAStream: an answer that cannot be given ends the stream with a status that keeps the bridge's secrets.
func TestWhatEndsAStream(t *testing.T) {
	for _, tc := range []struct {
		name, id string
		fail     error
		code     codes.Code
	}{
		{"the journal fails", "a", fmt.Errorf("a secret of the bridge's inside: %w", ingest.ErrUnavailable), codes.Unavailable},
		{"the sink fails", "broken", nil, codes.Internal},
		{"the sink panics", "panic", nil, codes.Internal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sink := &slowSink{taken: make(chan string, 1), store: make(chan struct{}), fail: tc.fail}
			close(sink.store)
			var log strings.Builder
			_, s := serve(t, ingest.Config{Sink: sink, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			send(t, s, tc.id)
			_, err := s.Recv()
			if status.Code(err) != tc.code || strings.Contains(err.Error(), "secret") {
				t.Errorf("the stream ended with %v, want %v", err, tc.code)
			}
		})
	}
}

// TestDrainWithASilentConnection: who connects and says nothing does not hold up the end for gRPC's two minutes.
func TestDrainWithASilentConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	sink := &slowSink{taken: make(chan string, 1), store: make(chan struct{})}
	close(sink.store)
	server, s := serveAt(t, listener, ingest.Config{Sink: sink})
	send(t, s, "a") // accepted after the silent one
	expect(t, s, "a", "1")
	drained := make(chan struct{})
	go func() {
		server.Drain(context.Background())
		close(drained)
	}()
	if _, err := s.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v", err)
	}
	if err := silent.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(silent); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the silent connection was left open")
	}
	<-drained
}

// TestHugeID: an id that is refused for its length does not make an answer that the publisher cannot take.
func TestHugeID(t *testing.T) {
	sink := &slowSink{taken: make(chan string, 1), store: make(chan struct{})}
	close(sink.store)
	_, s := serve(t, ingest.Config{Sink: sink})
	send(t, s, strings.Repeat("x", 5<<20), "a")
	if response, err := s.Recv(); err != nil || response.GetId() != "" || response.GetRejected() == nil {
		t.Fatalf("got %.100v, %v", response, err)
	}
	expect(t, s, "a", "1")
}
