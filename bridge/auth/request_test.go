package auth_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/auth"
)

// request returns a request whose peer is 192.0.2.7. The headers are "name: value".
func request(target string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://bridge.example"+target, nil)
	r.RemoteAddr = "192.0.2.7:4711"
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// TestSubscriber: a token is found wherever a client can put it, and one place is enough.
func TestSubscriber(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t, auth.TokensConfig{SecretFile: file(t, []byte(secret))})
	token := sign(t, hmacSigner(), good(), "")
	claims := good()
	claims.Subject = "bob"
	other := sign(t, hmacSigner(), claims, "")
	claims.Scopes = []auth.Scope{auth.ScopePublish}
	publisher := sign(t, hmacSigner(), claims, "")
	const protocol = "Sec-WebSocket-Protocol: "
	query := "/ws?since=1&token=" + url.QueryEscape(token)
	for name, c := range map[string]struct {
		request *http.Request
		want    auth.Defect // empty for one that is let in
	}{
		"header":               {request("/ws", "Authorization: Bearer "+token), ""},
		"header in lower case": {request("/ws", "Authorization: bearer  "+token), ""},
		"query":                {request(query), ""},
		"cookie":               {request("/ws", "Cookie: a=b; jwt="+token), ""},
		"cookie in quotes":     {request("/ws", `Cookie: jwt="`+token+`"`), ""},
		"subprotocol":          {request("/ws", "Sec-WebSocket-Protocol: bearer."+token), ""},
		"second subprotocol":   {request("/ws", "Sec-WebSocket-Protocol: "+auth.Protocol+", bearer."+token), ""},
		"second header":        {request("/ws", protocol+"x", protocol+"bearer."+token), ""},
		"everywhere":           {request(query, "Authorization: Bearer "+token, "Cookie: jwt="+token), ""},
		"beside a forgotten":   {request(query, "Cookie: jwt="), ""},
		"beside an old cookie": {request(query, "Cookie: jwt=garbage"), ""},
		"beside another kind":  {request(query, "Authorization: Basic YTpi"), ""},

		"none":              {request("/ws"), auth.Missing},
		"another cookie":    {request("/ws", "Cookie: other="+token), auth.Missing},
		"another kind":      {request("/ws", "Authorization: Basic YTpi"), auth.Missing},
		"another protocol":  {request("/ws", "Sec-WebSocket-Protocol: x"), auth.Missing},
		"two":               {request(query, "Authorization: Bearer "+other), auth.Malformed},
		"two in the query":  {request(query + "&token=" + other), auth.Malformed},
		"two cookies":       {request("/ws", "Cookie: jwt="+token+"; jwt="+other), auth.Malformed},
		"two headers":       {request("/ws", "Authorization: Basic x", "Authorization: Basic x"), auth.Malformed},
		"empty header":      {request("/ws", "Authorization: Bearer"), auth.Malformed},
		"empty query":       {request("/ws?token="), auth.Malformed},
		"empty subprotocol": {request("/ws", "Sec-WebSocket-Protocol: bearer."), auth.Malformed},
		"garbage":           {request("/ws?token=garbage"), auth.Malformed},
		"a publisher's":     {request("/ws", "Authorization: Bearer "+publisher), auth.WrongScope},
	} {
		for _, anonymous := range []bool{false, true} {
			s := auth.NewSubscribers(auth.SubscribersConfig{Tokens: tokens, Cookie: "jwt", Anonymous: anonymous})
			caller, err := s.Authenticate(c.request)
			want, who := c.want, ""
			if want == "" {
				who = subject
			}
			if anonymous && want == auth.Missing {
				want = ""
			}
			if got := defectOf(t, err); got != want || caller.Subject != who {
				t.Errorf("%s (anonymous: %v): %q, %v; want %q, %q", name, anonymous, caller.Subject, err, who, want)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("%s: %v tells the token", name, err)
			}
		}
	}
}

