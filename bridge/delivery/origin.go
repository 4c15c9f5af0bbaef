package delivery

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// origins decides whose pages may connect.
type origins struct {
	allowed map[string]bool // in lower case
}

func newOrigins(allowed []string) origins {
	o := origins{allowed: make(map[string]bool)}
	for _, origin := range allowed {
		o.allowed[strings.ToLower(origin)] = true
		o.allowed[strings.ToLower(strings.TrimSuffix(origin, "/"))] = true
	}
	return o
}

// allows reports whether the page that makes the request may connect: one of the same host, on any port, one of
// loopback, or one that is listed. A request without an Origin is no browser's (RFC 6454 §7.3).
func (o origins) allows(r *http.Request) bool {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return true
	}
	if len(values) > 1 {
		return false
	}
	origin := strings.ToLower(values[0])
	if o.allowed[origin] {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Hostname() == "" {
		return false
	}
	return isLoopback(u.Hostname()) || u.Hostname() == hostname(strings.ToLower(r.Host))
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// hostname returns a Host header without its port.
func hostname(host string) string {
	return (&url.URL{Host: host}).Hostname()
}
