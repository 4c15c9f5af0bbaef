package bridge_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/testcert"
	"github.com/rotki/notification-bridge/client"
)

// tokenCookie is in which cookie a subscriber's token may be.
const tokenCookie = "token_of_the_bridge"

const (
	issuer   = "https://issuer.test/realm"
	audience = "audience-of-the-bridge"
)

// provider is an identity provider. It vouches for RSA keys with a JWK Set, and for an EC key with a PEM file.
type provider struct {
	url   string
	file  string // with the EC key
	rsa   signingKey
	ec    signingKey
	mu    sync.Mutex
	known []signingKey // by the JWK Set
}

// signingKey is a key with an id, which is empty for a file's.
type signingKey struct {
	id      string
	private crypto.Signer
	method  jwt.SigningMethod
}

func newRSA(t testing.TB, id string) signingKey {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return signingKey{id, private, jwt.SigningMethodRS256}
}

func newEC(t testing.TB, curve elliptic.Curve, method jwt.SigningMethod) signingKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signingKey{"", private, method}
}

// publicPEM is what anybody may know of a key.
func (k signingKey) publicPEM(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// sign returns a token that the key signs.
func (k signingKey) sign(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	return signWith(t, k.method, k.private, k.id, claims)
}

func signWith(t testing.TB, method jwt.SigningMethod, key any, id string, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	if id != "" {
		token.Header["kid"] = id
	}
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func newProvider(t testing.TB) *provider {
	t.Helper()
	p := &provider{rsa: newRSA(t, "key-of-the-issuer"), ec: newEC(t, elliptic.P256(), jwt.SigningMethodES256)}
	p.file = testcert.Write(t, t.TempDir(), "issuer-keys.pem", p.ec.publicPEM(t))
	p.vouch(p.rsa)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url = server.URL + "/keys"
	return p
}

// vouch has the JWK Set hold these keys and no others.
func (p *provider) vouch(keys ...signingKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = keys
}

// ServeHTTP answers with the JWK Set.
func (p *provider) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	encode := base64.RawURLEncoding.EncodeToString
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	for _, k := range p.known {
		public := k.private.Public().(*rsa.PublicKey)
		set.Keys = append(set.Keys, map[string]string{
			"kty": "RSA", "use": "sig", "alg": k.method.Alg(), "kid": k.id,
			"n": encode(public.N.Bytes()), "e": encode(big.NewInt(int64(public.E)).Bytes()),
		})
	}
	_ = json.NewEncoder(w).Encode(set)
}

// access is what a bridge is told that believes this provider.
func (p *provider) access() bridge.AccessConfig {
	return bridge.AccessConfig{
		JWKSURL: p.url, KeyFiles: []string{p.file}, Issuer: issuer, Audience: audience,
		Cookie: tokenCookie, AdminToken: true,
	}
}

// claims are those of a token that is in order.
func claims(subject, id, scopes string) jwt.MapClaims {
	return jwt.MapClaims{
		"iss": issuer, "aud": audience, "sub": subject, "jti": id, "scope": scopes,
		"exp": time.Now().Add(time.Hour).Unix(),
	}
}

// token returns one that is in order.
func (p *provider) token(t testing.TB, subject, id string, scope auth.Scope) string {
	t.Helper()
	return p.rsa.sign(t, claims(subject, id, string(scope)))
}

// showing returns a token as the client takes it.
func showing(token string) client.TokenSource {
	return func(context.Context) (string, error) { return token, nil }
}
