package auth

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

const (
	// Subprotocol is what the bridge speaks, as far as a client wants to hear it.
	Subprotocol = "rotki.notifications.v1"
	// bearerProtocol begins a subprotocol that is a token: a page can set no header of a handshake but this one.
	bearerProtocol = "bearer."
	// maxSubject is how many bytes the name of a subject may have that a proxy gives.
	maxSubject = 256
)

// SubscribersConfig says how subscribers show who they are. Its zero value lets everybody in.
type SubscribersConfig struct {
	// Tokens checks tokens; nil for none.
	Tokens *Tokens
	// Cookie is in which cookie a token may be, too; none by default.
	Cookie string
	// SubjectHeader is in which header one of Proxies says who it is. No token is looked at then. None by default.
	SubjectHeader string
	Proxies       Proxies
	// Anonymous lets in who shows nothing.
	Anonymous bool
}

// Subscribers finds out who makes an HTTP request.
type Subscribers struct {
	config SubscribersConfig
}

// NewSubscribers returns what asks subscribers.
func NewSubscribers(config SubscribersConfig) *Subscribers { return &Subscribers{config} }

// Authenticate returns who makes a request. The error is a *Refusal.
func (s *Subscribers) Authenticate(r *http.Request) (Caller, error) {
	var caller Caller
	var err error
	switch {
	case s.config.SubjectHeader != "":
		caller, err = s.forwarded(r)
	case s.config.Tokens != nil:
		var token string
		if token, err = s.token(r); err == nil {
			caller, err = s.config.Tokens.Verify(r.Context(), token, ScopeSubscribe)
		}
	default:
		return Caller{}, nil
	}
	if refusal, ok := err.(*Refusal); ok && refusal.Defect == Missing && s.config.Anonymous {
		return Caller{}, nil
	}
	return caller, err
}

// forwarded returns who a proxy says that it is.
func (s *Subscribers) forwarded(r *http.Request) (Caller, error) {
	given := r.Header.Values(s.config.SubjectHeader)
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // net/http's, from a net.TCPAddr
	switch {
	case !s.config.Proxies.Trusts(peer.Addr()) && (len(given) > 0 || !s.config.Anonymous):
		return Caller{}, &Refusal{UntrustedProxy, fmt.Sprintf("%v is not among --trusted-proxies", peer.Addr().Unmap())}
	case len(given) == 0 || len(given) == 1 && given[0] == "":
		return Caller{}, &Refusal{Missing, "the proxy has set no " + s.config.SubjectHeader}
	case len(given) > 1 || len(given[0]) > maxSubject || !utf8.ValidString(given[0]) || strings.ContainsFunc(given[0], unicode.IsControl):
		return Caller{}, &Refusal{Malformed, fmt.Sprintf("the %s is there more than once, longer than %d bytes, or no text", s.config.SubjectHeader, maxSubject)}
	}
	return Caller{Subject: given[0]}, nil
}

// token returns the one token in a request.
func (s *Subscribers) token(r *http.Request) (string, error) {
	var tokens []string
	if token := bearer(r.Header); token != "" {
		tokens = append(tokens, token)
	}
	for _, protocol := range websocket.Subprotocols(r) {
		if token, ok := strings.CutPrefix(protocol, bearerProtocol); ok {
			tokens = append(tokens, token)
		}
	}
	if strings.Contains(r.URL.RawQuery, "token=") {
		tokens = append(tokens, r.URL.Query()["token"]...)
	}
	if len(tokens) == 0 && s.config.Cookie != "" {
		// Only where there is nothing else: a browser sends its cookies unasked.
		for _, cookie := range r.CookiesNamed(s.config.Cookie) {
			tokens = append(tokens, cookie.Value)
		}
	}
	tokens = slices.Compact(slices.DeleteFunc(tokens, func(token string) bool { return token == "" }))
	switch len(tokens) {
	case 0:
		return "", &Refusal{Missing, "there is no token in Authorization, Sec-WebSocket-Protocol, token= or the cookie"}
	case 1:
		return tokens[0], nil
	}
	return "", &Refusal{Malformed, "there are several tokens, and they differ"}
}

// bearer returns the token of an Authorization header (RFC 6750 §2.1), empty for none.
func bearer(header http.Header) string {
	scheme, token, _ := strings.Cut(header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// Subprotocol returns which of the subprotocols that a handshake offers is to be answered, empty for none: a browser that
// offers some gives up unless one of them is.
func (s *Subscribers) Subprotocol(r *http.Request) string {
	offered := websocket.Subprotocols(r)
	if slices.Contains(offered, Subprotocol) {
		return Subprotocol
	}
	if i := slices.IndexFunc(offered, func(p string) bool { return strings.HasPrefix(p, bearerProtocol) }); i >= 0 {
		return offered[i]
	}
	return ""
}
