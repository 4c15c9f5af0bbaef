package delivery_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
)

func TestHandshakeRefusals(t *testing.T) {
	s := serve(t, delivery.Config{AllowedOrigins: []string{
		"https://rotki.example.org", "app://rotki/", "null", "https://*.example.net", "https://*.Example.com:8443/",
	}}, journal.MemoryConfig{})
	for _, tc := range []struct {
		name, query, origin, host string
		status                    int
		sentence                  string
	}{
		{"nothing special", "", "", "", 101, ""},
		{"unknown parameter", "?v=3&t=", "", "", 101, ""},
		{"all parameters", "?types=legacy,other&data=json&close=codes", "", "", 101, ""},
		{"unknown type", "?types=legacy,nonsense", "", "", 400, `"nonsense" is no notification type; there are: legacy, other`},
		{"no type", "?types=", "", "", 400, `"" is no notification type`},
		{"unknown data", "?data=xml", "", "", 400, `data: "xml" is not known`},
		{"unknown close", "?close=never", "", "", 400, `close: "never" is not known`},
		{"broken query", "?types=%zz", "", "", 400, "the query is malformed"},
		{"own origin", "", "http://HOST", "", 101, ""},
		{"same host, other port", "", "https://rotki.lan:8443", "rotki.lan:5043", 101, ""},
		{"same host, other case", "", "https://Rotki.lan", "rotki.LAN", 101, ""},
		{"same host, IPv6", "", "http://[fe80::1]:80", "[fe80::1]:5043", 101, ""},
		{"localhost", "", "http://localhost:8080", "", 101, ""},
		{"subdomain of localhost", "", "http://rotki.localhost", "", 101, ""},
		{"IPv6 loopback", "", "http://[::1]:8080", "", 101, ""},
		{"packaged app on localhost", "", "app://localhost", "", 101, ""},
		{"listed", "", "https://rotki.example.org", "", 101, ""},
		{"listed with a slash", "", "app://rotki", "", 101, ""},
		{"listed null", "", "null", "", 101, ""},
		{"subdomain", "", "https://a.example.net", "", 101, ""},
		{"subdomain of a subdomain", "", "https://a.b-c.example.net", "", 101, ""},
		{"subdomain with a port", "", "https://A.example.com:8443", "", 101, ""},
		{"the domain itself", "", "https://example.net", "", 403, "may not connect"},
		{"ends like the domain", "", "https://evilexample.net", "", 403, "may not connect"},
		{"subdomain, no label", "", "https://.example.net", "", 403, "may not connect"},
		{"subdomain, other scheme", "", "http://a.example.net", "", 403, "may not connect"},
		{"subdomain, other port", "", "https://a.example.net:1", "", 403, "may not connect"},
		{"subdomain, a user", "", "https://evil.org@a.example.net", "", 403, "may not connect"},
		{"subdomain, a path", "", "https://evil.org/a.example.net", "", 403, "may not connect"},
		{"the wildcard as it is written", "", "https://*.example.net", "", 403, "may not connect"},
		{"foreign", "", "https://evil.example.org", "", 403, "--allowed-origins"},
		{"looks like localhost", "", "http://localhost.evil.example.org", "", 403, "may not connect"},
		{"listed, other scheme", "", "http://rotki.example.org", "", 403, "may not connect"},
		{"listed, other port", "", "https://rotki.example.org:444", "", 403, "may not connect"},
		{"no URL", "", "::", "", 403, "may not connect"},
		{"file", "", "file://", "", 403, "may not connect"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			header := make(http.Header)
			if tc.origin != "" {
				header.Set("Origin", strings.ReplaceAll(tc.origin, "HOST", s.addr))
			}
			if tc.host != "" {
				header.Set("Host", tc.host)
			}
			conn, response, err := websocket.DefaultDialer.Dial("ws://"+s.addr+"/ws/"+tc.query, header)
			if response == nil {
				t.Fatal(err)
			}
			if err == nil {
				_ = conn.Close()
			}
			body, _ := io.ReadAll(response.Body)
			if response.StatusCode != tc.status || !strings.Contains(string(body), tc.sentence) {
				t.Errorf("got %d %s, want %d with %q", response.StatusCode, body, tc.status, tc.sentence)
			}
		})
	}
}

