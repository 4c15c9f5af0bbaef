package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/client"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// hang takes requests, counts them into taken, and never answers.
func hang(taken chan<- string) func(int, publishStream) error {
	return func(_ int, stream publishStream) error {
		for {
			request, err := stream.Recv()
			if err != nil {
				<-stream.Context().Done()
				return nil
			}
			taken <- request.GetNotification().GetLegacy().GetValue()
		}
	}
}

func TestWindowBlocks(t *testing.T) {
	taken := make(chan string, 10)
	release := make(chan struct{})
	addr, _ := serve(t, func(_ int, stream publishStream) error {
		for {
			request, err := stream.Recv()
			if err != nil {
				return nil
			}
			taken <- request.GetNotification().GetLegacy().GetValue()
			<-release
			if err := accept(stream, request); err != nil {
				return err
			}
		}
	})
	p := newPublisher(t, client.PublisherConfig{Addr: addr, Window: 2})
	for i := range 2 {
		if _, err := p.PublishAsync(t.Context(), warning(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	await(t, taken)
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.PublishAsync(short, warning("too many")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a third: got %v, want it to wait until its context is done", err)
	}
	third := make(chan error, 1)
	go func() {
		_, err := p.PublishAsync(t.Context(), warning("third"))
		third <- err
	}()
	close(release)
	if err := await(t, third); err != nil {
		t.Errorf("a third, when there is room: %v", err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if one, two := await(t, taken), await(t, taken); one != "1" || two != "third" {
		t.Errorf("the bridge got %q and %q, want what was not given up", one, two)
	}
}

func TestCloseGivesUp(t *testing.T) {
	taken := make(chan string, 10)
	addr, _ := serve(t, hang(taken))
	p := newPublisher(t, client.PublisherConfig{Addr: addr, Window: 3})
	var pending []*client.Pending
	for range 3 {
		one, err := p.PublishAsync(t.Context(), warning(""))
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, one)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := p.Publish(t.Context(), warning("finds the window full"))
		waiting <- err
	}()
	impatient, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := pending[0].Wait(impatient); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("wait: %v", err)
	}
	err := p.Close(impatient)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(fmt.Sprint(err), "3 notifications were not acknowledged") {
		t.Errorf("close: %v", err)
	}
	for _, one := range pending {
		<-one.Done()
		if _, err := one.Wait(t.Context()); !errors.Is(err, client.ErrClosed) {
			t.Errorf("an unanswered one: %v", err)
		}
	}
	if err := await(t, waiting); !errors.Is(err, client.ErrClosed) {
		t.Errorf("one that waited for the window: %v", err)
	}
}

// TestRefusedPublisher: a bridge that lets this client publish nothing fails what there is, and nothing more.
func TestRefusedPublisher(t *testing.T) {
	for _, code := range []codes.Code{codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented} {
		t.Run(code.String(), func(t *testing.T) {
			addr, server := serve(t, func(number int, stream publishStream) error {
				if number == 1 {
					for range 3 {
						if _, err := stream.Recv(); err != nil {
							return err
						}
					}
					return status.Error(code, "not you")
				}
				return acceptAll(stream)
			})
			p := newPublisher(t, client.PublisherConfig{Addr: addr, OnOutage: func(err error) { t.Errorf("an outage: %v", err) }})
			var pending []*client.Pending
			for range 3 {
				one, err := p.PublishAsync(t.Context(), warning(""))
				if err != nil {
					t.Fatal(err)
				}
				pending = append(pending, one)
			}
			for _, one := range pending {
				if _, err := one.Wait(t.Context()); status.Code(err) != code {
					t.Errorf("got %v, want %v", err, code)
				}
			}
			if n := server.count(); n != 1 {
				t.Errorf("%d streams for what failed, want 1", n)
			}
			if _, err := p.Publish(t.Context(), warning("later")); err != nil {
				t.Errorf("a later one: %v", err)
			}
		})
	}
}

// TestBrokenStreams: whatever is wrong with a stream, the next one gets what was not answered, in order and under
// the same ids.
func TestBrokenStreams(t *testing.T) {
	const total = 5
	answerTwo := func(stream publishStream) error {
		var requests []*notificationsv1.PublishRequest
		for range total {
			request, err := stream.Recv()
			if err != nil {
				return err
			}
			requests = append(requests, request)
		}
		for _, request := range requests[:2] {
			if err := accept(stream, request); err != nil {
				return err
			}
		}
		return nil
	}
	for _, tc := range []struct {
		name  string
		first func(stream publishStream) error
		left  int // how many the first stream leaves
	}{
		{"ends with OK", answerTwo, total - 2},
		{"drains", func(stream publishStream) error {
			if err := answerTwo(stream); err != nil {
				return err
			}
			return status.Error(codes.Unavailable, "draining")
		}, total - 2},
		{"fails inside", func(publishStream) error { return status.Error(codes.Internal, "panic") }, total},
		{"answers another id", func(stream publishStream) error {
			if err := answerTwo(stream); err != nil {
				return err
			}
			if err := accept(stream, &notificationsv1.PublishRequest{Id: "nobody's"}); err != nil {
				return err
			}
			<-stream.Context().Done()
			return nil
		}, total - 2},
		{"answers before it is asked", func(stream publishStream) error {
			for range total + 1 {
				if err := accept(stream, &notificationsv1.PublishRequest{}); err != nil {
					return err
				}
			}
			<-stream.Context().Done()
			return nil
		}, total},
		{"answers nothing", func(stream publishStream) error {
			request, err := stream.Recv()
			if err != nil {
				return err
			}
			if err := stream.Send(&notificationsv1.PublishResponse{Id: request.GetId()}); err != nil {
				return err
			}
			<-stream.Context().Done()
			return nil
		}, total},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resent := make(chan string, 2*total)
			addr, _ := serve(t, func(number int, stream publishStream) error {
				if number == 1 {
					return tc.first(stream)
				}
				for {
					request, err := stream.Recv()
					if err != nil {
						return nil
					}
					resent <- request.GetId()
					if err := accept(stream, request); err != nil {
						return err
					}
				}
			})
			outages, connects := make(chan error, 10), make(chan struct{}, 10)
			p := newPublisher(t, client.PublisherConfig{
				Addr:      addr,
				OnOutage:  func(err error) { outages <- err },
				OnConnect: func() { connects <- struct{}{} },
			})
			var pending []*client.Pending
			for range total {
				one, err := p.PublishAsync(t.Context(), warning(""))
				if err != nil {
					t.Fatal(err)
				}
				pending = append(pending, one)
			}
			for i, one := range pending {
				accepted := mustWait(t, one)
				if accepted.Position != "at "+one.ID() {
					t.Errorf("notification %d has the answer of another: %+v", i, accepted)
				}
			}
			for i := total - tc.left; i < total; i++ {
				if id := await(t, resent); id != pending[i].ID() {
					t.Errorf("%q was sent again in place of notification %d", id, i)
				}
			}
			if err := await(t, outages); err == nil || len(outages) != 0 {
				t.Errorf("first outage %v, and %d more", err, len(outages))
			}
			await(t, connects)
		})
	}
}

// TestTooLarge: which request was too large is not said, and what came before it may be unanswered. Only that one
// fails, and all others are sent again.
func TestTooLarge(t *testing.T) {
	const total, limit = 20, 50_000
	addr, server := serve(t, func(number int, stream publishStream) error {
		for {
			request, err := stream.Recv()
			if err != nil {
				return nil
			}
			if len(request.GetNotification().GetLegacy().GetValue()) > limit {
				return status.Error(codes.ResourceExhausted, "larger than max")
			}
			if number%2 == 1 {
				continue // its answer gets lost
			}
			if err := accept(stream, request); err != nil {
				return err
			}
		}
	})
	p := newPublisher(t, client.PublisherConfig{Addr: addr, OnOutage: func(err error) { t.Errorf("an outage: %v", err) }})
	tooLarge := map[int]int{3: limit + 1, 7: limit + 3, 8: limit + 2}
	var pending []*client.Pending
	for i := range total {
		size := i
		if tooLarge[i] != 0 {
			size = tooLarge[i]
		}
		one, err := p.PublishAsync(t.Context(), warning(strings.Repeat("x", size)))
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, one)
	}
	for i, one := range pending {
		_, err := one.Wait(t.Context())
		if tooLarge[i] != 0 {
			checkRejected(t, fmt.Sprint("notification ", i), err, notificationsv1.Reason_REASON_TOO_LARGE, "")
		} else if err != nil {
			t.Errorf("notification %d: %v", i, err)
		}
	}
	if n := server.count(); n != len(tooLarge)+1 {
		t.Errorf("%d streams", n)
	}
}

