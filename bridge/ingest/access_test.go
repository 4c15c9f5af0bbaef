package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/ingest"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// quickSink stores everything at once.
type quickSink struct {
	mu sync.Mutex
	n  int           // requests
	by []auth.Caller // who opened the streams
}

func (s *quickSink) Open(caller auth.Caller) ingest.Publisher {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.by = append(s.by, caller)
	return s
}

func (s *quickSink) Publish(context.Context, *notificationsv1.PublishRequest) (ingest.Pending, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	return stored{fmt.Sprint(s.n)}, nil
}

type stored struct{ position string }

func (stored) Settled() bool { return true }

func (s stored) Wait(context.Context) (*notificationsv1.Accepted, error) {
	return &notificationsv1.Accepted{Position: s.position}, nil
}

// listen serves at a free port and returns where.
func listen(t *testing.T, config ingest.Config) (*ingest.Server, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
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
	return server, listener.Addr().String()
}

func dial(t *testing.T, addr string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	if len(options) == 0 {
		options = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	conn, err := grpc.NewClient(addr, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// open opens a Publish stream with a token, if there is one.
func open(t *testing.T, conn *grpc.ClientConn, token string) stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	s, err := notificationsv1.NewNotificationServiceClient(conn).Publish(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ended receives the status with which a stream ends.
func ended(t *testing.T, s stream, code codes.Code, sentence string) {
	t.Helper()
	if response, err := s.Recv(); status.Code(err) != code || status.Convert(err).Message() != sentence {
		t.Fatalf("got %v, %v; want the end with %v: %s", response, err, code, sentence)
	}
}

// people says who a call is by: its token is one of their names.
type people map[string]auth.Caller

func (p people) authenticate(ctx context.Context) (auth.Caller, error) {
	token := ""
	if values := metadata.ValueFromIncomingContext(ctx, "authorization"); len(values) == 1 {
		token = strings.TrimPrefix(values[0], "Bearer ")
	}
	caller, ok := p[token]
	switch {
	case token == "":
		return auth.Caller{}, &auth.Refusal{Defect: auth.Missing, Detail: "for the operator only"}
	case token == "a subscriber":
		return auth.Caller{}, &auth.Refusal{Defect: auth.WrongScope, Detail: "for the operator only"}
	case token == "one too many":
		return auth.Caller{}, errors.New("something that is no refusal")
	case !ok:
		return auth.Caller{}, &auth.Refusal{Defect: auth.WrongKey, Detail: "for the operator only"}
	}
	return caller, nil
}

// lines is a log that may be written to and read at the same time.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestWhoIsRefused: who shows no good credential is told so in a sentence, the operator more, and nobody else gets in.
func TestWhoIsRefused(t *testing.T) {
	var mu sync.Mutex
	var defects []auth.Defect
	log := new(lines)
	sink := new(quickSink)
	ann := auth.Caller{Subject: "ann", Types: []string{"legacy"}}
	_, addr := listen(t, ingest.Config{
		Sink:         sink,
		Authenticate: people{"ann": ann}.authenticate,
		Logger:       textLogger(log),
		Refused: func(d auth.Defect) {
			mu.Lock()
			defer mu.Unlock()
			defects = append(defects, d)
		},
	})
	conn := dial(t, addr)
	ended(t, open(t, conn, ""), codes.Unauthenticated, "a token is required")
	ended(t, open(t, conn, "secret"), codes.Unauthenticated, "the token was refused; the bridge's operator finds the reason in its log")
	ended(t, open(t, conn, "a subscriber"), codes.PermissionDenied, "the token does not allow this")
	ended(t, open(t, conn, "one too many"), codes.Internal, "internal error; the bridge's log says more")

	good := open(t, conn, "ann")
	send(t, good, "a")
	expect(t, good, "a", "1")
	if len(sink.by) != 1 || sink.by[0].Subject != "ann" || !slices.Equal(sink.by[0].Types, ann.Types) {
		t.Errorf("streams were opened by %+v, want ann alone", sink.by)
	}

	mu.Lock()
	defer mu.Unlock()
	if want := []auth.Defect{auth.Missing, auth.WrongKey, auth.WrongScope}; !slices.Equal(defects, want) {
		t.Errorf("refused for %v, want %v", defects, want)
	}
	text := log.String()
	if !strings.Contains(text, "a publisher's credential was refused") {
		t.Errorf("the log does not tell of it:\n%s", text)
	}
	if !strings.Contains(text, "missing: for the operator only") || !strings.Contains(text, "peer=127.0.0.1:") {
		t.Errorf("the log does not say why, or whom:\n%s", text)
	}
	if strings.Contains(text, "secret") {
		t.Errorf("the log has a token:\n%s", text)
	}
}

// TestHealthNeedsNoCredential: a check, that is. Who watches, or asks what there is, must show one.
func TestHealthNeedsNoCredential(t *testing.T) {
	_, addr := listen(t, ingest.Config{Sink: new(quickSink), Authenticate: people{"ann": {}}.authenticate})
	conn := dial(t, addr)
	if r, err := healthv1.NewHealthClient(conn).Check(t.Context(), nil); err != nil || r.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", r, err)
	}
	watch, err := healthv1.NewHealthClient(conn).Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("health's watch: %v", err)
	}
	reflect, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reflect.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("reflection: %v", err)
	}
}

// TestExpiryMidStream: what was taken before is answered, nothing is taken after.
func TestExpiryMidStream(t *testing.T) {
	for _, idle := range []bool{true, false} {
		t.Run(fmt.Sprint("idle ", idle), func(t *testing.T) {
			sink := &slowSink{taken: make(chan string, 100), store: make(chan struct{})}
			expires := time.Now().Add(2 * time.Second) // which must not be over before the first request is taken
			server, addr := listen(t, ingest.Config{Sink: sink, Authenticate: people{"ann": {Expires: expires}}.authenticate})
			s := open(t, dial(t, addr), "ann")
			send(t, s, "a")
			if got := <-sink.taken; got != "a" {
				t.Fatal(got)
			}
			close(sink.store)
			expect(t, s, "a", "1")
			n := 1
			for !idle && s.Send(&notificationsv1.PublishRequest{Id: "b"}) == nil {
				if response, err := s.Recv(); err != nil {
					if status.Code(err) != codes.Unauthenticated || time.Now().Before(expires) {
						t.Errorf("ended with %v", err)
					}
					break
				} else if n++; response.GetAccepted() == nil {
					t.Error(response)
				}
				<-sink.taken
			}
			if idle {
				ended(t, s, codes.Unauthenticated, "the token has expired; get a new one")
			}
			if len(sink.taken) != 0 {
				t.Errorf("%d requests were taken and not answered", len(sink.taken))
			}
			server.Recheck()
		})
	}
}

// TestRevocationMidStream: when Recheck returns nothing more is taken, what is owed is answered, and others go on.
func TestRevocationMidStream(t *testing.T) {
	sink := &slowSink{taken: make(chan string, 100), store: make(chan struct{})}
	var revoked atomic.Pointer[string]
	none := ""
	revoked.Store(&none)
	server, addr := listen(t, ingest.Config{
		Sink:         sink,
		Authenticate: people{"ann": {Subject: "ann", TokenID: "1"}, "bob": {Subject: "bob", TokenID: "2"}}.authenticate,
		Revoked:      func(id string) bool { return id == *revoked.Load() },
	})
	conn := dial(t, addr)
	ann, bob := open(t, conn, "ann"), open(t, conn, "bob")
	send(t, ann, "a", "b")
	<-sink.taken
	<-sink.taken
	one := "1"
	revoked.Store(&one)
	server.Recheck()
	_ = ann.Send(&notificationsv1.PublishRequest{Id: "too late"})
	send(t, bob, "c")
	if got := <-sink.taken; got != "c" {
		t.Errorf("%s was taken", got)
	}
	close(sink.store)
	expect(t, ann, "a", "1")
	expect(t, ann, "b", "2")
	ended(t, ann, codes.Unauthenticated, "the token was revoked; get a new one")
	expect(t, bob, "c", "3")
	ended(t, open(t, conn, "ann"), codes.Unauthenticated, "the token was revoked; get a new one")

	// Without a Recheck the next request finds out.
	two := "2"
	revoked.Store(&two)
	send(t, bob, "too late")
	ended(t, bob, codes.Unauthenticated, "the token was revoked; get a new one")
	if len(sink.taken) != 0 {
		t.Errorf("%s was taken", <-sink.taken)
	}
}