// TestAnybody: without tokens and without a proxy's word everybody is somebody anonymous, whatever they show.
func TestAnybody(t *testing.T) {
	t.Parallel()
	s := auth.NewSubscribers(auth.SubscribersConfig{Cookie: "jwt"})
	caller, err := s.Authenticate(request("/ws?token=x", "Authorization: Bearer y", "X-User: alice"))
	if err != nil || caller.Subject != "" || !caller.Expires.Equal(time.Time{}) {
		t.Errorf("%+v, %v", caller, err)
	}
}

// TestSubjectHeader: a proxy's word counts, from a trusted proxy, and nothing else does.
func TestSubjectHeader(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t, auth.TokensConfig{SecretFile: file(t, []byte(secret))})
	bearer := "Authorization: Bearer " + sign(t, hmacSigner(), good(), "")
	from := func(peer string, headers ...string) *http.Request {
		r := request("/ws", headers...)
		r.RemoteAddr = peer
		return r
	}
	const proxy, stranger = "10.1.2.3:4", "192.0.2.7:4"
	for name, c := range map[string]struct {
		request *http.Request
		subject string
		want    auth.Defect
	}{
		"named":            {from(proxy, "X-User: bob"), "bob", ""},
		"named, mapped":    {from("[::ffff:10.1.2.3]:4", "x-user: bob"), "bob", ""},
		"beside a token":   {from(proxy, "X-User: bob", bearer), "bob", ""},
		"not named":        {from(proxy, bearer), "", auth.Missing},
		"empty":            {from(proxy, "X-User: "), "", auth.Unnamed},
		"twice":            {from(proxy, "X-User: bob", "X-User: bob"), "", auth.Malformed},
		"long":             {from(proxy, "X-User: "+strings.Repeat("x", 257)), "", auth.Malformed},
		"longest":          {from(proxy, "X-User: "+strings.Repeat("x", 256)), strings.Repeat("x", 256), ""},
		"not UTF-8":        {from(proxy, "X-User: \xff"), "", auth.Malformed},
		"control":          {from(proxy, "X-User: a\x01"), "", auth.Malformed},
		"control in UTF-8": {from(proxy, "X-User: a\u0085"), "", auth.Malformed},
		"not ASCII":        {from(proxy, "X-User: Jürgen"), "Jürgen", ""},
		"a stranger":       {from(stranger, "X-User: bob"), "", auth.UntrustedProxy},
		"its forwarder":    {from(stranger, "X-User: bob", "X-Forwarded-For: 10.1.2.3"), "", auth.UntrustedProxy},
		"a token alone":    {from(stranger, bearer), "", auth.UntrustedProxy}, // who is anonymous if that may be
		"no address":       {from("@", "X-User: bob"), "", auth.UntrustedProxy},
	} {
		for _, anonymous := range []bool{false, true} {
			s := auth.NewSubscribers(auth.SubscribersConfig{
				Tokens: tokens, SubjectHeader: "X-User", Anonymous: anonymous,
				Proxies: must(auth.ParseProxies([]string{"10.0.0.0/8"})),
			})
			caller, err := s.Authenticate(c.request)
			want := c.want
			if anonymous && (want == auth.Missing || name == "a token alone") {
				want = ""
			}
			if got := defectOf(t, err); got != want || caller.Subject != c.subject || !caller.Expires.IsZero() {
				t.Errorf("%s (anonymous: %v): %+v, %v; want %q, %q", name, anonymous, caller, err, c.subject, want)
			}
		}
	}
}

func TestSubprotocol(t *testing.T) {
	t.Parallel()
	s := auth.NewSubscribers(auth.SubscribersConfig{})
	for _, c := range []struct{ offered, want string }{
		{"", ""},
		{"graphql-ws", ""},
		{"bearer.abc", "bearer.abc"},
		{"x, bearer.abc, bearer.abc", "bearer.abc"},
		{"bearer.abc, rotki.notifications.v1", "rotki.notifications.v1"},
		{"rotki.notifications.v1,bearer.abc", "rotki.notifications.v1"},
		{"Rotki.notifications.v1", ""},
	} {
		r := request("/ws")
		if c.offered != "" {
			r.Header.Set("Sec-WebSocket-Protocol", c.offered)
		}
		if got := s.Subprotocol(r); got != c.want {
			t.Errorf("%q: %q; want %q", c.offered, got, c.want)
		}
	}
}