// TestLocalHosts: where nobody is asked who he is, a page whose own name leads to this machine is kept out, also when its
// browser sends no Origin.
func TestLocalHosts(t *testing.T) {
	s := serve(t, delivery.Config{
		LocalHosts: true, AllowedOrigins: []string{"https://rotki.example.org", "https://*.example.net:8443"},
	}, journal.MemoryConfig{})
	for host, status := range map[string]int{
		"": 101, "localhost:5043": 101, "rotki.LOCALHOST": 101, "[::1]:5043": 101, "192.0.2.1:80": 101, "localhost.": 403,
		"rotki.example.org": 101, "Rotki.example.org:443": 101, "a.example.net": 101,
		"evil.example.org": 403, "example.net": 403, "localhost.evil.example.org": 403, "127.0.0.1.evil.example.org": 403,
	} {
		header := http.Header{"Host": {host}}
		if host == "" {
			header = nil
		}
		for _, origin := range []string{"", "http://" + host} {
			if origin != "" && host != "" {
				header.Set("Origin", origin)
			}
			conn, response, err := websocket.DefaultDialer.Dial("ws://"+s.addr+"/ws/", header)
			if response == nil {
				t.Fatal(err)
			}
			if err == nil {
				_ = conn.Close()
			}
			if response.StatusCode != status {
				t.Errorf("Host %q, Origin %q: got %d, want %d", host, origin, response.StatusCode, status)
			}
		}
	}
}

func TestNotAHandshake(t *testing.T) {
	s := serve(t, delivery.Config{}, journal.MemoryConfig{})
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + s.addr + "/ws/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUpgradeRequired || response.Header.Get("Upgrade") != "websocket" {
		t.Errorf("got %v", response)
	}
}

// TestClientMessages: whatever small message a client sends is ignored, and it goes on getting notifications.
func TestClientMessages(t *testing.T) {
	s := serve(t, delivery.Config{}, journal.MemoryConfig{})
	conn := s.dial(t, "")
	for _, message := range []struct {
		kind int
		text []byte
	}{
		{websocket.TextMessage, nil},
		{websocket.TextMessage, []byte("{}")},
		{websocket.TextMessage, []byte("no JSON: 🚀")},
		{websocket.TextMessage, bytes.Repeat([]byte("ü"), 2048)},
		{websocket.BinaryMessage, []byte{0xff, 0}},
		{websocket.BinaryMessage, make([]byte, 4096)},
		{websocket.PingMessage, []byte("ping")},
		{websocket.PongMessage, []byte("unasked")},
	} {
		if err := conn.WriteMessage(message.kind, message.text); err != nil {
			t.Fatal(err)
		}
	}
	ponged := make(chan string, 1)
	conn.SetPongHandler(func(data string) error { ponged <- data; return nil })
	for i := range 3 {
		s.publish(t, "legacy", fmt.Sprint(i))
		if got := receive(t, conn); got != envelopeOf("legacy", fmt.Sprint(i)) {
			t.Fatalf("got %s", got)
		}
	}
	go func() { _, _, _ = conn.ReadMessage() }()
	if got := <-ponged; got != "ping" {
		t.Errorf("the pong holds %q", got)
	}
}

