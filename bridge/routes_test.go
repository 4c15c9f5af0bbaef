package bridge_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/bridge/testcert"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// metric returns the value of a series, as /metrics shows it.
func (b running) metric(t testing.TB, series string) float64 {
	t.Helper()
	_, text := get(t, "http://"+b.AdminAddr()+"/metrics")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatalf("%s: %v", series, err)
			}
			return v
		}
	}
	t.Fatalf("no metric %s", series)
	return 0
}

// await returns once the condition holds.
func await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it did not come to this: %s", what)
		}
	}
}

func TestNoUpstream(t *testing.T) {
	b := start(t, bridge.Config{})
	for _, tc := range []struct {
		path     string
		status   int
		sentence string
	}{
		{"/", http.StatusUpgradeRequired, "this is a websocket endpoint: connect with a websocket client"},
		{"/ws/", http.StatusUpgradeRequired, "this is a websocket endpoint: connect with a websocket client"},
		{"/foo", http.StatusNotFound, "there is nothing here; notifications are at /ws/ and /events"},
		{"/metrics", http.StatusNotFound, "there is nothing here; notifications are at /ws/ and /events"},
	} {
		if status, body := get(t, "http://"+b.HTTPAddr()+tc.path); status != tc.status || strings.TrimSpace(body) != tc.sentence {
			t.Errorf("%s: %d %s", tc.path, status, body)
		}
	}
	_, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+b.HTTPAddr()+"/other", nil)
	if err == nil || response == nil || response.StatusCode != http.StatusNotFound {
		t.Errorf("a handshake at /other: %v, %v", response, err)
	}
}

