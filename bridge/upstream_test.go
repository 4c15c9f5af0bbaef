package bridge_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

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
	for name, tc := range map[string]struct{ proxies, subject, forwarded, host, scheme string }{
		"trusted":  {"127.0.0.1", "ann", "192.0.2.7, 127.0.0.1", "app.example", "https"},
		"stranger": {"192.0.2.1", "", "127.0.0.1", "", "http"},
	} {
		b := start(t, bridge.Config{Upstream: server.URL, Access: bridge.AccessConfig{
			SubjectHeader: "X-User", TrustedProxies: []string{tc.proxies},
		}})
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.HTTPAddr()+"/api", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Close = true
		request.Header = http.Header{
			"X-User": {"ann"}, "X_user": {"bob"}, "X_forwarded-Proto": {"gopher"}, "X-Forwarded_for": {"192.0.2.9"},
			"X-Forwarded-For": {"192.0.2.7"}, "X-Forwarded-Host": {"app.example"}, "X-Forwarded-Proto": {"https"},
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		header := <-got
		host := cmp.Or(tc.host, b.HTTPAddr())
		if header.Get("X-User") != tc.subject || header.Get("X_User") != "" || header.Get("X-Forwarded-For") != tc.forwarded ||
			header["X_forwarded-Proto"] != nil || header["X-Forwarded_for"] != nil ||
			header.Get("X-Forwarded-Host") != host || header.Get("X-Forwarded-Proto") != tc.scheme {
			t.Errorf("%s: upstream got %v", name, header)
		}
	}
}
