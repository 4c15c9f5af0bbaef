package auth

import (
	"net"
	"net/url"
	"strings"
)

// IsLoopbackName reports whether a host that a browser tells of, without a port, is its own machine by a name that
// nobody can give to another: localhost and what is below it (RFC 6761 §6.3), or an address of loopback.
func IsLoopbackName(host string) bool {
	return LeadsHere(host) || strings.HasSuffix(strings.ToLower(host), ".localhost")
}

// LeadsHere reports whether whoever connects to a host, without a port, stays on this machine for sure. What is below
// localhost is not: where browsers know by themselves, Go asks a name server, or a proxy.
func LeadsHere(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// IsOwnName reports whether a Host header, with or without a port, is a loopback name, an address, or empty. Any other
// name may be one that a page's owner has made to lead to this machine (DNS rebinding), so that his page counts as of the
// same host.
func IsOwnName(host string) bool {
	name := Hostname(host)
	return name == "" || IsLoopbackName(name) || net.ParseIP(name) != nil
}

// Hostname returns a Host header in lower case and without its port.
func Hostname(host string) string { return (&url.URL{Host: strings.ToLower(host)}).Hostname() }
