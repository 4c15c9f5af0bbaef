package delivery_test

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rotki/notification-bridge/bridge/delivery"
)

// TestOrigins: one that is there twice is of nobody, and without one Fetch Metadata counts.
func TestOrigins(t *testing.T) {
	for _, tc := range []struct {
		header http.Header
		want   bool
	}{
		{http.Header{}, true},
		{http.Header{"Origin": {"http://localhost"}}, true},
		{http.Header{"Origin": {"http://localhost", "http://localhost"}}, false},
		{http.Header{"Origin": {"http://evil-bridge.example"}}, false},
		{http.Header{"Origin": {"http://a.bridge.example"}}, false},
		{http.Header{"Origin": {""}}, false},
		{http.Header{"Sec-Fetch-Site": {"cross-site"}}, false},
		{http.Header{"Sec-Fetch-Site": {"same-site"}}, false},
		{http.Header{"Sec-Fetch-Site": {"same-origin"}}, true},
		{http.Header{"Sec-Fetch-Site": {"none"}}, true},
	} {
		for host, want := range map[string]bool{"bridge.example:5043": tc.want, "": tc.want} {
			if got := delivery.AllowsRequest(host, tc.header); got != want {
				t.Errorf("%v at %q is let in: %v", tc.header, host, got)
			}
		}
	}
}

// FuzzOrigin: whatever an Origin is, it is let in only if its host is this one, loopback, or what the list has.
func FuzzOrigin(f *testing.F) {
	allowed := []string{"https://rotki.example.org", "https://*.example.net", "app://rotki/"}
	for _, origin := range []string{
		"https://rotki.example.org", "https://a.example.net", "https://a.b.example.net", "https://example.net", "app://rotki",
		"http://localhost:1", "http://[::1]", "http://bridge.example.com", "https://evil.org/.example.net", "null",
		"https://evil.org@a.example.net", "https://a.example.net:443", "http://bridge.example.com.evil.org", "//localhost",
	} {
		f.Add("bridge.example.com:5043", origin)
	}
	f.Fuzz(func(t *testing.T, host, origin string) {
		if !delivery.AllowsOrigin(allowed, host, origin) {
			return
		}
		lower := strings.ToLower(origin)
		if lower == "https://rotki.example.org" || lower == "app://rotki" || lower == "app://rotki/" {
			return
		}
		u, err := url.Parse(lower)
		if err != nil {
			t.Fatalf("%q is let in and is no URL: %v", origin, err)
		}
		name := u.Hostname()
		ip := net.ParseIP(name)
		own := name != "" && name == (&url.URL{Host: strings.ToLower(host)}).Hostname()
		loopback := name == "localhost" || strings.HasSuffix(name, ".localhost") || ip != nil && ip.IsLoopback()
		below := strings.HasSuffix(name, ".example.net") && lower == "https://"+name
		if !own && !loopback && !below {
			t.Errorf("%q is let in to %q", origin, host)
		}
	})
}
