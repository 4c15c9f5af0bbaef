package main_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestDesktop tries desktop.toml: everything works on this machine without a credential, and pages of others are kept out.
func TestDesktop(t *testing.T) {
	p := startConfigured(t, "desktop.toml")
	for _, addr := range []string{p.websocket, p.grpc, p.admin, p.adminGRPC} {
		if !strings.HasPrefix(addr, "127.0.0.1:") {
			t.Errorf("it listens on %s", addr)
		}
	}
	_, port, _ := strings.Cut(p.websocket, ":")
	d := door{base: "ws://" + p.websocket}

	page := d.subscribe(t, "/ws/", http.Header{"Origin": {"http://localhost:8080"}})
	own := d.subscribe(t, "/ws/", http.Header{"Origin": {"http://" + p.websocket}})
	program := d.subscribe(t, "/ws/", nil)
	runs(t, "no token", warningEnvelope("a"), 0, "1 accepted", "publish", "--grpc-addr", p.grpc)
	gets(t, "a page of loopback", page, "a")
	gets(t, "a page of the same host", own, "a")
	gets(t, "a program", program, "a")
	runs(t, "no token", "", 0, warningEnvelope("a"), "listen", "--url", d.base+"/ws/", "--since", "earliest", "--count", "1")

	d.refused(t, "a page of another site", "/ws/", http.Header{"Origin": {"https://example.com"}},
		http.StatusForbidden, `pages of "https://example.com" may not connect`)
	d.refused(t, "a name that was made to lead here", "/ws/", http.Header{"Host": {"example.com:" + port}, "Origin": {"http://example.com:" + port}},
		http.StatusForbidden, `"example.com:`+port+`" is no name of this machine's own`)

	operator := door{base: "ws://" + p.admin}
	if status, _ := operator.get(t, "/metrics", nil); status != http.StatusOK {
		t.Errorf("/metrics: %d", status)
	}
	if status, text := operator.get(t, "/metrics", http.Header{"Host": {"example.com:5045"}}); status != http.StatusForbidden {
		t.Errorf("/metrics by a foreign name: %d %s", status, text)
	}
}