func TestAdmin(t *testing.T) {
	b := start(t, bridge.Config{})
	b.subscribe(t, "")
	p := b.publisher(t)
	p.accepted(t, &notificationsv1.PublishRequest{Notification: legacy("x")})
	p.publish(t, &notificationsv1.PublishRequest{})
	for path, want := range map[string]string{"/healthz": "alive\n", "/readyz": "ready\n"} {
		if status, body := get(t, "http://"+b.AdminAddr()+path); status != http.StatusOK || body != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, body := get(t, "http://"+b.AdminAddr()+"/debug/pprof/"); status != http.StatusOK || !strings.Contains(body, "goroutine") {
		t.Errorf("/debug/pprof/: %d %s", status, body)
	}
	if status, _ := get(t, "http://"+b.AdminAddr()+"/"); status != http.StatusNotFound {
		t.Errorf("/: %d", status)
	}
	for series, want := range map[string]float64{
		`bridge_connections`:                                 1,
		`bridge_publishes_total{result="accepted"}`:          1,
		`bridge_handshakes_total{result="accepted"}`:         1,
		`bridge_handshakes_total{result="malformed"}`:        0,
		`bridge_handshakes_total{result="forbidden_origin"}`: 0,
		`bridge_handshakes_total{result="draining"}`:         0,
		`bridge_handshakes_total{result="failed"}`:           0,
		`bridge_journal_records`:                             1,
	} {
		if got := b.metric(t, series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
	for _, reason := range []string{
		"client_closed", "connection_lost", "protocol_error", "expired", "revoked", "dismissed", "too_talkative", "too_slow", "write_timeout", "ping_timeout", "shutdown",
	} {
		if got := b.metric(t, `bridge_disconnects_total{reason="`+reason+`"}`); got != 0 {
			t.Errorf("%v connections ended by %s", got, reason)
		}
	}
	if err := p.CloseSend(); err != nil {
		t.Fatal(err)
	}
	handled := `grpc_server_handled_total{grpc_code="OK",grpc_method="Publish",grpc_service="rotki.notifications.v1.NotificationService",grpc_type="bidi_stream"}`
	await(t, "the stream is counted", func() bool { return b.metric(t, handled) == 1 })
}

// TestDraining: as long as a drain takes, operators see it, and nobody can join.
func TestDraining(t *testing.T) {
	b := start(t, bridge.Config{SendBuffer: 1, DrainTimeout: time.Minute})
	slow := b.subscribe(t, "")
	if err := slow.NetConn().(interface{ SetReadBuffer(int) error }).SetReadBuffer(16 << 10); err != nil {
		t.Fatal(err)
	}
	p := b.publisher(t)
	large := strings.Repeat("x", 1_000_000)
	for b.metric(t, "bridge_blocked_writes_total") == 0 {
		p.accepted(t, &notificationsv1.PublishRequest{Notification: legacy(large)})
	}
	stopped := make(chan error, 1)
	go func() { stopped <- b.stop() }()
	await(t, "the bridge drains", func() bool {
		status, body := get(t, "http://"+b.AdminAddr()+"/readyz")
		return status == http.StatusServiceUnavailable && body == "draining\n"
	})
	if status, _ := get(t, "http://"+b.AdminAddr()+"/healthz"); status != http.StatusOK {
		t.Errorf("/healthz: %d", status)
	}
	await(t, "handshakes are refused", func() bool {
		conn, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+b.HTTPAddr()+"/ws/", nil)
		if err == nil {
			_ = conn.Close()
			return false
		}
		return response != nil && response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") != ""
	})
	for {
		if _, _, err := slow.ReadMessage(); err != nil {
			break
		}
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestHealthAndReflection(t *testing.T) {
	b := start(t, bridge.Config{})
	conn, err := grpc.NewClient(b.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	name := notificationsv1.NotificationService_ServiceDesc.ServiceName
	for _, service := range []string{"", name} {
		health, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
		if err != nil || health.GetStatus() != healthv1.HealthCheckResponse_SERVING {
			t.Errorf("health of %q: %v, %v", service, health, err)
		}
	}
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list := &reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}
	if err := stream.Send(list); err != nil {
		t.Fatal(err)
	}
	response, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	services := response.GetListServicesResponse().GetService()
	if !slices.ContainsFunc(services, func(s *reflectionv1.ServiceResponse) bool { return s.GetName() == name }) {
		t.Errorf("reflection lists %v", services)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
}

// TestForeignHost: a page whose own name was made to lead to this machine gets nothing of the bridge, nor through it.
func TestForeignHost(t *testing.T) {
	b := start(t, bridge.Config{Upstream: upstream(t).URL, AllowedOrigins: []string{"https://rotki.example.org"}})
	secret := testcert.Write(t, t.TempDir(), "secret", []byte("0123456789abcdef0123456789abcdef"))
	keyed := start(t, bridge.Config{Upstream: upstream(t).URL, Access: bridge.AccessConfig{SecretFile: secret}})
	for _, tc := range []struct {
		addr, path, host string
		status           int
	}{
		{b.HTTPAddr(), "/events", "evil.example.org", http.StatusForbidden},
		{b.HTTPAddr(), "/ws/", "evil.example.org", http.StatusForbidden},
		{b.HTTPAddr(), "/api/1/settings", "evil.example.org", http.StatusForbidden},
		{b.HTTPAddr(), "/", "evil.example.org", http.StatusForbidden},
		{keyed.HTTPAddr(), "/api/1/settings", "evil.example.org", http.StatusForbidden},
		{keyed.HTTPAddr(), "/api/1/settings", "localhost", http.StatusTeapot},
		{b.HTTPAddr(), "/api/1/settings", "rotki.example.org", http.StatusTeapot},
		{b.HTTPAddr(), "/api/1/settings", "localhost:1", http.StatusTeapot},
		{b.HTTPAddr(), "/contract/", "evil.example.org", http.StatusOK}, // which everybody may read
		{b.AdminAddr(), "/metrics", "evil.example.org", http.StatusForbidden},
		{b.AdminAddr(), "/debug/pprof/", "evil.example.org", http.StatusForbidden},
		{b.AdminAddr(), "/metrics", "localhost", http.StatusOK},
		{b.AdminAddr(), "/healthz", "evil.example.org", http.StatusOK},
		{b.AdminAddr(), "/debug/pprof/profile?cross-site", "localhost", http.StatusForbidden},
		{b.AdminAddr(), "/metrics?same-site", "localhost", http.StatusForbidden},
		{b.AdminAddr(), "/metrics?none", "localhost", http.StatusOK},
		{b.AdminAddr(), "/metrics?same-origin", "localhost", http.StatusOK},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+tc.addr+tc.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host, request.Close = tc.host, true
		if _, site, ok := strings.Cut(tc.path, "?"); ok { // as browsers say of whose page it is
			request.Header.Set("Sec-Fetch-Site", site)
		}
		if tc.path == "/ws/" {
			request.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != tc.status {
			t.Errorf("%s of %s: got %d, want %d", tc.path, tc.host, response.StatusCode, tc.status)
		}
	}
}
