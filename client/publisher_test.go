package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/client"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

func TestPublishersKeepTheirOrder(t *testing.T) {
	b := start(t, bridge.Config{})
	subscriber := listen(t, client.SubscriberConfig{URL: b.url()})
	const publishers, each = 8, 500
	var publishing sync.WaitGroup
	for who := range publishers {
		p := newPublisher(t, client.PublisherConfig{Addr: b.GRPCAddr(), Window: 100})
		publishing.Go(func() {
			for i := range each {
				if _, err := p.PublishAsync(t.Context(), warning(fmt.Sprintf("%d %d", who, i))); err != nil {
					t.Error(err)
					return
				}
			}
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	publishing.Wait()
	next := make([]int, publishers)
	for _, text := range subscriber.texts(t, publishers*each) {
		var who, i int
		if _, err := fmt.Sscanf(text, "%d %d", &who, &i); err != nil || i != next[who] {
			t.Fatalf("%q came when publisher %d was at %d (%v)", text, who, next[who], err)
		}
		next[who]++
	}
}

func TestPublishWaitsForTheAnswer(t *testing.T) {
	b := start(t, bridge.Config{})
	p := newPublisher(t, client.PublisherConfig{Addr: b.GRPCAddr()})
	listen(t, client.SubscriberConfig{URL: b.url()})
	n := warning("first")
	first, err := p.Publish(t.Context(), n, client.WithID("an id"))
	if err != nil || first.Position == "" || first.Subscribers != 1 || first.Duplicate {
		t.Fatalf("got %+v, %v", first, err)
	}
	again, err := p.Publish(t.Context(), n, client.WithID("an id"))
	if want := (client.Accepted{Position: first.Position, Subscribers: 1, Duplicate: true}); err != nil || again != want {
		t.Errorf("the same id again: got %+v, %v, want %+v", again, err, want)
	}
	forSomeone, err := p.Publish(t.Context(), n, client.WithRecipients("yabirgb"))
	if err != nil || forSomeone.Subscribers != 0 {
		t.Errorf("for one recipient: got %+v, %v, want no subscribers", forSomeone, err)
	}
}

func TestPublishTakesASnapshot(t *testing.T) {
	b := start(t, bridge.Config{})
	subscriber := listen(t, client.SubscriberConfig{URL: b.url()})
	p := newPublisher(t, client.PublisherConfig{Addr: b.GRPCAddr()})
	n := warning("")
	for i := range 100 {
		n.GetLegacy().Value = fmt.Sprint(i)
		if _, err := p.PublishAsync(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	for i, text := range subscriber.texts(t, 100) {
		if text != fmt.Sprint(i) {
			t.Fatalf("notification %d says %q", i, text)
		}
	}
}

// TestRejected refuses every kind of notification that can be refused, among good ones on the same publisher.
func TestRejected(t *testing.T) {
	b := start(t, bridge.Config{MaxMessageBytes: 1000})
	subscriber := listen(t, client.SubscriberConfig{URL: b.url()})
	p := newPublisher(t, client.PublisherConfig{Addr: b.GRPCAddr()})
	login := &notificationsv1.Notification{Payload: &notificationsv1.Notification_LoginStatus{LoginStatus: &notificationsv1.LoginStatus{}}}
	unspecified := warning("")
	unspecified.GetLegacy().Verbosity = notificationsv1.Verbosity_VERBOSITY_UNSPECIFIED
	unknown := warning("")
	unknown.GetLegacy().Verbosity = 77
	cases := []struct {
		name   string
		n      *notificationsv1.Notification
		how    []client.PublishOption
		reason notificationsv1.Reason
		field  string
	}{
		{"nil", nil, nil, notificationsv1.Reason_REASON_PAYLOAD_MISSING, "notification"},
		{"no type", &notificationsv1.Notification{}, nil, notificationsv1.Reason_REASON_PAYLOAD_MISSING, "payload"},
		{"missing message", login, nil, notificationsv1.Reason_REASON_INVALID_FIELD, "login_status.current_upgrade"},
		{"unspecified enum", unspecified, nil, notificationsv1.Reason_REASON_INVALID_FIELD, "legacy.verbosity"},
		{"unknown enum", unknown, nil, notificationsv1.Reason_REASON_UNKNOWN_TO_CONTRACT, "legacy.verbosity"},
		{"invalid UTF-8", warning("a\xff"), nil, notificationsv1.Reason_REASON_MALFORMED, "legacy.value"},
		{"invalid UTF-8 in the id", warning("a"), []client.PublishOption{client.WithID("\xff")}, notificationsv1.Reason_REASON_MALFORMED, "id"},
		{
			"invalid UTF-8 in a recipient", warning("a"),
			[]client.PublishOption{client.WithRecipients("a", "\xff")},
			notificationsv1.Reason_REASON_MALFORMED, "recipients[1]",
		},
		{"no recipients", warning("a"), []client.PublishOption{client.WithRecipients()}, notificationsv1.Reason_REASON_INVALID_FIELD, "recipients"},
		{"empty recipient", warning("a"), []client.PublishOption{client.WithRecipients("")}, notificationsv1.Reason_REASON_INVALID_FIELD, "recipients[0]"},
		{
			"long id", warning("a"),
			[]client.PublishOption{client.WithID(strings.Repeat("x", 129))},
			notificationsv1.Reason_REASON_INVALID_FIELD, "id",
		},
		{"large", warning(strings.Repeat("x", 1001)), nil, notificationsv1.Reason_REASON_TOO_LARGE, ""},
		{"larger than gRPC takes", warning(strings.Repeat("x", 17<<20)), nil, notificationsv1.Reason_REASON_TOO_LARGE, ""},
		{"even larger", warning(strings.Repeat("x", 18<<20)), nil, notificationsv1.Reason_REASON_TOO_LARGE, ""},
	}
	var good []*client.Pending
	bad := make([]*client.Pending, len(cases))
	for i, tc := range cases {
		before, err := p.PublishAsync(t.Context(), warning("before "+tc.name))
		if err != nil {
			t.Fatal(err)
		}
		if bad[i], err = p.PublishAsync(t.Context(), tc.n, tc.how...); err != nil {
			checkRejected(t, tc.name, err, tc.reason, tc.field)
		}
		good = append(good, before)
	}
	for i, tc := range cases {
		if _, err := good[i].Wait(t.Context()); err != nil {
			t.Errorf("the one before %s: %v", tc.name, err)
		}
		if bad[i] != nil {
			_, err := bad[i].Wait(t.Context())
			checkRejected(t, tc.name, err, tc.reason, tc.field)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for i, text := range subscriber.texts(t, len(cases)) {
		if want := "before " + cases[i].name; text != want {
			t.Errorf("notification %d is %q, want %q", i, text, want)
		}
	}
}

func checkRejected(t *testing.T, name string, err error, reason notificationsv1.Reason, field string) {
	t.Helper()
	var rejected *client.RejectedError
	if !errors.As(err, &rejected) {
		t.Errorf("%s: got %v, want a *RejectedError", name, err)
		return
	}
	if rejected.Reason != reason || rejected.Field != field || rejected.Message == "" {
		t.Errorf("%s: got %v %q: %v, want %v %q", name, rejected.Reason, rejected.Field, rejected, reason, field)
	}
}

// TestRestart drains a bridge and starts another on the same ports while a publisher is at work.
func TestRestart(t *testing.T) {
	first := start(t, bridge.Config{})
	before := listen(t, client.SubscriberConfig{URL: first.url()})
	p := newPublisher(t, client.PublisherConfig{Addr: first.GRPCAddr(), Window: 64})
	const restartAt, total = 1000, 3000
	pending := make([]*client.Pending, 0, total)
	publish := func(i int) {
		one, err := p.PublishAsync(t.Context(), warning(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, one)
	}
	var restarting sync.WaitGroup
	for i := range total {
		if i == restartAt {
			restarting.Go(func() {
				first.stop()
				start(t, bridge.Config{HTTPAddr: first.HTTPAddr(), GRPCAddr: first.GRPCAddr()})
			})
		}
		publish(i)
	}
	restarting.Wait()
	await(t, before.connected) // by itself, to the second bridge
	for i := range 100 {
		publish(total + i)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	positions := make(map[string]bool)
	acked := make(map[string][]int) // by epoch
	for i, one := range pending {
		accepted, err := one.Wait(t.Context())
		if err != nil || accepted.Duplicate || positions[accepted.Position] {
			t.Fatalf("notification %d: %+v, %v; position taken before: %v", i, accepted, err, positions[accepted.Position])
		}
		positions[accepted.Position] = true
		epoch, _, _ := strings.Cut(accepted.Position, "-")
		acked[epoch] = append(acked[epoch], i)
	}
	if len(acked) != 2 {
		t.Fatalf("acknowledged by %d bridges, want 2", len(acked))
	}
	firstEpoch, _, _ := strings.Cut(mustWait(t, pending[0]).Position, "-")
	var got []int
	for last := -1; last != total+99; {
		if _, err := fmt.Sscan(before.texts(t, 1)[0], &last); err != nil {
			t.Fatal(err)
		}
		got = append(got, last)
	}
	n := len(acked[firstEpoch])
	if len(got) < n || !slices.Equal(got[:n], acked[firstEpoch]) {
		t.Errorf("of the first bridge's %d acknowledged the subscriber got others", n)
	}
	// Between the bridges the subscriber was not connected; from then on it gets all.
	rest := got[n:]
	if !slices.IsSorted(rest) || len(slices.Compact(slices.Clone(rest))) != len(rest) || len(rest) < 100 {
		t.Errorf("of the second bridge's the subscriber got %v", rest)
	}
}

func mustWait(t *testing.T, p *client.Pending) client.Accepted {
	t.Helper()
	accepted, err := p.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return accepted
}

// TestCutConnections breaks the publisher's connection again and again, under a bridge that stays: whatever was
// accepted but whose answer was lost is sent again, and delivered once.
func TestCutConnections(t *testing.T) {
	b := start(t, bridge.Config{})
	subscriber := listen(t, client.SubscriberConfig{URL: b.url()})
	proxy, cuts := cutting(t, b.GRPCAddr(), 10)
	p := newPublisher(t, client.PublisherConfig{Addr: proxy, Window: 256})
	const total = 5000
	pending := make([]*client.Pending, total)
	for i := range total {
		var err error
		if pending[i], err = p.PublishAsync(t.Context(), warning(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	positions := make(map[string]bool)
	duplicates := 0
	for _, one := range pending {
		accepted := mustWait(t, one)
		positions[accepted.Position] = true
		if accepted.Duplicate {
			duplicates++
		}
	}
	if len(positions) != total {
		t.Errorf("%d positions for %d notifications", len(positions), total)
	}
	for i, text := range subscriber.texts(t, total) {
		if text != fmt.Sprint(i) {
			t.Fatalf("got %q in place %d", text, i)
		}
	}
	if n := cuts(); n < 10 {
		t.Errorf("the connection was cut %d times, want 10", n)
	}
	t.Logf("%d answered as duplicates", duplicates)
}

// cutting is a TCP proxy that ends its first connections abruptly, each after some more bytes of answers.
func cutting(t *testing.T, target string, times int) (addr string, cuts func() int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var working sync.WaitGroup
	var mu sync.Mutex
	done := 0
	working.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				in.Close()
				return
			}
			working.Go(func() {
				_, _ = io.Copy(out, in)
				_ = out.Close()
			})
			working.Go(func() {
				defer in.Close()
				defer out.Close()
				mu.Lock()
				limit := int64(2000 * (done + 1))
				last := done >= times
				mu.Unlock()
				if last {
					_, _ = io.Copy(in, out)
					return
				}
				if n, _ := io.CopyN(in, out, limit); n == limit {
					mu.Lock()
					done++
					mu.Unlock()
				}
				_ = in.(*net.TCPConn).SetLinger(0)
			})
		}
	})
	t.Cleanup(working.Wait)
	t.Cleanup(func() { l.Close() })
	return l.Addr().String(), func() int {
		mu.Lock()
		defer mu.Unlock()
		return done
	}
}

func TestClosed(t *testing.T) {
	b := start(t, bridge.Config{})
	p := newPublisher(t, client.PublisherConfig{Addr: b.GRPCAddr()})
	if err := p.Close(t.Context()); err != nil {
		t.Errorf("close without having published: %v", err)
	}
	if _, err := p.Publish(t.Context(), warning("")); !errors.Is(err, client.ErrClosed) {
		t.Errorf("publish after close: %v, want ErrClosed", err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Errorf("close again: %v", err)
	}
	if _, err := client.NewPublisher(client.PublisherConfig{Window: -1}); err == nil {
		t.Error("a negative window was taken")
	}
	if _, err := client.NewPublisher(client.PublisherConfig{Backoff: client.Backoff{Min: 2, Max: 1}}); err == nil {
		t.Error("a backoff from 2 to 1 was taken")
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	open := newPublisher(t, client.PublisherConfig{Addr: b.GRPCAddr()})
	if _, err := open.PublishAsync(canceled, warning("")); !errors.Is(err, context.Canceled) {
		t.Errorf("publish with a context that is done: %v", err)
	}
}
