package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/ingest"
	"github.com/rotki/notification-bridge/client"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// recorder stores what it is given, and knows the order. It implements ingest.Sink, ingest.Publisher and ingest.Pending.
type recorder struct {
	mu    sync.Mutex
	texts []string
}

func (r *recorder) Open(auth.Caller) ingest.Publisher { return r }

func (r *recorder) Publish(_ context.Context, request *notificationsv1.PublishRequest) (ingest.Pending, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts = append(r.texts, request.GetNotification().GetLegacy().GetValue())
	return r, nil
}

func (r *recorder) Settled() bool { return true }

func (r *recorder) Wait(context.Context) (*notificationsv1.Accepted, error) {
	return &notificationsv1.Accepted{Position: "1"}, nil
}

// inOrder checks that it was given the numbers up to n, each once.
func (r *recorder) inOrder(t *testing.T, n int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	want := make([]string, n)
	for i := range want {
		want[i] = fmt.Sprint(i)
	}
	if !slices.Equal(r.texts, want) {
		t.Errorf("%d of %d arrived, or not in order", len(r.texts), n)
	}
}

// ingested runs the gRPC side of a bridge and returns its address.
func ingested(t *testing.T, config ingest.Config) (*ingest.Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := ingest.New(config)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		server.Drain(now)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return server, l.Addr().String()
}

