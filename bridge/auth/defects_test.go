package auth_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rotki/notification-bridge/bridge/auth"
)

// defective is a token with a defect.
type defective struct {
	name   string
	token  string
	want   auth.Defect
	detail string // a part of what the operator is told
}

// withClaims are tokens whose signature is right.
func withClaims() []defective {
	now, tooLong := time.Now().Unix(), strings.Repeat("x", 257)
	claims := func(more string) string {
		all := fmt.Sprintf(`{"sub":%q,"iss":%q,"aud":%q,"exp":%d,"jti":"one"`, subject, issuer, audience, now+3600)
		return craft(jwt.SigningMethodES256, ecKey(), `{"alg":"ES256","kid":"e"}`, all+more+"}")
	}
	whole := func(claims string) string {
		return craft(jwt.SigningMethodES256, ecKey(), `{"alg":"ES256","kid":"e"}`, claims)
	}
	of := func(change func(*auth.Claims)) string {
		c := good()
		change(&c)
		return must(signer(ecKey()).Sign(c, "e"))
	}
	return []defective{
		{"sound", claims(""), "", ""},
		{"iat ahead", claims(`,"iat":99999999999`), "", ""},
		{"another's claims", claims(`,"Sub":"bob","Scope":null,"azp":[null]`), "", ""},
		{"no audience", of(func(c *auth.Claims) { c.Audience = "" }), auth.WrongAudience, `its aud is "", and`},
		{
			"aud as a list", whole(fmt.Sprintf(`{"sub":"a","iss":%q,"aud":["x","bridge"],"exp":%d}`, issuer, now+60)),
			"", "",
		},
		{"within the leeway", of(func(c *auth.Claims) { c.Expires = time.Now().Add(-2 * time.Second) }), "", ""},
		{"nbf within the leeway", of(func(c *auth.Claims) { c.NotBefore = time.Now().Add(20 * time.Second) }), "", ""},

		{"expired", of(func(c *auth.Claims) { c.Expires = time.Unix(now-60, 0) }), auth.Expired, "it expired at"},
		{
			"nbf ahead", of(func(c *auth.Claims) { c.NotBefore = time.Now().Add(time.Minute) }),
			auth.NotYetValid, "not valid before 20",
		},
		{
			"issuer", of(func(c *auth.Claims) { c.Issuer = "https://evil.example/" + strings.Repeat("x", 100) }),
			auth.WrongIssuer,
			`its iss is "https://evil.example/` + strings.Repeat("x", 43) + `"..., and not "https://id.example/"`,
		},
		{"no issuer", of(func(c *auth.Claims) { c.Issuer = "" }), auth.WrongIssuer, `its iss is ""`},
		{
			"audience", of(func(c *auth.Claims) { c.Audience = "another" }),
			auth.WrongAudience, `its aud is "another", and not "bridge"`,
		},
		{
			"scope", of(func(c *auth.Claims) { c.Scopes = []auth.Scope{auth.ScopePublish, auth.ScopeAdmin} }),
			auth.WrongScope, `it is for "publish admin", and not for "subscribe"`,
		},
		{"empty scope", claims(`,"scope":""`), auth.WrongScope, `it is for ""`},
		{"a scope's part", claims(`,"scope":"subscribed un-subscribe"`), auth.WrongScope, ""},
		{"revoked", of(func(c *auth.Claims) { c.TokenID = "gone" }), auth.Revoked, `its id "gone" was revoked`},
		{"no sub", of(func(c *auth.Claims) { c.Subject = "" }), auth.Unnamed, "no sub"},

		{"no exp", of(func(c *auth.Claims) { c.Expires = time.Time{} }), auth.Malformed, "has no exp"},
		{"exp null", whole(`{"sub":"a","exp":null}`), auth.Malformed, "has no exp"},
		{"exp absurd", whole(`{"sub":"a","exp":1e300}`), auth.Malformed, "its exp is no time"},
		{"exp beyond 9999", whole(`{"sub":"a","exp":253402300800}`), auth.Malformed, "its exp is no time"},
		{"nbf beyond 9999", claims(`,"nbf":253402300800`), auth.Malformed, "its nbf is no time"},
		{"nbf before 1970", claims(`,"nbf":-1`), auth.Malformed, "its nbf is no time"},
		{"exp before 1970", whole(`{"sub":"a","exp":-1}`), auth.Malformed, "its exp is no time"},
		{"exp a word", whole(`{"sub":"a","exp":"never"}`), auth.Malformed, `its claim "exp" has the wrong type`},
		{"nbf absurd", claims(`,"nbf":1e300`), auth.Malformed, "its nbf is no time"},
		{"types a string", claims(`,"types":"a"`), auth.Malformed, `its claim "types" has the wrong type`},
		{"types null", claims(`,"types":null`), auth.Malformed, `its claim "types" has the wrong type`},
		{"a type null", claims(`,"types":[null]`), auth.Malformed, `its claim "types" has the wrong type`},
		{"a recipient 1", claims(`,"recipients":[1]`), auth.Malformed, `its claim "recipients" has the wrong type`},
		{"recipients null", claims(`,"recipients":null`), auth.Malformed, `its claim "recipients" has the wrong type`},
		{"scope a list", claims(`,"scope":["subscribe"]`), auth.Malformed, `its claim "scope" has the wrong type`},
		{"scope null", claims(`,"scope":null`), auth.Malformed, `its claim "scope" has the wrong type`},
		{"sub a number", whole(`{"sub":1}`), auth.Malformed, `its claim "sub" has the wrong type`},
		{"sub null", whole(`{"sub":null}`), auth.Malformed, `its claim "sub" has the wrong type`},
		{"aud numbers", whole(`{"aud":[1]}`), auth.Malformed, `its claim "aud" has the wrong type`},
		{"sub twice", claims(`,"sub":"bob"`), auth.Malformed, "have a name twice"},
		{"sub not UTF-8", whole("{\"sub\":\"\xff\"}"), auth.Malformed, "no JSON object"},
		{"sub with a line end", whole(`{"sub":"a\n","exp":9999999999}`), auth.Malformed, "its sub is longer"},
		{"sub long", of(func(c *auth.Claims) { c.Subject = tooLong }), auth.Malformed, "its sub is longer"},
		{"jti long", of(func(c *auth.Claims) { c.TokenID = tooLong }), auth.Malformed, "its jti is longer"},
		{"claims null", whole(`null`), auth.Malformed, "no JSON object"},
		{"claims a list", whole(`[]`), auth.Malformed, "no JSON object"},
		{"claims no JSON", whole(`{`), auth.Malformed, "not a signed JSON Web Token"},
		{"nested", whole(`"` + claims("") + `"`), auth.Malformed, "no JSON object"},
		{
			"16 KiB", of(func(c *auth.Claims) { c.Types = []string{strings.Repeat("x", 16<<10)} }),
			auth.Malformed, "at most 16384 are accepted",
		},
	}
}

// withSignatures are tokens whose claims are right.
func withSignatures() []defective {
	claims := fmt.Sprintf(`{"sub":%q,"iss":%q,"aud":%q,"exp":9999999999}`, subject, issuer, audience)
	es256 := func(header string) string { return craft(jwt.SigningMethodES256, ecKey(), header, claims) }
	sound := es256(`{"alg":"ES256","kid":"e"}`)
	head, signature := sound[:strings.LastIndex(sound, ".")], sound[strings.LastIndex(sound, ".")+1:]
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	loose := alphabet[strings.IndexByte(alphabet, sound[len(sound)-1])+1:][:1] // the last four bits stand for nothing
	publicRSA := publicPEM(rsaKey())
	none := craft(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, `{"alg":"none"}`, claims)
	return []defective{
		{"sound", sound, "", ""},
		{"typ", es256(`{"alg":"ES256","kid":"e","typ":"at+jwt"}`), "", ""},

		{"none", none, auth.WrongAlgorithm, `signed with "none", and no key is for that`},
		{"none, with a key", none + signature, auth.WrongAlgorithm, ""},
		{"NONE", craft(jwt.SigningMethodES256, ecKey(), `{"alg":"NONE"}`, claims), auth.WrongAlgorithm, `"NONE"`},
		{
			"HMAC with the public key", craft(jwt.SigningMethodHS256, publicRSA, `{"alg":"HS256","kid":"r"}`, claims),
			auth.WrongAlgorithm, `signed with "HS256", and no key is for that`,
		},
		{
			"HMAC with a published secret",
			craft(jwt.SigningMethodHS256, []byte(secret), `{"alg":"HS256","kid":"o"}`, claims),
			auth.WrongAlgorithm, "no key is for that",
		},
		{
			"RS384", craft(jwt.SigningMethodRS384, rsaKey(), `{"alg":"RS384","kid":"r"}`, claims),
			auth.WrongAlgorithm, `"RS384"`,
		},
		{
			"PS256", craft(jwt.SigningMethodPS256, rsaKey(), `{"alg":"PS256","kid":"r"}`, claims),
			auth.WrongAlgorithm, `"PS256"`,
		},
		{"an algorithm unheard of", es256(`{"alg":"XX1","kid":"e"}`), auth.WrongAlgorithm, `"XX1"`},
		{
			"ES256 with the id of an RSA key", es256(`{"alg":"ES256","kid":"r"}`),
			auth.WrongAlgorithm, `signed with "ES256", and its key "r" is for RS256`,
		},
		{
			"a key for another algorithm",
			craft(jwt.SigningMethodRS256, otherRSAKey(), `{"alg":"RS256","kid":"ps"}`, claims),
			auth.UnknownKey, `its key "ps" is not in the key set`,
		},
		{
			"a key for encryption", craft(jwt.SigningMethodRS256, otherRSAKey(), `{"alg":"RS256","kid":"enc"}`, claims),
			auth.UnknownKey, `"enc"`,
		},
		{"unknown key", es256(`{"alg":"ES256","kid":"x"}`), auth.UnknownKey, `its key "x" is not in the key set`},
		{
			"wrong key", craft(jwt.SigningMethodES256, otherECKey(), `{"alg":"ES256","kid":"e"}`, claims),
			auth.WrongKey, `no key for ES256 fits its signature (its key id is "e")`,
		},
		{
			"wrong key, not named", craft(jwt.SigningMethodEdDSA, otherEdKey(), `{"alg":"EdDSA"}`, claims),
			auth.WrongKey, `no key for EdDSA fits its signature`,
		},
		{"no signature", head + ".", auth.WrongKey, ""},
		{"short signature", head + "." + signature[:40], auth.WrongKey, ""},
		{"zero signature", head + "." + strings.Repeat("A", 86), auth.WrongKey, ""},
		{"claims of another", strings.SplitAfter(sound, ".")[0] + "e30." + signature, auth.WrongKey, ""},

		{"empty", "", auth.Malformed, "not a signed JSON Web Token"},
		{"garbage", "garbage", auth.Malformed, "not a signed JSON Web Token"},
		{"two parts", head, auth.Malformed, "not a signed JSON Web Token"},
		{"five parts", sound + ".a.b", auth.Malformed, "not a signed JSON Web Token"},
		{"dots", "..", auth.Malformed, "not a signed JSON Web Token"},
		{"padding", head + "." + signature + "==", auth.Malformed, "not a signed JSON Web Token"},
		{"a line end within", head + ".\n" + signature, auth.Malformed, "not a signed JSON Web Token"},
		{"header no JSON", craft(jwt.SigningMethodES256, ecKey(), `{`, claims), auth.Malformed, ""},
		{"header null", craft(jwt.SigningMethodES256, ecKey(), `null`, claims), auth.Malformed, "names no algorithm"},
		{"no algorithm", es256(`{"kid":"e"}`), auth.Malformed, "names no algorithm"},
		{"algorithm a number", es256(`{"alg":1}`), auth.Malformed, "names no algorithm"},
		{"key id a number", es256(`{"alg":"ES256","kid":1}`), auth.Malformed, "key id is not a string"},
		{"crit", es256(`{"alg":"ES256","kid":"e","crit":["exp"]}`), auth.Malformed, `its header has "crit"`},
		{"compressed", es256(`{"alg":"ES256","kid":"e","zip":"DEF"}`), auth.Malformed, `its header has "zip"`},
		{"bits beyond the signature", sound[:len(sound)-1] + loose, auth.Malformed, "not a signed JSON Web Token"},
		{"encrypted", es256(`{"alg":"ES256","kid":"e","enc":"A128GCM"}`), auth.Malformed, `its header has "enc"`},
	}
}

