package bridge_test

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/rotki/notification-bridge/bridge"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a bridge on free ports.
type running struct {
	*bridge.Bridge
	stop func() error // drains, and returns what Run did
}

func start(t testing.TB, config bridge.Config) running {
	t.Helper()
	config.HTTPAddr = cmp.Or(config.HTTPAddr, "127.0.0.1:0")
	config.GRPCAddr, config.AdminAddr, config.AdminGRPCAddr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	b, err := bridge.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	stopped := false
	stop := func() error {
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if !stopped {
			if err := stop(); err != nil {
				t.Errorf("the bridge ended with: %v", err)
			}
		}
	})
	return running{b, stop}
}

// subscribe opens a websocket; query is like "?types=legacy".
func (b running) subscribe(t testing.TB, query string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+b.HTTPAddr()+"/ws/"+query, nil)
	if err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// receive returns the next envelope.
func receive(t testing.TB, conn *websocket.Conn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	kind, text, err := conn.ReadMessage()
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	if kind != websocket.TextMessage {
		t.Fatalf("a frame of kind %d came", kind)
	}
	return string(text)
}

// publisher is one Publish stream.
type publisher struct {
	grpc.BidiStreamingClient[notificationsv1.PublishRequest, notificationsv1.PublishResponse]
}

func (b running) publisher(t testing.TB, options ...grpc.CallOption) publisher {
	t.Helper()
	conn, err := grpc.NewClient(b.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(func() {
		cancel()
		_ = conn.Close()
	})
	stream, err := notificationsv1.NewNotificationServiceClient(conn).Publish(ctx, options...)
	if err != nil {
		t.Fatal(err)
	}
	return publisher{stream}
}

// publish sends one request and returns its answer.
func (p publisher) publish(t testing.TB, request *notificationsv1.PublishRequest) *notificationsv1.PublishResponse {
	t.Helper()
	if err := p.Send(request); err != nil {
		t.Fatalf("send: %v", err)
	}
	response, err := p.Recv()
	if err != nil {
		t.Fatalf("receive the answer: %v", err)
	}
	if response.GetId() != request.GetId() {
		t.Fatalf("the answer is for %q, want %q", response.GetId(), request.GetId())
	}
	return response
}

func (p publisher) accepted(t testing.TB, request *notificationsv1.PublishRequest) *notificationsv1.Accepted {
	t.Helper()
	response := p.publish(t, request)
	if response.GetAccepted() == nil {
		t.Fatalf("refused: %v", response.GetRejected())
	}
	return response.GetAccepted()
}

func legacy(text string) *notificationsv1.Notification {
	return &notificationsv1.Notification{Payload: &notificationsv1.Notification_Legacy{
		Legacy: &notificationsv1.Legacy{Verbosity: notificationsv1.Verbosity_VERBOSITY_WARNING, Value: text},
	}}
}

func legacyEnvelope(text string) string {
	value, _ := json.Marshal(text)
	return `{"type":"legacy","data":{"verbosity":"warning","value":` + string(value) + `}}`
}

func sameJSON(t testing.TB, got, want string) bool {
	t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	return reflect.DeepEqual(g, w)
}

func get(t testing.TB, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, request)
}