// publishNumbers publishes the numbers up to n, and closes the publisher.
func publishNumbers(t *testing.T, p *client.Publisher, n int) {
	t.Helper()
	for i := range n {
		if _, err := p.PublishAsync(t.Context(), warning(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func tokenOf(ctx context.Context) string {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	return strings.TrimPrefix(strings.Join(values, ""), "Bearer ")
}

// TestRateLosesNothing: a publisher that is four times faster than it may be is slowed down, and that is all.
func TestRateLosesNothing(t *testing.T) {
	sink := new(recorder)
	_, addr := ingested(t, ingest.Config{Sink: sink, PublishRate: 500})
	p := newPublisher(t, client.PublisherConfig{Addr: addr, OnOutage: func(err error) { t.Errorf("an outage: %v", err) }})
	begun := time.Now()
	publishNumbers(t, p, 2000)
	sink.inOrder(t, 2000)
	if took := time.Since(begun); took < 2900*time.Millisecond {
		t.Errorf("2,000 at 500/s and a burst of 500 took %v", took)
	}
}

// TestTooManyStreams: a publisher that has no stream yet waits for one.
func TestTooManyStreams(t *testing.T) {
	sink := new(recorder)
	_, addr := ingested(t, ingest.Config{Sink: sink, MaxStreams: 1})
	first := newPublisher(t, client.PublisherConfig{Addr: addr})
	if _, err := first.Publish(t.Context(), warning("0")); err != nil {
		t.Fatal(err)
	}
	outage := make(chan error, 1)
	second := newPublisher(t, client.PublisherConfig{Addr: addr, OnOutage: func(err error) { outage <- err }})
	pending, err := second.PublishAsync(t.Context(), warning("1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := await(t, outage); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("the outage: %v", err)
	}
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustWait(t, pending)
	sink.inOrder(t, 2)
}

// TestTokenIsReplaced: each token is good for one stream of a tenth of a second, and nothing is lost.
func TestTokenIsReplaced(t *testing.T) {
	sink := new(recorder)
	_, addr := ingested(t, ingest.Config{Sink: sink, Authenticate: func(ctx context.Context) (auth.Caller, error) {
		if strings.HasPrefix(tokenOf(ctx), "good") {
			return auth.Caller{Subject: "ann", Expires: time.Now().Add(100 * time.Millisecond)}, nil
		}
		return auth.Caller{}, &auth.Refusal{Defect: auth.WrongKey}
	}})
	shown := 0
	outages := make(chan error, 1000)
	p := newPublisher(t, client.PublisherConfig{
		Addr: addr,
		Token: func(context.Context) (string, error) {
			switch shown++; {
			case shown == 1:
				return "bad", nil
			case shown == 2:
				return "", errors.New("the file is being written")
			default:
				return fmt.Sprint("good", shown, "\n"), nil
			}
		},
		OnOutage: func(err error) { outages <- err },
	})
	begun := time.Now()
	n := 0
	for ; time.Since(begun) < 500*time.Millisecond; n++ {
		if _, err := p.Publish(t.Context(), warning(fmt.Sprint(n))); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	sink.inOrder(t, n)
	if err := await(t, outages); status.Code(err) != codes.Unauthenticated {
		t.Errorf("the first outage: %v", err)
	}
}

// TestTokenIsRefused: a token that is refused twice fails what there is; another one does what it should.
func TestTokenIsRefused(t *testing.T) {
	sink := new(recorder)
	attempts := make(chan string, 100)
	_, addr := ingested(t, ingest.Config{Sink: sink, Authenticate: func(ctx context.Context) (auth.Caller, error) {
		attempts <- tokenOf(ctx)
		if tokenOf(ctx) == "good" {
			return auth.Caller{}, nil
		}
		return auth.Caller{}, &auth.Refusal{Defect: auth.WrongScope}
	}})
	var token atomic.Value
	token.Store("bad")
	p := newPublisher(t, client.PublisherConfig{
		Addr: addr, Token: func(context.Context) (string, error) { return token.Load().(string), nil },
	})
	_, err := p.Publish(t.Context(), warning("lost"))
	refused, ok := errors.AsType[*client.CredentialError](err)
	if !ok || refused.Code != codes.PermissionDenied || refused.Message != "the token does not allow this" {
		t.Errorf("got %v", err)
	}
	if len(attempts) != 2 {
		t.Errorf("%d attempts", len(attempts))
	}
	token.Store("good")
	publishNumbers(t, p, 1)
	sink.inOrder(t, 1)
}

// TestRevokedToken: what was taken is answered; the token is shown once more, and then what is left fails.
func TestRevokedToken(t *testing.T) {
	var revoked atomic.Bool
	server, addr := ingested(t, ingest.Config{
		Sink: new(recorder), Revoked: func(string) bool { return revoked.Load() },
		Authenticate: func(context.Context) (auth.Caller, error) {
			if revoked.Load() {
				return auth.Caller{}, &auth.Refusal{Defect: auth.Revoked}
			}
			return auth.Caller{TokenID: "1"}, nil
		},
	})
	p := newPublisher(t, client.PublisherConfig{Addr: addr, Token: func(context.Context) (string, error) { return "t", nil }})
	if _, err := p.Publish(t.Context(), warning("")); err != nil {
		t.Fatal(err)
	}
	revoked.Store(true)
	server.Recheck()
	_, err := p.Publish(t.Context(), warning(""))
	if refused, ok := errors.AsType[*client.CredentialError](err); !ok || refused.Code != codes.Unauthenticated {
		t.Errorf("got %v", err)
	}
}

func TestTokenInPlainText(t *testing.T) {
	token := func(context.Context) (string, error) { return "t", nil }
	for addr, fine := range map[string]bool{
		"127.0.0.1:5044": true, "localhost:5044": true, "[::1]:5044": true, "dns:///localhost:5044": true, "unix:/run/bridge": true,
		"192.0.2.1:5044": false, "bridge.test:5044": false, "dns:///bridge.test:5044": false, "localhost.test:5044": false,
	} {
		p, err := client.NewPublisher(client.PublisherConfig{Addr: addr, Token: token})
		if (err == nil) != fine {
			t.Errorf("%s: %v", addr, err)
		}
		if err == nil {
			_ = p.Close(t.Context())
		}
	}
	for url, fine := range map[string]bool{
		"ws://127.0.0.1:5043/ws/": true, "ws://localhost/ws/": true, "ws://[::1]/ws/": true, "wss://bridge.test/ws/": true,
		"ws://bridge.test/ws/": false, "ws://unix:5043/ws/": false, "ws://192.0.2.1:5043/ws/": false,
	} {
		if _, err := client.NewSubscriber(client.SubscriberConfig{URL: url, Token: token}); (err == nil) != fine {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// TestSubscriberShowsItsToken: another one for each handshake, and over TLS. A server says when to come back.
func TestSubscriberShowsItsToken(t *testing.T) {
	shown := make(chan string, 100)
	attempt := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown <- r.Header.Get("Authorization")
		switch attempt++; attempt {
		case 1:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "full", http.StatusServiceUnavailable)
		case 2:
			w.Header().Set("Retry-After", time.Now().Add(2*time.Second).UTC().Format(http.TimeFormat))
			http.Error(w, "too fast", http.StatusTooManyRequests)
		case 3:
			upgraded(func(conn *websocket.Conn) {
				_ = conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"newer","data":{}}`))
				_, _, _ = conn.ReadMessage()
			})(w, r)
		default:
			http.Error(w, "the token has expired; get a new one", http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	tokens := 0
	s, err := client.NewSubscriber(client.SubscriberConfig{
		URL: "wss" + strings.TrimPrefix(server.URL, "https") + "?token=secret",
		TLS: &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs},
		Token: func(context.Context) (string, error) {
			tokens++
			return fmt.Sprint("t", tokens), nil
		},
		Backoff: client.Backoff{Min: time.Hour, Max: time.Hour}, // the server's word counts
	})
	if err != nil {
		t.Fatal(err)
	}
	for m, err := range s.Messages(t.Context()) {
		if err != nil || m.Type != "newer" {
			t.Errorf("got %+v, %v", m, err)
		}
		break
	}
	for _, err := range s.Messages(t.Context()) {
		refused, ok := errors.AsType[*client.HandshakeError](err)
		if !ok || refused.Status != http.StatusUnauthorized || strings.Contains(err.Error(), "secret") {
			t.Errorf("ended with %v", err)
		}
	}
	for i := range 4 {
		if got, want := await(t, shown), fmt.Sprint("Bearer t", i+1); got != want {
			t.Errorf("handshake %d showed %q", i+1, got)
		}
	}
}

// TestRetryInfo: a bridge that says when to come back is obeyed, not the backoff, and gets everything in order.
func TestRetryInfo(t *testing.T) {
	limited := func(delay time.Duration) error {
		s, err := status.New(codes.ResourceExhausted, "slower").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
		if err != nil {
			t.Fatal(err)
		}
		return s.Err()
	}
	const each, total = 3, 10
	taken := make(chan string, 2*total)
	addr, _ := serve(t, func(number int, stream publishStream) error {
		if number == 1 {
			return limited(time.Millisecond)
		}
		for range each {
			request, err := stream.Recv()
			if err != nil {
				return nil
			}
			taken <- request.GetNotification().GetLegacy().GetValue()
			if err := accept(stream, request); err != nil {
				return err
			}
		}
		return limited(time.Millisecond)
	})
	outages := make(chan error, total)
	p := newPublisher(t, client.PublisherConfig{
		Addr: addr, OnOutage: func(err error) { outages <- err }, Backoff: client.Backoff{Min: time.Hour, Max: time.Hour},
	})
	publishNumbers(t, p, total)
	for i := range total {
		if text := await(t, taken); text != fmt.Sprint(i) {
			t.Errorf("%s came as number %d", text, i)
		}
	}
	if len(taken) != 0 || len(outages) != 1 { // the first stream answered nothing
		t.Errorf("%d came twice; %d outages", len(taken), len(outages))
	}
}