// TestProtocolErrors: a client that breaks the protocol gets a clean close that says how, and nobody else notices.
func TestProtocolErrors(t *testing.T) {
	s := serve(t, delivery.Config{}, journal.MemoryConfig{})
	bystander := s.dial(t, "")
	masked := func(first byte, payload string) []byte {
		frame := []byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}
		return append(frame, payload...)
	}
	large := []byte{0x81, 0xfe, 0x10, 0x01, 0, 0, 0, 0} // 4,097 bytes follow
	large = append(large, bytes.Repeat([]byte("x"), 4097)...)
	for i, tc := range []struct {
		name  string
		bytes []byte
		code  int
	}{
		{"too large", large, 1009},
		{"too large in fragments", append(append([]byte{0x01, 0xfe, 0x10, 0x00, 0, 0, 0, 0}, bytes.Repeat([]byte("x"), 4096)...), masked(0x80, "x")...), 1009},
		{"huge by its header", []byte{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, 1009},
		{"beyond 63 bits", []byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, 1009},
		{"invalid UTF-8", masked(0x81, "a\xff"), 1007},
		{"UTF-8 cut short", masked(0x81, "a\xc3"), 1007},
		{"not masked", []byte{0x81, 0x01, 'x'}, 1002},
		{"reserved bit", masked(0xc1, "x"), 1002},
		{"bad opcode", masked(0x83, "x"), 1002},
		{"continuation of nothing", masked(0x80, "x"), 1002},
		{"message within a message", append(masked(0x01, "x"), masked(0x81, "x")...), 1002},
		{"fragmented ping", masked(0x09, "x"), 1002},
		{"bad close code", masked(0x88, "\x03\xec"), 1002},
		{"close", masked(0x88, "\x03\xe8"), 1000},
		{"close without a code", masked(0x88, ""), 1005},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn := s.dial(t, "?close=codes")
			if _, err := conn.NetConn().Write(tc.bytes); err != nil {
				t.Fatal(err)
			}
			if code := closeCode(t, conn); code != tc.code {
				t.Errorf("closed with %d, want %d", code, tc.code)
			}
			s.publish(t, "legacy", fmt.Sprint(i))
			if got := receive(t, bystander); got != envelopeOf("legacy", fmt.Sprint(i)) {
				t.Errorf("the bystander got %s", got)
			}
		})
	}
	if got := s.metric(t, "bridge_disconnects_total", "protocol_error"); got != 13 {
		t.Errorf("%v protocol errors were counted", got)
	}
}

// TestJoinedBeforeTheAnswer: what is published once the client has the handshake's answer reaches it, always.
func TestJoinedBeforeTheAnswer(t *testing.T) {
	s := serve(t, delivery.Config{}, journal.MemoryConfig{})
	for i := range 200 {
		conn := s.dial(t, "")
		if s.Count("legacy", nil) == 0 {
			t.Fatal("connected, and not counted")
		}
		s.publish(t, "legacy", fmt.Sprint(i))
		if got := receive(t, conn); got != envelopeOf("legacy", fmt.Sprint(i)) {
			t.Fatalf("got %s", got)
		}
		_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience))
		_ = conn.Close()
	}
}

// FuzzQuery: whatever a client asks for, the handshake gets an answer: joined, or a sentence.
func FuzzQuery(f *testing.F) {
	for _, query := range []string{"", "types=legacy", "types=legacy,other&data=string", "data=xml", "types=%zz", "close=codes&close=x", ";"} {
		f.Add(query)
	}
	s := serve(f, delivery.Config{}, journal.MemoryConfig{})
	f.Fuzz(func(t *testing.T, query string) {
		u := url.URL{Scheme: "ws", Host: s.addr, Path: "/ws/", RawQuery: query}
		if _, err := http.NewRequest(http.MethodGet, u.String(), nil); err != nil || strings.ContainsAny(query, " #\r\n\x00") {
			return // no client could send it
		}
		conn, response, err := websocket.DefaultDialer.Dial(u.String(), nil)
		if err == nil {
			_ = conn.NetConn().(*net.TCPConn).SetLinger(0) // thousands a second would use up the ports
			_ = conn.Close()
			return
		}
		if response == nil {
			t.Fatalf("%q: no answer: %v", query, err)
		}
		body, _ := io.ReadAll(response.Body)
		if response.StatusCode != http.StatusBadRequest || len(body) == 0 {
			t.Errorf("%q: %d %s", query, response.StatusCode, body)
		}
	})
}
