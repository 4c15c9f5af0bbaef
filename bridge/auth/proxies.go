package auth

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the addresses of proxies that the operator trusts: what they say of where a request came from is
// believed.
type Proxies []netip.Prefix

// ParseProxies reads addresses and networks in CIDR notation. The error names the flag.
func ParseProxies(values []string) (Proxies, error) {
	var proxies Proxies
	for _, value := range values {
		prefix, err := parsePrefix(value)
		if err != nil {
			return nil, fmt.Errorf("--trusted-proxies: %q is neither an address nor a network: "+
				"give such as 192.0.2.7 or 10.0.0.0/8", value)
		}
		if prefix.Bits() == 0 {
			return nil, fmt.Errorf("--trusted-proxies: %q is everybody, and then anybody could say who they are", value)
		}
		proxies = append(proxies, prefix)
	}
	return proxies, nil
}

func parsePrefix(value string) (netip.Prefix, error) {
	if !strings.Contains(value, "/") {
		address, err := netip.ParseAddr(value)
		if err != nil {
			return netip.Prefix{}, err
		}
		if address.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("it has a zone")
		}
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(value)
	if err != nil {
		return netip.Prefix{}, err
	}
	if mapped := 96; prefix.Addr().Is4In6() && prefix.Bits() >= mapped {
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-mapped)
	}
	return prefix.Masked(), nil
}

// Trusts reports whether an address is a trusted proxy's.
func (p Proxies) Trusts(address netip.Addr) bool {
	address = plain(address)
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(address) })
}

// Client returns the address that a request came from: the peer's or, if that is a trusted proxy, the one that it
// forwarded in X-Forwarded-For. Of several, the last that is no trusted proxy's counts, as what stands before it may
// have been made up by the client; what cannot be read ends the search. The address is invalid if the peer has none.
func (p Proxies) Client(r *http.Request) netip.Addr {
	address := peerOf(r)
	if !p.Trusts(address) {
		return address
	}
	for _, value := range slices.Backward(r.Header.Values("X-Forwarded-For")) {
		for _, hop := range slices.Backward(strings.Split(value, ",")) {
			forwarded, ok := parseHop(strings.Trim(hop, " \t"))
			if !ok {
				return address
			}
			if address = forwarded; !p.Trusts(address) {
				return address
			}
		}
	}
	return address
}

// peerOf returns the address at the other end of a request's connection; an invalid one if it has none.
func peerOf(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return plain(peer.Addr())
}

// parseHop reads an address as proxies write it: some add a port, and brackets.
func parseHop(hop string) (netip.Addr, bool) {
	if address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]")); err == nil {
		return plain(address), true
	}
	if address, err := netip.ParseAddrPort(hop); err == nil {
		return plain(address.Addr()), true
	}
	return netip.Addr{}, false
}

func plain(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }
