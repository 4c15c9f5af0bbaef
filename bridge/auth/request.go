package auth

import (
	"net/http"
	"slices"
	"strings"
)

// Protocol is the websocket subprotocol of the bridge. A client that offers a token as a subprotocol offers this, too.
const Protocol = "rotki.notifications.v1"

// bearerProtocol begins the subprotocol that is a token: the one thing that a browser's websocket can send along.
const bearerProtocol = "bearer."

// SubscribersConfig says how subscribers prove who they are. With neither Tokens nor SubjectHeader they do not, and
// everybody is let in.
type SubscribersConfig struct {
	// Tokens checks tokens; nil for none.
	Tokens *Tokens
	// Cookie is the name of a cookie that may hold the token; empty for none.
	Cookie string
	// SubjectHeader is the header in which one of Proxies says who it is. Nothing else counts then. Empty for none.
	SubjectHeader string
	// Proxies are those that SubjectHeader is accepted from.
	Proxies Proxies
	// Anonymous lets those in who show no credential. A bad one is refused all the same.
	Anonymous bool
}

// Subscribers finds out who asks for notifications.
type Subscribers struct{ config SubscribersConfig }

// NewSubscribers returns Subscribers.
func NewSubscribers(config SubscribersConfig) *Subscribers { return &Subscribers{config} }

// Authenticate returns who makes a request. The error is a *Refusal.
//
// A token is looked for in "Authorization: Bearer", in a subprotocol "bearer.<token>", in the query's "token" and in
// the cookie. It may be in several of these, but not two.
func (s *Subscribers) Authenticate(r *http.Request) (Caller, error) {
	caller, refusal := s.authenticate(r)
	if refusal == nil {
		return caller, nil
	}
	if refusal.Defect == Missing && s.config.Anonymous {
		return Caller{}, nil
	}
	return Caller{}, refusal
}

func (s *Subscribers) authenticate(r *http.Request) (Caller, *Refusal) {
	switch {
	case s.config.SubjectHeader != "":
		return s.forwarded(r)
	case s.config.Tokens == nil:
		return Caller{}, nil
	}
	token, refusal := s.token(r)
	if refusal != nil {
		return Caller{}, refusal
	}
	return s.config.Tokens.verify(r.Context(), token, ScopeSubscribe)
}

// forwarded returns who a trusted proxy says that it is.
func (s *Subscribers) forwarded(r *http.Request) (Caller, *Refusal) {
	name := s.config.SubjectHeader
	peer := peerOf(r)
	if values := r.Header.Values(name); !s.config.Proxies.Trusts(peer) && (len(values) > 0 || !s.config.Anonymous) {
		return Caller{}, refuse(UntrustedProxy, "%s is not among the trusted proxies", peer)
	}
	values := r.Header.Values(name)
	switch {
	case len(values) == 0:
		return Caller{}, refuse(Missing, "the proxy %s sent no header %s", peer, name)
	case len(values) > 1:
		return Caller{}, refuse(Malformed, "the proxy %s sent the header %s more than once", peer, name)
	case values[0] == "":
		return Caller{}, refuse(Unnamed, "the header %s of the proxy %s is empty", name, peer)
	case !isName(values[0]):
		return Caller{}, refuse(Malformed, "the header %s of the proxy %s is longer than %d bytes, "+
			"or is not UTF-8 without control characters", name, peer, maxName)
	}
	return Caller{Subject: values[0]}, nil
}

// token returns the token of a request.
func (s *Subscribers) token(r *http.Request) (string, *Refusal) {
	token, found, refusal := bearer(r.Header.Values("Authorization"))
	if refusal != nil {
		return "", refusal
	}
	var all []string
	if found {
		all = append(all, token)
	}
	for _, protocol := range subprotocols(r) {
		if token, ok := strings.CutPrefix(protocol, bearerProtocol); ok {
			all = append(all, token)
		}
	}
	all = append(all, r.URL.Query()["token"]...)
	if len(all) == 0 && s.config.Cookie != "" { // which a browser sends unasked, also when it is an old one
		for _, cookie := range r.CookiesNamed(s.config.Cookie) {
			if cookie.Value != "" { // an empty one is how a browser is made to forget it
				all = append(all, cookie.Value)
			}
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	switch len(all) {
	case 0:
		return "", refuse(Missing, "the request has no token")
	case 1:
		return all[0], nil
	}
	return "", refuse(Malformed, "the request has %d different tokens; give one", len(all))
}

// Subprotocol returns the websocket subprotocol with which a handshake is to be answered; empty for none. A browser
// that has offered some gives up if none is answered, and so the token itself is if it stands alone.
func (s *Subscribers) Subprotocol(r *http.Request) string {
	token := ""
	for _, protocol := range subprotocols(r) {
		if protocol == Protocol {
			return Protocol
		}
		if token == "" && strings.HasPrefix(protocol, bearerProtocol) {
			token = protocol
		}
	}
	return token
}

// subprotocols returns the websocket subprotocols that are offered.
func subprotocols(r *http.Request) []string {
	var all []string
	for _, value := range r.Header.Values("Sec-WebSocket-Protocol") {
		for protocol := range strings.SplitSeq(value, ",") {
			all = append(all, strings.Trim(protocol, " \t"))
		}
	}
	return all
}

// bearer returns the token in the values of an Authorization header. Other schemes are none of the bridge's.
func bearer(values []string) (token string, found bool, refusal *Refusal) {
	if len(values) > 1 {
		return "", false, refuse(Malformed, "there is more than one Authorization header")
	}
	if len(values) == 0 {
		return "", false, nil
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false, nil
	}
	return strings.Trim(token, " "), true, nil
}