// TestTooLargeForThisSide: a limit of the program's own fails one notification like one of the bridge's.
func TestTooLargeForThisSide(t *testing.T) {
	b := start(t, bridge.Config{})
	p := newPublisher(t, client.PublisherConfig{Addr: b.GRPCAddr(), DialOptions: []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1000)),
	}})
	_, err := p.Publish(t.Context(), warning(strings.Repeat("x", 1000)))
	checkRejected(t, "too large", err, notificationsv1.Reason_REASON_TOO_LARGE, "")
	if _, err := p.Publish(t.Context(), warning("small")); err != nil {
		t.Error(err)
	}
}

// TestNoSpinning: after a failure the publisher waits for its backoff, however much there is to send.
func TestNoSpinning(t *testing.T) {
	addr, server := serve(t, func(int, publishStream) error { return status.Error(codes.Unavailable, "not now") })
	outage := make(chan error, 1)
	p := newPublisher(t, client.PublisherConfig{
		Addr: addr, Backoff: client.Backoff{Min: time.Hour, Max: time.Hour},
		OnOutage: func(err error) { outage <- err },
	})
	for range 100 {
		if _, err := p.PublishAsync(t.Context(), warning("")); err != nil {
			t.Fatal(err)
		}
	}
	await(t, outage)
	for range 100 {
		if _, err := p.PublishAsync(t.Context(), warning("")); err != nil {
			t.Fatal(err)
		}
	}
	if n := server.count(); n != 1 {
		t.Errorf("%d attempts, want 1", n)
	}
}

// TestBridgeComesLater: what is published before there is a bridge waits for it.
func TestBridgeComesLater(t *testing.T) {
	free := start(t, bridge.Config{})
	addr := free.GRPCAddr()
	free.stop()
	outage := make(chan error, 1)
	p := newPublisher(t, client.PublisherConfig{Addr: addr, OnOutage: func(err error) { outage <- err }})
	pending, err := p.PublishAsync(t.Context(), warning(""))
	if err != nil {
		t.Fatal(err)
	}
	if err := await(t, outage); status.Code(err) != codes.Unavailable {
		t.Errorf("the outage is told as: %v", err)
	}
	start(t, bridge.Config{GRPCAddr: addr})
	mustWait(t, pending)
}
