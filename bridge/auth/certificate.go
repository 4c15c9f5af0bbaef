package auth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// identity is a name of client certificates that are let in.
type identity string

// parseIdentity checks that a name can be in a certificate.
func parseIdentity(name string) (identity, error) {
	labels, wild := strings.CutPrefix(name, "*.")
	switch {
	case name == "":
		return "", errors.New("a client's identity is empty")
	case strings.Contains(name, "://"):
		if _, err := url.Parse(name); err != nil {
			return "", fmt.Errorf("the client's identity %q is no URI", name)
		}
	case strings.Contains(labels, "*"), wild && !strings.Contains(labels, "."):
		return "", fmt.Errorf("the client's identity %q: one * is accepted, as the first of three labels or more", name)
	}
	return identity(name), nil
}

// matches reports whether an alternative name is this one.
func (i identity) matches(n san) bool {
	name := string(i)
	address, err := netip.ParseAddr(name)
	switch {
	case strings.Contains(name, "://"):
		return n.kind == sanURI && n.name == name
	case strings.Contains(name, "@"):
		return n.kind == sanEmail && n.name == name
	case err == nil:
		return n.kind == sanIP && n.name == plain(address).String()
	case n.kind != sanDNS:
		return false
	}
	if suffix, wild := strings.CutPrefix(name, "*"); wild {
		label, rest, _ := strings.Cut(n.name, ".")
		return label != "" && label != "*" && strings.EqualFold("."+rest, suffix)
	}
	return strings.EqualFold(n.name, name)
}

// sanKind is a kind of subject alternative name.
type sanKind int

const (
	sanDNS sanKind = iota
	sanURI
	sanEmail
	sanIP
)

// san is a subject alternative name.
type san struct {
	kind sanKind
	name string
}

// sans returns the alternative names of a certificate, by kind.
func sans(c *x509.Certificate) []san {
	var all []san
	for _, name := range c.DNSNames {
		all = append(all, san{sanDNS, name})
	}
	for _, uri := range c.URIs {
		all = append(all, san{sanURI, uri.String()})
	}
	for _, name := range c.EmailAddresses {
		all = append(all, san{sanEmail, name})
	}
	for _, ip := range c.IPAddresses {
		if address, ok := netip.AddrFromSlice(ip); ok {
			all = append(all, san{sanIP, plain(address).String()})
		}
	}
	return all
}

// certified returns whose the client certificate of a connection is.
func (c *Calls) certified(state *tls.ConnectionState) (Caller, *Refusal) {
	if state == nil {
		return Caller{}, refuse(Missing, "the call came without TLS, and so without a client certificate")
	}
	if len(state.VerifiedChains) == 0 {
		return Caller{}, refuse(Missing, "the call came without a client certificate of the CA that is configured")
	}
	leaf := state.VerifiedChains[0][0]
	// The listener closes the connection when the certificate expires, and the client then shows another. Told before that
	// this one has expired, it would give up.
	expires := leaf.NotAfter.Add(time.Second)
	if time.Now().After(expires) {
		return Caller{}, refuse(WrongCertificate, "the client certificate expired at %s",
			leaf.NotAfter.Format(time.RFC3339))
	}
	subject, refusal := c.identify(leaf)
	if refusal != nil {
		return Caller{}, refusal
	}
	return Caller{Subject: subject, Expires: expires}, nil
}

// identify returns the name by which a certificate is let in.
func (c *Calls) identify(leaf *x509.Certificate) (string, *Refusal) {
	names := sans(leaf)
	if c.identities == nil {
		switch {
		case len(names) > 0:
			return names[0].name, nil
		case leaf.Subject.CommonName != "":
			return leaf.Subject.CommonName, nil
		}
		return "", refuse(Unnamed, "the client certificate has no name")
	}
	for _, allowed := range c.identities {
		for _, name := range names {
			if allowed.matches(name) {
				return name.name, nil
			}
		}
	}
	if len(names) == 0 {
		return "", refuse(WrongCertificate, "the client certificate has no alternative name")
	}
	return "", refuse(WrongCertificate, "the first of the client certificate's %d names is %s, and none is allowed",
		len(names), quoted(names[0].name))
}
