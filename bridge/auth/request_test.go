package auth_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rotki/notification-bridge/bridge/auth"
)

// request makes one that asks for a websocket, with headers given as pairs of name and value.
func request(peer, query string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://bridge/ws/"+query, nil)
	r.RemoteAddr = peer
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

const stranger = "203.0.113.9:4000"

// TestToken: where a token may be, and what is made of several, of none, and of something else.
func TestToken(t *testing.T) {
	p := newEd(t)
	tokens := newTokens(t, auth.TokensConfig{KeyFiles: []string{writeFile(t, "ed.pem", p.public)}})
	token, another := sign(t, p.signer, good(), ""), sign(t, p.signer, good(), "other")
	asked := auth.NewSubscribers(auth.SubscribersConfig{Tokens: tokens, Cookie: "session"})
	lenient := auth.NewSubscribers(auth.SubscribersConfig{Tokens: tokens, Anonymous: true})
	for name, tc := range map[string]struct {
		by      *auth.Subscribers
		request *http.Request
		subject string
		want    auth.Defect
	}{
		"header":                     {asked, request(stranger, "", "Authorization", "Bearer "+token), "ann", ""},
		"header, lower case":         {asked, request(stranger, "", "Authorization", "bearer  "+token), "ann", ""},
		"parameter":                  {asked, request(stranger, "?token="+token), "ann", ""},
		"parameter, spelled":         {asked, request(stranger, "?token="+strings.ReplaceAll(token, ".", "%2E")), "ann", ""},
		"subprotocol":                {asked, request(stranger, "", "Sec-WebSocket-Protocol", "a, bearer."+token), "ann", ""},
		"cookie":                     {asked, request(stranger, "", "Cookie", "x=y; session="+token), "ann", ""},
		"header before cookie":       {asked, request(stranger, "", "Cookie", "session=old", "Authorization", "Bearer "+token), "ann", ""},
		"the same one twice":         {asked, request(stranger, "?token="+token, "Authorization", "Bearer "+token), "ann", ""},
		"two that differ":            {asked, request(stranger, "?token="+token, "Authorization", "Bearer "+another), "", auth.Malformed},
		"two parameters":             {asked, request(stranger, "?token="+token+"&token="+another), "", auth.Malformed},
		"two cookies":                {asked, request(stranger, "", "Cookie", "session="+token+"; session="+another), "", auth.Malformed},
		"nothing":                    {asked, request(stranger, ""), "", auth.Missing},
		"an empty parameter":         {asked, request(stranger, "?token="), "", auth.Malformed},
		"another scheme":             {asked, request(stranger, "", "Authorization", "Basic "+token), "", auth.Missing},
		"another cookie":             {asked, request(stranger, "", "Cookie", "x="+token), "", auth.Missing},
		"no token":                   {asked, request(stranger, "?token=abc"), "", auth.Malformed},
		"nothing, nobody asks":       {lenient, request(stranger, ""), "", ""},
		"a cookie that is none's":    {lenient, request(stranger, "", "Cookie", "session="+token), "", ""},
		"good, nobody must":          {lenient, request(stranger, "?token="+token), "ann", ""},
		"bad, though nobody must":    {lenient, request(stranger, "?token=abc"), "", auth.Malformed},
		"no tokens at all":           {auth.NewSubscribers(auth.SubscribersConfig{}), request(stranger, "?token=abc"), "", ""},
		"a subject nobody asked for": {asked, request(stranger, "", "X-User", "bob", "Authorization", "Bearer "+token), "ann", ""},
	} {
		t.Run(name, func(t *testing.T) {
			caller, err := tc.by.Authenticate(tc.request)
			if caller.Subject != tc.subject || defectOf(err) != tc.want {
				t.Errorf("got %+v, %v, want %q, %q", caller, err, tc.subject, tc.want)
			}
		})
	}
}

// TestSubjectHeader: it counts from a trusted proxy only, and no token beside it.
func TestSubjectHeader(t *testing.T) {
	proxies, err := auth.ParseProxies([]string{"192.0.2.1", "2001:db8::/32"})
	if err != nil {
		t.Fatal(err)
	}
	p := newEd(t)
	config := auth.SubscribersConfig{
		SubjectHeader: "X-User", Proxies: proxies,
		Tokens: newTokens(t, auth.TokensConfig{KeyFiles: []string{writeFile(t, "ed.pem", p.public)}}),
	}
	asked := auth.NewSubscribers(config)
	config.Anonymous = true
	lenient := auth.NewSubscribers(config)
	token := sign(t, p.signer, good(), "")
	for name, tc := range map[string]struct {
		by      *auth.Subscribers
		request *http.Request
		subject string
		want    auth.Defect
	}{
		"the proxy":              {asked, request("192.0.2.1:1", "", "X-User", "bob"), "bob", ""},
		"a proxy, IPv6":          {asked, request("[2001:db8::7]:1", "", "X-User", "bob"), "bob", ""},
		"a proxy, IPv4 in IPv6":  {asked, request("[::ffff:192.0.2.1]:1", "", "X-User", "bob"), "bob", ""},
		"a stranger":             {asked, request(stranger, "", "X-User", "bob"), "", auth.UntrustedProxy},
		"a stranger, forwarded":  {asked, request(stranger, "", "X-User", "bob", "X-Forwarded-For", "192.0.2.1"), "", auth.UntrustedProxy},
		"a stranger with token":  {asked, request(stranger, "?token="+token), "", auth.UntrustedProxy},
		"a stranger may":         {lenient, request(stranger, ""), "", auth.Defect("")},
		"a stranger lies":        {lenient, request(stranger, "", "X-User", "bob"), "", auth.UntrustedProxy},
		"the proxy, none":        {asked, request("192.0.2.1:1", ""), "", auth.Missing},
		"the proxy, empty":       {asked, request("192.0.2.1:1", "", "X-User", ""), "", auth.Unnamed},
		"the proxy, none, may":   {lenient, request("192.0.2.1:1", ""), "", ""},
		"the proxy, twice":       {asked, request("192.0.2.1:1", "", "X-User", "bob", "X-User", "ann"), "", auth.Malformed},
		"the proxy, long":        {asked, request("192.0.2.1:1", "", "X-User", strings.Repeat("x", 257)), "", auth.Malformed},
		"the proxy, no text":     {asked, request("192.0.2.1:1", "", "X-User", "\xff"), "", auth.Malformed},
		"the proxy and a token":  {asked, request("192.0.2.1:1", "?token="+token, "X-User", "bob"), "bob", ""},
		"another that is no one": {asked, request("192.0.2.2:1", "", "X-User", "bob"), "", auth.UntrustedProxy},
	} {
		t.Run(name, func(t *testing.T) {
			caller, err := tc.by.Authenticate(tc.request)
			if caller.Subject != tc.subject || defectOf(err) != tc.want {
				t.Errorf("got %+v, %v, want %q, %q", caller, err, tc.subject, tc.want)
			}
		})
	}
}

func TestSubprotocolAnswered(t *testing.T) {
	s := auth.NewSubscribers(auth.SubscribersConfig{})
	for offered, want := range map[string]string{
		"": "", "chat": "", "chat, bearer.x": "bearer.x", "bearer.x, rotki.notifications.v1": "rotki.notifications.v1",
	} {
		if got := s.Subprotocol(request(stranger, "", "Sec-WebSocket-Protocol", offered)); got != want {
			t.Errorf("%q was answered with %q, want %q", offered, got, want)
		}
	}
}

func TestClient(t *testing.T) {
	proxies, err := auth.ParseProxies([]string{"192.0.2.0/24", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		request *http.Request
		want    string
	}{
		"no proxy":            {request(stranger, ""), "203.0.113.9"},
		"no proxy, but says":  {request(stranger, "", "X-Forwarded-For", "198.51.100.1"), "203.0.113.9"},
		"a proxy":             {request("192.0.2.1:1", "", "X-Forwarded-For", "198.51.100.1"), "198.51.100.1"},
		"a proxy, made up":    {request("192.0.2.1:1", "", "X-Forwarded-For", "10.0.0.1, 198.51.100.1"), "198.51.100.1"},
		"proxies":             {request("192.0.2.1:1", "", "X-Forwarded-For", "10.0.0.1, 198.51.100.1,192.0.2.7"), "198.51.100.1"},
		"two headers":         {request("192.0.2.1:1", "", "X-Forwarded-For", "10.0.0.1", "X-Forwarded-For", "198.51.100.1"), "198.51.100.1"},
		"a proxy, nothing":    {request("192.0.2.1:1", ""), "192.0.2.1"},
		"a proxy, nonsense":   {request("192.0.2.1:1", "", "X-Forwarded-For", "198.51.100.1, unknown"), "192.0.2.1"},
		"a proxy, itself":     {request("192.0.2.1:1", "", "X-Forwarded-For", "192.0.2.3"), "192.0.2.3"},
		"a proxy, with zone":  {request("[::1]:1", "", "X-Forwarded-For", "fe80::1%eth0"), "fe80::1"},
		"a proxy, with port":  {request("192.0.2.1:1", "", "X-Forwarded-For", "198.51.100.1:80"), "198.51.100.1"},
		"a proxy, v4 in v6":   {request("192.0.2.1:1", "", "X-Forwarded-For", "::ffff:198.51.100.1"), "198.51.100.1"},
		"a proxy by v4 in v6": {request("[::ffff:192.0.2.1]:1", "", "X-Forwarded-For", "198.51.100.1"), "198.51.100.1"},
	} {
		if got := proxies.Client(tc.request).String(); got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
	for _, wrong := range []string{"", "proxy.example.org", "192.0.2.0/33", "192.0.2.1:80", "fe80::1%eth0"} {
		if _, err := auth.ParseProxies([]string{wrong}); err == nil || !strings.Contains(err.Error(), "--trusted-proxies") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// FuzzAuthenticate: whatever a request says, nobody is let in without a token that was signed, or the proxy's word.
func FuzzAuthenticate(f *testing.F) {
	p := newEd(f)
	tokens := newTokens(f, auth.TokensConfig{KeyFiles: []string{writeFile(f, "ed.pem", p.public)}})
	token := sign(f, p.signer, good(), "")
	proxies, err := auth.ParseProxies([]string{"192.0.2.0/24"})
	if err != nil {
		f.Fatal(err)
	}
	byToken := auth.NewSubscribers(auth.SubscribersConfig{Tokens: tokens, Cookie: "session", Proxies: proxies})
	byProxy := auth.NewSubscribers(auth.SubscribersConfig{SubjectHeader: "X-User", Proxies: proxies})
	f.Add("token="+token, "", "", "", "203.0.113.9:1", "")
	f.Add("", "Bearer "+token, "bearer."+token, "session="+token, "192.0.2.1:1", "198.51.100.1")
	f.Add("token=%zz", "Bearer", "bearer.", "session", "", ",")
	f.Fuzz(func(t *testing.T, query, authorization, protocols, cookie, peer, forwarded string) {
		r := &http.Request{
			URL: &url.URL{Path: "/ws/", RawQuery: query}, RemoteAddr: peer,
			Header: http.Header{
				"Authorization": {authorization}, "Sec-Websocket-Protocol": {protocols}, "Cookie": {cookie},
				"X-Forwarded-For": {forwarded}, "X-User": {authorization},
			},
		}
		if caller, err := byToken.Authenticate(r); err == nil {
			all := strings.Join([]string{r.URL.Query().Get("token"), authorization, protocols, cookie}, "\n")
			if caller.Subject != "ann" || !strings.Contains(all, token) {
				t.Errorf("%+v was let in", caller)
			}
		}
		if caller, err := byProxy.Authenticate(r); err == nil && (!strings.HasPrefix(peer, "192.0.2.") && !strings.HasPrefix(peer, "[::ffff:") || caller.Subject == "") {
			t.Errorf("%+v was let in from %s", caller, peer)
		}
		byToken.Subprotocol(r)
		if client := proxies.Client(r); client.Zone() != "" || client.Is4In6() {
			t.Errorf("the client is %v", client)
		}
	})
}

// FuzzVerify: a token is accepted only if what it says was signed.
func FuzzVerify(f *testing.F) {
	edPair, ecPair := newEd(f), newEC(f)
	hmac, err := auth.ParseSigner([]byte(secret))
	if err != nil {
		f.Fatal(err)
	}
	tokens := newTokens(f, auth.TokensConfig{
		SecretFile: writeFile(f, "secret", []byte(secret)),
		KeyFiles:   []string{writeFile(f, "ed.pem", edPair.public), writeFile(f, "ec.pem", ecPair.public)},
	})
	signed := make(map[string]bool)
	for _, signer := range []*auth.Signer{edPair.signer, ecPair.signer, hmac} {
		token := sign(f, signer, good(), "")
		signed[token[:strings.LastIndex(token, ".")]] = true
		f.Add(token)
		f.Add(respell(f, token, "alg", "none"))
		f.Add(respell(f, token, "alg", "HS256"))
	}
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		_, err := tokens.Verify(t.Context(), token, auth.ScopePublish)
		if err != nil && defectOf(err) == "" {
			t.Errorf("not a refusal: %v", err)
		}
		if err == nil && !signed[token[:strings.LastIndex(token, ".")]] {
			t.Errorf("accepted: %s", token)
		}
	})
}
