package main_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/client"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// kills is how often each of these tests kills something; `make kill` has it done 100 times.
var kills = flag.Int("kills", 5, "how often a process is killed in the tests that kill")

// quick makes clients come back at once.
var quick = client.Backoff{Min: 5 * time.Millisecond, Max: 100 * time.Millisecond}

// TestKilledBridge kills a bridge that keeps its journal on disk, at random moments, under a publisher that streams and
// a subscriber that resumes: what was acknowledged is what is delivered, once each and in order.
func TestKilledBridge(t *testing.T) {
	dir := t.TempDir()
	flags := append(fixedPorts(t), "--data-dir", dir)
	bridge := startProcess(t, flags...)
	run := stream(t, bridge.grpc, bridge.websocket, nil)
	for kill := range *kills {
		run.awaitProgress()
		time.Sleep(rand.N(300 * time.Millisecond)) // nothing is waited for: the moment is to be random
		bridge.kill()
		bridge = startProcess(t, flags...)
		if (kill+1)%10 == 0 {
			t.Logf("%d kills: %v", kill+1, run)
		}
	}
	run.awaitProgress()
	run.finish()
	t.Logf("killed %d times: %v", *kills, run)
}

// fixedPorts returns flags for ports that are free, so that a bridge can be started again on them.
func fixedPorts(t *testing.T) (flags []string) {
	t.Helper()
	for _, flag := range []string{"--http-addr", "--grpc-addr", "--admin-addr", "--admin-grpc-addr"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		flags = append(flags, flag, l.Addr().String())
	}
	return flags
}

// streaming is a publisher that streams 1,000 numbered messages a second, and a subscriber that resumes.
type streaming struct {
	t         *testing.T
	publisher *client.Publisher
	stop      context.CancelFunc
	published sync.WaitGroup
	received  sync.WaitGroup

	sent, acknowledged, duplicates, delivered, connects atomic.Int64
}

// streamRate is how many messages are published in a second.
const streamRate = 1000

func stream(t *testing.T, grpc, websocket string, token client.TokenSource) *streaming {
	t.Helper()
	publisher, err := client.NewPublisher(client.PublisherConfig{Addr: grpc, Token: token, Backoff: quick})
	if err != nil {
		t.Fatal(err)
	}
	r := &streaming{t: t, publisher: publisher}
	var publishing, receiving context.Context
	publishing, r.stop = context.WithCancel(context.Background())
	receiving, cancel := context.WithCancel(context.Background())
	subscribed := make(chan struct{})
	subscriber, err := client.NewSubscriber(client.SubscriberConfig{
		URL:     "ws://" + websocket + "/ws/",
		Token:   token,
		Backoff: quick,
		OnConnect: func() {
			if r.connects.Add(1) == 1 {
				close(subscribed)
			}
		},
		OnLost: func(err error) { t.Errorf("lost: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	r.received.Go(func() { r.receive(receiving, subscriber) })
	t.Cleanup(func() {
		r.stop()
		cancel()
		expired, expire := context.WithCancel(context.Background())
		expire()
		_ = publisher.Close(expired)
		r.published.Wait()
		r.received.Wait()
	})
	<-subscribed
	r.published.Go(func() { r.publish(publishing) })
	return r
}

// publish publishes until ctx is done, and counts what is acknowledged.
func (r *streaming) publish(ctx context.Context) {
	tick := time.NewTicker(time.Second / streamRate)
	defer tick.Stop()
	for ctx.Err() == nil {
		pending, err := r.publisher.PublishAsync(ctx, warning(fmt.Sprint(r.sent.Load())).GetNotification())
		if err != nil {
			if ctx.Err() == nil {
				r.t.Errorf("publish: %v", err)
			}
			return
		}
		r.sent.Add(1)
		r.published.Go(func() { r.acknowledge(pending) })
		<-tick.C
	}
}

func (r *streaming) acknowledge(pending *client.Pending) {
	accepted, err := pending.Wait(context.Background())
	if err != nil {
		r.t.Errorf("not acknowledged: %v", err)
		return
	}
	r.acknowledged.Add(1)
	if accepted.Duplicate {
		r.duplicates.Add(1)
	}
}

// receive checks that each message is the next one.
func (r *streaming) receive(ctx context.Context, subscriber *client.Subscriber) {
	for m, err := range subscriber.Messages(ctx) {
		if err != nil {
			if ctx.Err() == nil {
				r.t.Errorf("receive: %v", err)
			}
			return
		}
		want := fmt.Sprint(r.delivered.Load())
		if got := value(m.Notification); got != want {
			r.t.Errorf("message %s came, %s was next", got, want)
			return
		}
		r.delivered.Add(1)
	}
}

func value(n *notificationsv1.Notification) string { return n.GetLegacy().GetValue() }

// awaitProgress returns once more messages have been acknowledged and delivered.
func (r *streaming) awaitProgress() {
	r.t.Helper()
	acknowledged, delivered := r.acknowledged.Load(), r.delivered.Load()
	await(r.t, "it goes on", func() bool {
		return r.t.Failed() || r.acknowledged.Load() > acknowledged+100 && r.delivered.Load() > delivered+100
	})
	if r.t.Failed() {
		r.t.FailNow()
	}
}

// finish stops publishing, and checks that everything was acknowledged and delivered.
func (r *streaming) finish() {
	r.t.Helper()
	r.stop()
	if err := r.publisher.Close(context.Background()); err != nil {
		r.t.Fatalf("flush: %v", err)
	}
	r.published.Wait()
	await(r.t, "all is delivered", func() bool { return r.delivered.Load() >= r.acknowledged.Load() || r.t.Failed() })
	if sent, acknowledged, delivered := r.sent.Load(), r.acknowledged.Load(), r.delivered.Load(); sent != acknowledged || sent != delivered {
		r.t.Errorf("%d sent, %d acknowledged, %d delivered", sent, acknowledged, delivered)
	}
}

func (r *streaming) String() string {
	return fmt.Sprintf("%d sent, %d acknowledged (%d as duplicates), %d delivered once each and in order, over %d connections of the subscriber",
		r.sent.Load(), r.acknowledged.Load(), r.duplicates.Load(), r.delivered.Load(), r.connects.Load())
}