// TestDefects: every defect of a token is told from the others, and what is told of it gives nothing away.
func TestDefects(t *testing.T) {
	t.Parallel()
	p := newProvider(
		t, published{id: "r", key: rsaKey().Public()}, published{id: "e", key: ecKey().Public()},
		published{id: "d", key: edKey().Public()}, published{id: "o", key: []byte(secret)},
		published{id: "ps", key: otherRSAKey().Public(), alg: "PS256"},
		published{id: "enc", key: otherRSAKey().Public(), use: "enc"},
	)
	config := p.config()
	config.Revoked = func(id string) bool { return id == "gone" || id == "" }
	tokens := newTokens(t, config)
	for _, c := range slices.Concat(withClaims(), withSignatures()) {
		caller, err := tokens.Verify(t.Context(), c.token, auth.ScopeSubscribe)
		got := defectOf(t, err)
		if got != c.want {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
		if err == nil {
			continue
		}
		if caller.Subject != "" {
			t.Errorf("%s: refused, and still %q", c.name, caller.Subject)
		}
		refusal := err.(*auth.Refusal)
		if !strings.Contains(refusal.Detail, c.detail) {
			t.Errorf("%s: %q; want %q in it", c.name, refusal.Detail, c.detail)
		}
		secrets := []string{subject}
		for part := range strings.SplitSeq(c.token, ".") {
			if len(part) > 7 { // a shorter one may stand in a sentence by chance
				secrets = append(secrets, part)
			}
		}
		for _, secret := range secrets {
			if strings.Contains(refusal.Detail+refusal.Told(), secret) {
				t.Errorf("%s: %q tells %q", c.name, refusal.Error(), secret)
			}
		}
	}
}

// TestHMACWithPublicKey: a public key in a file is no secret, neither as it is in the file nor as it is in memory; with
// a secret besides, it is a wrong one.
func TestHMACWithPublicKey(t *testing.T) {
	t.Parallel()
	public := publicPEM(rsaKey())
	der, _ := base64.StdEncoding.DecodeString(strings.Join(strings.Split(string(public), "\n")[1:8], ""))
	for want, config := range map[auth.Defect]auth.TokensConfig{
		auth.WrongAlgorithm: {KeyFiles: []string{file(t, public)}},
		auth.WrongKey:       {KeyFiles: []string{file(t, public)}, SecretFile: file(t, []byte(secret))},
	} {
		tokens := newTokens(t, config)
		for _, key := range [][]byte{public, public[:len(public)-1], der, rsaKey().N.Bytes(), {}} {
			token := craft(jwt.SigningMethodHS256, key, `{"alg":"HS256"}`, `{"sub":"a","exp":9999999999}`)
			if _, err := tokens.Verify(t.Context(), token, auth.ScopeSubscribe); defectOf(t, err) != want {
				t.Errorf("%v; want %s", err, want)
			}
		}
	}
}

// TestNoScope: a token without scopes may subscribe, and nothing else.
func TestNoScope(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t, auth.TokensConfig{SecretFile: file(t, []byte(secret))})
	for _, scope := range []auth.Scope{auth.ScopePublish, auth.ScopeAdmin, ""} {
		_, err := tokens.Verify(t.Context(), sign(t, hmacSigner(), good(), ""), scope)
		if defectOf(t, err) != auth.WrongScope {
			t.Errorf("%q: %v", scope, err)
		}
	}
}

