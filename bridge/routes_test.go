package bridge_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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

// upstream is a server behind a bridge. It answers with what it was asked.
func upstream(t *testing.T) *httptest.Server {
	t.Helper()
	var upgrader websocket.Upgrader
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if websocket.IsWebSocketUpgrade(r) {
			conn, err := upgrader.Upgrade(w, r, nil)
			if err != nil {
				t.Errorf("upstream: %v", err)
				return
			}
			defer conn.Close()
			for {
				kind, text, err := conn.ReadMessage()
				if err != nil {
					return
				}
				_ = conn.WriteMessage(kind, []byte(r.URL.Path+" echoes "+string(text)))
			}
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("upstream: %v", err)
		}
		w.Header().Set("X-Answer", "upstream's")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s for %s: %s %s", r.Method, r.URL, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Question"), body)
	}))
	t.Cleanup(server.Close)
	return server
}

func TestUpstreamAnswersTheRest(t *testing.T) {
	b := start(t, bridge.Config{
		Upstream: upstream(t).URL, Access: bridge.AccessConfig{TrustedProxies: []string{"127.0.0.1"}},
	})
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, tc := range []struct{ method, target, body, want string }{
		{"GET", "/", "", "GET / for 192.0.2.1, 127.0.0.1: why? "},
		{"GET", "/?v=3", "", "GET /?v=3 for 192.0.2.1, 127.0.0.1: why? "},
		{"POST", "/api/1/ping?async=true&q=a%20b", `{"a":"🚀"}`, `POST /api/1/ping?async=true&q=a%20b for 192.0.2.1, 127.0.0.1: why? {"a":"🚀"}`},
		{"DELETE", "/ws/more", "", "DELETE /ws/more for 192.0.2.1, 127.0.0.1: why? "},
		{"PATCH", "/a%2Fb", "x", "PATCH /a%2Fb for 192.0.2.1, 127.0.0.1: why? x"},
	} {
		t.Run(tc.method+" "+tc.target, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), tc.method, "http://"+b.HTTPAddr()+tc.target, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("X-Question", "why?")
			request.Header.Set("X-Forwarded-For", "192.0.2.1")
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || string(body) != tc.want {
				t.Errorf("answered %q, %v; want %q", body, err, tc.want)
			}
			if response.StatusCode != http.StatusTeapot || response.Header.Get("X-Answer") != "upstream's" {
				t.Errorf("answered with %v", response)
			}
		})
	}
}

// TestUpstreamAndWebsockets: handshakes on the bridge's paths are the bridge's, those on others the upstream's.
func TestUpstreamAndWebsockets(t *testing.T) {
	b := start(t, bridge.Config{Upstream: upstream(t).URL})
	dial := func(path string) *websocket.Conn {
		conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+b.HTTPAddr()+path, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	p := b.publisher(t)
	for i, path := range []string{"/", "/ws", "/ws/"} {
		conn := dial(path)
		if accepted := p.accepted(t, &notificationsv1.PublishRequest{Notification: legacy(path)}); int(accepted.GetSubscribers()) != i+1 {
			t.Errorf("%s: %d subscribers", path, accepted.GetSubscribers())
		}
		if got := receive(t, conn); got != legacyEnvelope(path) {
			t.Errorf("%s: received %s", path, got)
		}
	}
	other := dial("/other")
	if err := other.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, other); got != "/other echoes hello" {
		t.Errorf("/other: received %s", got)
	}
	for _, path := range []string{"/ws", "/ws/"} {
		if status, body := get(t, "http://"+b.HTTPAddr()+path); status != http.StatusUpgradeRequired || !strings.Contains(body, "websocket") {
			t.Errorf("%s without an upgrade: %d %s", path, status, body)
		}
	}
}

func TestUpstreamDown(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	b := start(t, bridge.Config{Upstream: gone.URL})
	status, body := get(t, "http://"+b.HTTPAddr()+"/api/1/ping")
	if want := "the bridge's upstream " + gone.URL + " does not answer\n"; status != http.StatusBadGateway || body != want {
		t.Errorf("answered %d %q, want 502 %q", status, body, want)
	}
	p, subscriber := b.publisher(t), b.subscribe(t, "")
	p.accepted(t, &notificationsv1.PublishRequest{Notification: legacy("still here")})
	if got := receive(t, subscriber); got != legacyEnvelope("still here") {
		t.Errorf("received %s", got)
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

// TestProxiedWebsocketsEndToo: when the bridge has ended, so have the connections that it only passed on.
func TestProxiedWebsocketsEndToo(t *testing.T) {
	b := start(t, bridge.Config{Upstream: upstream(t).URL})
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+b.HTTPAddr()+"/other", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, _, err := conn.ReadMessage(); errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("the connection lives on")
	}
}

// TestUpstreamBelievesNobody: what a proxy says is passed on of a trusted one only.
func TestUpstreamBelievesNobody(t *testing.T) {
	got := make(chan http.Header, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header }))
	t.Cleanup(server.Close)
	for name, tc := range map[string]struct{ proxies, subject, forwarded string }{
		"trusted":  {"127.0.0.1", "ann", "192.0.2.7, 127.0.0.1"},
		"stranger": {"192.0.2.1", "", "127.0.0.1"},
	} {
		b := start(t, bridge.Config{Upstream: server.URL, Access: bridge.AccessConfig{
			SubjectHeader: "X-User", TrustedProxies: []string{tc.proxies},
		}})
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.HTTPAddr()+"/api", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Close = true
		request.Header = http.Header{"X-User": {"ann"}, "X_user": {"bob"}, "X-Forwarded-For": {"192.0.2.7"}}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		header := <-got
		if header.Get("X-User") != tc.subject || header.Get("X_User") != "" || header.Get("X-Forwarded-For") != tc.forwarded {
			t.Errorf("%s: upstream got %v", name, header)
		}
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
