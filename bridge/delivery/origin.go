package delivery

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/rotki/notification-bridge/bridge/auth"
)

// origins decides whose pages may connect.
type origins struct {
	allowed map[string]bool // in lower case
	domains []domain        // of which all subdomains are allowed
	hosts   map[string]bool // of what is allowed
}

// domain is an allowed https://*.example.org:8443, in lower case.
type domain struct {
	before string // https://
	after  string // .example.org:8443
}

func newOrigins(allowed []string) origins {
	o := origins{allowed: make(map[string]bool), hosts: make(map[string]bool)}
	for _, origin := range allowed {
		origin = strings.ToLower(origin)
		bare := strings.TrimSuffix(origin, "/")
		scheme, host, _ := strings.Cut(bare, "://")
		if parent, wild := strings.CutPrefix(host, "*."); wild {
			o.domains = append(o.domains, domain{scheme + "://", "." + parent})
			continue
		}
		o.allowed[origin], o.allowed[bare] = true, true // what is for file:// has an Origin that ends so
		o.hosts[auth.Hostname(host)] = true
	}
	return o
}

// allows reports whether the page that makes the request may connect: one of the same host, on any port, one of
// loopback, or one that is listed. A request without an Origin is no browser's (RFC 6454 §7.3), or it is for a part of a
// page, such as an image, and then browsers say of whose (Fetch Metadata §2.3).
func (o origins) allows(r *http.Request) bool {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		site := r.Header.Get("Sec-Fetch-Site")
		return site != "cross-site" && site != "same-site"
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
	return auth.IsLoopbackName(u.Hostname()) || u.Hostname() == auth.Hostname(r.Host) || o.inDomain(origin)
}

// inDomain reports whether an origin is a subdomain of an allowed domain, of the same scheme and port.
func (o origins) inDomain(origin string) bool {
	for _, d := range o.domains {
		if below, ok := strings.CutPrefix(origin, d.before); ok {
			if below, ok = strings.CutSuffix(below, d.after); ok && isLabels(below) {
				return true
			}
		}
	}
	return false
}

// isLabels reports whether s can stand in front of a domain's name.
func isLabels(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// isLocalHost reports whether a Host header is loopback's, or an address, or one of an allowed origin's. A name that
// somebody else has made to lead here is none of them.
func (o origins) isLocalHost(host string) bool {
	name := auth.Hostname(host)
	if auth.IsOwnName(host) || o.hosts[name] {
		return true
	}
	for _, d := range o.domains {
		if below, ok := strings.CutSuffix(name, auth.Hostname(d.after)); ok && isLabels(below) {
			return true
		}
	}
	return false
}