// TestVerdicts: every defect has a place in every answer.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	all := auth.Defects()
	if len(all) != 15 || !slices.IsSorted(all) {
		t.Errorf("%d defects, sorted: %v", len(all), slices.IsSorted(all))
	}
	for _, defect := range all {
		err := error(&auth.Refusal{Defect: defect, Detail: "x"})
		if defectOf(t, err) != defect || !errors.As(err, new(*auth.Refusal)) {
			t.Errorf("%s has no verdict", defect)
		}
	}
}

// TestUnverified: what a token says of itself is read as it is when it is checked, whatever else its issuer lets in.
func TestUnverified(t *testing.T) {
	t.Parallel()
	for claims, want := range map[string]string{
		`{"jti":"a","exp":1900000000}`:                               "a 1900000000",
		`{"jti":"a","JTI":"b","exp":1900000000,"Exp":1}`:             "a 1900000000",
		`{"JTI":"b","Exp":1}`:                                        "never",
		`{"jti":"a","jti":"b","exp":1900000000}`:                     "malformed",
		`{"jti":["a"],"exp":1900000000}`:                             "malformed",
		`{"jti":"a","exp":1900000000,"aud":["x"],"other":{"exp":1}}`: "a 1900000000",
	} {
		got := "never"
		id, expires, err := auth.Unverified(craft(jwt.SigningMethodES256, ecKey(), `{"alg":"ES256"}`, claims))
		if refusal, ok := errors.AsType[*auth.Refusal](err); ok {
			got = string(refusal.Defect)
		} else if !expires.IsZero() {
			got = fmt.Sprint(id, " ", expires.Unix())
		}
		if got != want {
			t.Errorf("%s: %s, want %s", claims, got, want)
		}
	}
	if _, _, err := auth.Unverified("a.b"); err == nil || err.Error() != "this is no token" {
		t.Errorf("no token: %v", err)
	}
}
