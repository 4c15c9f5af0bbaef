// Package limit bounds what callers may have of a server: how often they come (Rates), how much they hold (Counts), how
// many connections they have (Conns), how many of those wait for an answer (Pending), and how long a call may take
// (CallTime). A Notice says in the log that a limit is at work, and does not fill it.
//
// # Concurrency
//
// Everything here is safe for concurrent use, and starts no goroutines.
package limit

import "net/netip"

// sourceBits is how much of an IPv6 address tells networks apart; the rest a host may choose (RFC 4291 §2.5.4).
const sourceBits = 64

// Source returns what limits per address count as one: an IPv4 address, also if it comes in an IPv6 one, or all of an
// IPv6 network of 64 bits, since a single host may use any address there. On the link itself hosts share a network;
// there, each counts by itself. An invalid address has none.
func Source(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap()
	bits := addr.BitLen()
	if addr.Is6() && !addr.IsLinkLocalUnicast() {
		bits = sourceBits
	}
	source, _ := addr.WithZone("").Prefix(bits)
	return source
}
