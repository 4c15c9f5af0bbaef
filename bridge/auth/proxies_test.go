package auth_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/rotki/notification-bridge/bridge/auth"
)

func TestParseProxies(t *testing.T) {
	t.Parallel()
	for value, trusted := range map[string]string{
		"192.0.2.7":           "192.0.2.7",
		"::ffff:192.0.2.7":    "192.0.2.7",
		"10.1.2.3/8":          "10.255.255.255",
		"::ffff:10.0.0.0/104": "10.1.1.1",
		"2001:db8::/32":       "2001:db8:1::1",
		"127.0.0.0/8":         "::ffff:127.0.0.1",
		"fe80::/10":           "fe80::1%eth0",
		"::1":                 "::1",
		"192.0.2.7 ":          "",
		"localhost":           "",
		"":                    "",
		"0.0.0.0/0":           "",
		"::/0":                "",
		"::ffff:0.0.0.0/96":   "",
		"10.0.0.0/33":         "",
		"fe80::1%eth0":        "",
		"192.0.2.7:80":        "",
		"010.0.0.1":           "",
	} {
		proxies, err := auth.ParseProxies([]string{"198.51.100.1", value})
		if trusted == "" {
			if err == nil || !strings.Contains(err.Error(), "--trusted-proxies: ") {
				t.Errorf("%q: %v, %v", value, proxies, err)
			}
			continue
		}
		other := netip.MustParseAddr("198.51.100.1")
		if err != nil || !proxies.Trusts(netip.MustParseAddr(trusted)) || !proxies.Trusts(other) {
			t.Errorf("%q does not trust %s: %v, %v", value, trusted, proxies, err)
		}
		if proxies.Trusts(netip.MustParseAddr("203.0.113.1")) || proxies.Trusts(netip.Addr{}) {
			t.Errorf("%q trusts too many", value)
		}
	}
}

// TestClient: of what is forwarded, only what a trusted proxy has seen itself is believed.
func TestClient(t *testing.T) {
	t.Parallel()
	proxies := must(auth.ParseProxies([]string{"10.0.0.0/8", "2001:db8::1"}))
	const proxy = "10.0.0.1:1"
	for name, c := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"direct":                 {"192.0.2.7:1", nil, "192.0.2.7"},
		"direct, made up":        {"192.0.2.7:1", []string{"127.0.0.1"}, "192.0.2.7"},
		"direct, mapped":         {"[::ffff:192.0.2.7]:1", nil, "192.0.2.7"},
		"direct, with a zone":    {"[fe80::1%eth0]:1", nil, "fe80::1"},
		"nothing forwarded":      {proxy, nil, "10.0.0.1"},
		"forwarded":              {proxy, []string{"192.0.2.7"}, "192.0.2.7"},
		"forwarded, mapped":      {"[::ffff:10.0.0.1]:1", []string{"::ffff:192.0.2.7"}, "192.0.2.7"},
		"made up before":         {proxy, []string{"127.0.0.1, 10.9.9.9, 192.0.2.7"}, "192.0.2.7"},
		"made up in a line":      {proxy, []string{"127.0.0.1", "192.0.2.7"}, "192.0.2.7"},
		"two proxies":            {proxy, []string{"1.1.1.1, 192.0.2.7, 10.0.0.2"}, "192.0.2.7"},
		"two proxies, two lines": {proxy, []string{"1.1.1.1, 192.0.2.7", "10.0.0.2"}, "192.0.2.7"},
		"proxies alone":          {proxy, []string{"10.0.0.3,10.0.0.2"}, "10.0.0.3"},
		"garbage":                {proxy, []string{"unknown"}, "10.0.0.1"},
		"garbage before":         {proxy, []string{"192.0.2.7, unknown, 10.0.0.2"}, "10.0.0.2"},
		"empty":                  {proxy, []string{""}, "10.0.0.1"},
		"empty entry":            {proxy, []string{"192.0.2.7,"}, "10.0.0.1"},
		"with a port":            {proxy, []string{"192.0.2.7:8080"}, "192.0.2.7"},
		"IPv6 with a port":       {"[2001:db8::1]:1", []string{"[2001:db8::2]:8080"}, "2001:db8::2"},
		"IPv6 in brackets":       {proxy, []string{"[2001:db8::2%eth0]"}, "2001:db8::2"},
		"no peer":                {"@", []string{"192.0.2.7"}, "invalid IP"},
	} {
		r := request("/ws")
		r.RemoteAddr = c.peer
		for _, value := range c.forwarded {
			r.Header.Add("X-Forwarded-For", value)
		}
		if got := proxies.Client(r).String(); got != c.want {
			t.Errorf("%s: %s; want %s", name, got, c.want)
		}
	}
}

// FuzzClient: whatever is forwarded, an untrusted peer is the client itself, and what the proxy adds last stays in
// force.
func FuzzClient(f *testing.F) {
	proxies := must(auth.ParseProxies([]string{"10.0.0.0/8"}))
	f.Add("10.0.0.1:1", "127.0.0.1, 10.9.9.9", "10.0.0.2")
	f.Add("192.0.2.7:1", "[::1]:80", "unknown")
	f.Add("[fe80::1%eth0]:1", ",,,", "::ffff:10.0.0.1%x")
	f.Fuzz(func(t *testing.T, peer, one, two string) {
		r := request("/ws")
		r.RemoteAddr = peer
		r.Header["X-Forwarded-For"] = []string{one, two}
		client := proxies.Client(r)
		if client.Is4In6() || client.Zone() != "" {
			t.Fatalf("%s is not plain", client)
		}
		from, err := netip.ParseAddrPort(peer)
		if err != nil && client.IsValid() {
			t.Fatalf("no peer, and still %s", client)
		}
		if err == nil && !proxies.Trusts(from.Addr()) && client != from.Addr().Unmap().WithZone("") {
			t.Fatalf("the peer %s is taken for %s", peer, client)
		}
		r.RemoteAddr = "10.0.0.1:1"
		r.Header.Add("X-Forwarded-For", "192.0.2.7")
		if client := proxies.Client(r); client != netip.MustParseAddr("192.0.2.7") {
			t.Fatalf("made up: %s", client)
		}
	})
}
