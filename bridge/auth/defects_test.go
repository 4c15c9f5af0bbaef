package auth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/rotki/notification-bridge/bridge/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	issuer   = "https://id.example.org"
	audience = "rotki-bridge"
	secret   = "0123456789abcdef0123456789abcdef"
)

// pair is a key with which tokens are signed, and by which they are checked.
type pair struct {
	private any
	signer  *auth.Signer
	public  []byte // in PEM
	key     any    // the public one
}

func newPair(t testing.TB, private any, public any) pair {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := auth.ParseSigner(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	if der, err = x509.MarshalPKIXPublicKey(public); err != nil {
		t.Fatal(err)
	}
	return pair{private, signer, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), public}
}

func newRSA(t testing.TB) pair {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return newPair(t, key, key.Public())
}

func newEC(t testing.TB) pair {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return newPair(t, key, key.Public())
}

func newEd(t testing.TB) pair {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return newPair(t, private, public)
}

func writeFile(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newTokens(t testing.TB, config auth.TokensConfig) *auth.Tokens {
	t.Helper()
	tokens, err := auth.NewTokens(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// run runs tokens until the test ends.
func run(t testing.TB, tokens *auth.Tokens) {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = tokens.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
}

// good are the claims of a token that everybody lets in.
func good() auth.Claims {
	return auth.Claims{
		Subject: "ann", Issuer: issuer, Audience: audience, TokenID: "t1", Expires: time.Now().Add(time.Hour),
		Scopes: []auth.Scope{auth.ScopePublish, auth.ScopeSubscribe, auth.ScopeAdmin},
	}
}

func sign(t testing.TB, signer *auth.Signer, c auth.Claims, keyID string) string {
	t.Helper()
	token, err := signer.Sign(c, keyID)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// raw signs any claims, with any header.
func raw(t testing.TB, method jwt.SigningMethod, key any, claims jwt.MapClaims, header map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	for name, value := range header {
		token.Header[name] = value
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func goodMap(change func(jwt.MapClaims)) jwt.MapClaims {
	claims := jwt.MapClaims{
		"sub": "ann", "iss": issuer, "aud": audience, "exp": time.Now().Add(time.Hour).Unix(), "scope": "subscribe publish",
	}
	change(claims)
	return claims
}

func defectOf(err error) auth.Defect {
	refusal := (*auth.Refusal)(nil)
	if errors.As(err, &refusal) {
		return refusal.Defect
	}
	return ""
}

func none(jwt.MapClaims) {}

// TestDefects: each is told by its name, and neither sentence gives away anything of the token.
func TestDefects(t *testing.T) {
	rsaPair, otherRSA, ecPair, edPair := newRSA(t), newRSA(t), newEC(t), newEd(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	config := auth.TokensConfig{
		KeyFiles: []string{writeFile(t, "rsa.pem", rsaPair.public), writeFile(t, "ec.pem", ecPair.public), writeFile(t, "ed.pem", edPair.public)},
		Issuer:   issuer, Audience: audience, Revoked: func(id string) bool { return id == "revoked" },
	}
	asymmetric := newTokens(t, config)
	config.SecretFile = writeFile(t, "secret", []byte(secret+"\n"))
	all := newTokens(t, config)
	config.KeyFiles = nil
	symmetric := newTokens(t, config)
	hmac, err := auth.ParseSigner([]byte(secret + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*auth.Claims)) string {
		c := good()
		change(&c)
		return sign(t, rsaPair.signer, c, "")
	}
	rs256 := func(change func(jwt.MapClaims)) string {
		return raw(t, jwt.SigningMethodRS256, rsaPair.private, goodMap(change), nil)
	}
	token := sign(t, rsaPair.signer, good(), "")
	parts := strings.Split(token, ".")
	der, _ := pem.Decode(rsaPair.public)
	for name, tc := range map[string]struct {
		by    *auth.Tokens
		token string
		scope auth.Scope
		want  auth.Defect
	}{
		"RS256":            {all, token, auth.ScopePublish, ""},
		"ES256":            {all, sign(t, ecPair.signer, good(), ""), auth.ScopePublish, ""},
		"EdDSA":            {all, sign(t, edPair.signer, good(), ""), auth.ScopePublish, ""},
		"HS256":            {all, sign(t, hmac, good(), ""), auth.ScopePublish, ""},
		"HS256 only":       {symmetric, sign(t, hmac, good(), ""), auth.ScopePublish, ""},
		"no scope":         {all, with(func(c *auth.Claims) { c.Scopes = nil }), auth.ScopeSubscribe, ""},
		"within leeway":    {all, with(func(c *auth.Claims) { c.Expires = time.Now().Add(-5 * time.Second) }), auth.ScopeSubscribe, ""},
		"several aud":      {all, rs256(func(c jwt.MapClaims) { c["aud"] = []string{"other", audience} }), auth.ScopeSubscribe, ""},
		"issued later":     {all, rs256(func(c jwt.MapClaims) { c["iat"] = time.Now().Add(time.Hour).Unix() }), auth.ScopeSubscribe, ""},
		"kid of a file":    {all, sign(t, rsaPair.signer, good(), "any"), auth.ScopeSubscribe, ""},
		"unknown claim":    {all, rs256(func(c jwt.MapClaims) { c["x"] = map[string]any{"y": 1} }), auth.ScopeSubscribe, ""},
		"empty":            {all, "", auth.ScopeSubscribe, auth.Malformed},
		"text":             {all, "token", auth.ScopeSubscribe, auth.Malformed},
		"two parts":        {all, parts[0] + "." + parts[1], auth.ScopeSubscribe, auth.Malformed},
		"four parts":       {all, token + ".x", auth.ScopeSubscribe, auth.Malformed},
		"no base64":        {all, "!." + parts[1] + "." + parts[2], auth.ScopeSubscribe, auth.Malformed},
		"too long":         {all, strings.Repeat("x", 17<<10), auth.ScopeSubscribe, auth.Malformed},
		"no exp":           {all, rs256(func(c jwt.MapClaims) { delete(c, "exp") }), auth.ScopeSubscribe, auth.Malformed},
		"exp is a string":  {all, rs256(func(c jwt.MapClaims) { c["exp"] = "soon" }), auth.ScopeSubscribe, auth.Malformed},
		"types is a text":  {all, rs256(func(c jwt.MapClaims) { c["types"] = "legacy" }), auth.ScopeSubscribe, auth.Malformed},
		"types of numbers": {all, rs256(func(c jwt.MapClaims) { c["types"] = []int{1} }), auth.ScopeSubscribe, auth.Malformed},
		"scope is a list":  {all, rs256(func(c jwt.MapClaims) { c["scope"] = []string{"publish"} }), auth.ScopeSubscribe, auth.Malformed},
		"sub is a number":  {all, rs256(func(c jwt.MapClaims) { c["sub"] = 1 }), auth.ScopeSubscribe, auth.Malformed},
		"crit":             {all, raw(t, jwt.SigningMethodRS256, rsaPair.private, goodMap(none), map[string]any{"crit": []string{"exp"}}), auth.ScopeSubscribe, auth.Malformed},
		"kid is a number":  {all, raw(t, jwt.SigningMethodRS256, rsaPair.private, goodMap(none), map[string]any{"kid": 1}), auth.ScopeSubscribe, auth.Malformed},
		"none":             {all, raw(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, goodMap(none), nil), auth.ScopeSubscribe, auth.WrongAlgorithm},
		"None":             {all, respell(t, token, "alg", "None"), auth.ScopeSubscribe, auth.WrongAlgorithm},
		"RS384":            {all, raw(t, jwt.SigningMethodRS384, rsaPair.private, goodMap(none), nil), auth.ScopeSubscribe, auth.WrongAlgorithm},
		"PS256":            {all, raw(t, jwt.SigningMethodPS256, rsaPair.private, goodMap(none), nil), auth.ScopeSubscribe, auth.WrongAlgorithm},
		"ES384":            {all, raw(t, jwt.SigningMethodES384, p384, goodMap(none), nil), auth.ScopeSubscribe, auth.WrongAlgorithm},
		"HS512":            {all, raw(t, jwt.SigningMethodHS512, []byte(secret), goodMap(none), nil), auth.ScopeSubscribe, auth.WrongAlgorithm},
		"HMAC, PEM key":    {asymmetric, raw(t, jwt.SigningMethodHS256, rsaPair.public, goodMap(none), nil), auth.ScopeSubscribe, auth.WrongAlgorithm},
		"HMAC, DER key":    {asymmetric, raw(t, jwt.SigningMethodHS256, der.Bytes, goodMap(none), nil), auth.ScopeSubscribe, auth.WrongAlgorithm},
		"HMAC, PEM, both":  {all, raw(t, jwt.SigningMethodHS256, rsaPair.public, goodMap(none), nil), auth.ScopeSubscribe, auth.WrongKey},
		"RS256 of HS256":   {symmetric, token, auth.ScopeSubscribe, auth.WrongAlgorithm},
		"another key":      {all, sign(t, otherRSA.signer, good(), ""), auth.ScopeSubscribe, auth.WrongKey},
		"another message":  {all, parts[0] + "." + strings.Split(with(func(c *auth.Claims) { c.Subject = "bob" }), ".")[1] + "." + parts[2], auth.ScopeSubscribe, auth.WrongKey},
		"no signature":     {all, parts[0] + "." + parts[1] + ".", auth.ScopeSubscribe, auth.WrongKey},
		"expired":          {all, with(func(c *auth.Claims) { c.Expires = time.Now().Add(-time.Minute) }), auth.ScopeSubscribe, auth.Expired},
		"not yet valid":    {all, with(func(c *auth.Claims) { c.NotBefore = time.Now().Add(time.Minute) }), auth.ScopeSubscribe, auth.NotYetValid},
		"wrong issuer":     {all, with(func(c *auth.Claims) { c.Issuer = "https://evil.example.org" }), auth.ScopeSubscribe, auth.WrongIssuer},
		"no issuer":        {all, with(func(c *auth.Claims) { c.Issuer = "" }), auth.ScopeSubscribe, auth.WrongIssuer},
		"wrong audience":   {all, with(func(c *auth.Claims) { c.Audience = "another" }), auth.ScopeSubscribe, auth.WrongAudience},
		"no audience":      {all, with(func(c *auth.Claims) { c.Audience = "" }), auth.ScopeSubscribe, auth.WrongAudience},
		"wrong scope":      {all, with(func(c *auth.Claims) { c.Scopes = []auth.Scope{"publish"} }), auth.ScopeSubscribe, auth.WrongScope},
		"no scope, admin":  {all, with(func(c *auth.Claims) { c.Scopes = nil }), auth.ScopeAdmin, auth.WrongScope},
		"no scope, pub":    {all, with(func(c *auth.Claims) { c.Scopes = nil }), auth.ScopePublish, auth.WrongScope},
		"part of a scope":  {all, with(func(c *auth.Claims) { c.Scopes = []auth.Scope{"publisher"} }), auth.ScopePublish, auth.WrongScope},
		"revoked":          {all, with(func(c *auth.Claims) { c.TokenID = "revoked" }), auth.ScopeSubscribe, auth.Revoked},
		"no subject":       {all, with(func(c *auth.Claims) { c.Subject = "" }), auth.ScopeSubscribe, auth.Unnamed},
	} {
		t.Run(name, func(t *testing.T) {
			caller, err := tc.by.Verify(t.Context(), tc.token, tc.scope)
			if got := defectOf(err); got != tc.want || (err == nil) != (tc.want == "") {
				t.Fatalf("got %+v, %v, want %q", caller, err, tc.want)
			}
			if err == nil {
				return
			}
			refusal := err.(*auth.Refusal)
			if refusal.Told() == "" || refusal.HTTPStatus() < 400 || refusal.GRPCCode() == 0 || refusal.Detail == "" {
				t.Errorf("it says %q, %d, %v, %q", refusal.Told(), refusal.HTTPStatus(), refusal.GRPCCode(), refusal.Detail)
			}
			for _, part := range strings.Split(tc.token, ".") {
				if len(part) > 8 && strings.Contains(refusal.Error()+refusal.Told(), part) {
					t.Errorf("it gives away a part of the token: %v", err)
				}
			}
			if strings.Contains(refusal.Error()+refusal.Told(), "ann") {
				t.Errorf("it gives away the subject: %v", err)
			}
		})
	}
}

// respell changes a field of a token's header, without signing it anew.
func respell(t testing.TB, token, field, value string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]any
	if err := json.Unmarshal(text, &header); err != nil {
		t.Fatal(err)
	}
	header[field] = value
	text, _ = json.Marshal(header)
	return base64.RawURLEncoding.EncodeToString(text) + "." + parts[1] + "." + parts[2]
}

// TestCaller: what a token says of its bearer.
func TestCaller(t *testing.T) {
	p := newEd(t)
	tokens := newTokens(t, auth.TokensConfig{KeyFiles: []string{writeFile(t, "ed.pem", p.public)}})
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	caller, err := tokens.Verify(t.Context(), sign(t, p.signer, auth.Claims{
		Subject: "ann", TokenID: "t1", Expires: expires, Types: []string{"b", "a", "b"}, Recipients: []string{},
	}, ""), auth.ScopeSubscribe)
	if err != nil {
		t.Fatal(err)
	}
	if caller.Subject != "ann" || caller.TokenID != "t1" || !caller.Expires.Equal(expires.Add(auth.DefaultLeeway)) ||
		!slices.Equal(caller.Types, []string{"a", "b"}) || caller.Recipients == nil || len(caller.Recipients) != 0 {
		t.Errorf("got %+v", caller)
	}
}

// TestKeyFiles: each file that cannot be used is refused with a sentence that names its flag.
func TestKeyFiles(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(small.Public())
	if err != nil {
		t.Fatal(err)
	}
	ed := newEd(t)
	private, err := x509.MarshalPKCS8PrivateKey(ed.private)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		config auth.TokensConfig
		want   string
	}{
		"nothing":           {auth.TokensConfig{}, "tokens need keys"},
		"no such secret":    {auth.TokensConfig{SecretFile: "/does/not/exist"}, "--jwt-secret-file"},
		"short secret":      {auth.TokensConfig{SecretFile: writeFile(t, "s", []byte("short\n"))}, "needs at least 32"},
		"PEM as a secret":   {auth.TokensConfig{SecretFile: writeFile(t, "s", ed.public)}, "holds a PEM block, and no secret"},
		"no such key":       {auth.TokensConfig{KeyFiles: []string{"/does/not/exist"}}, "--jwt-key-files"},
		"no PEM":            {auth.TokensConfig{KeyFiles: []string{writeFile(t, "k", []byte("text"))}}, "holds no PEM block"},
		"private key":       {auth.TokensConfig{KeyFiles: []string{writeFile(t, "k", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))}}, "needs the public key alone"},
		"broken key":        {auth.TokensConfig{KeyFiles: []string{writeFile(t, "k", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte{1}}))}}, "cannot be read"},
		"short RSA":         {auth.TokensConfig{KeyFiles: []string{writeFile(t, "k", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}}, "RSA key of 1024 bits"},
		"JWKS by http":      {auth.TokensConfig{JWKSURL: "http://id.example.org/jwks", Issuer: issuer, Audience: audience}, "https URL is needed"},
		"JWKS, no URL":      {auth.TokensConfig{JWKSURL: "id.example.org", Issuer: issuer, Audience: audience}, "https URL is needed"},
		"JWKS, no audience": {auth.TokensConfig{JWKSURL: "https://id.example.org/jwks", Issuer: issuer}, "--jwt-audience"},
		"JWKS, no issuer":   {auth.TokensConfig{JWKSURL: "https://id.example.org/jwks", Audience: audience}, "--jwt-issuer"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := auth.NewTokens(t.Context(), tc.config); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want something with %q", err, tc.want)
			}
		})
	}
}

// TestKeyFileRotated: a file that changes is read again, and a broken one is not.
func TestKeyFileRotated(t *testing.T) {
	before, after := newEd(t), newEC(t)
	path := writeFile(t, "key.pem", before.public)
	var warned atomic.Bool
	tokens := newTokens(t, auth.TokensConfig{KeyFiles: []string{path}, Logger: slog.New(slog.NewTextHandler(
		writer(func(line []byte) { warned.Store(warned.Load() || strings.Contains(string(line), "cannot be read")) }), nil))})
	run(t, tokens)
	verify := func(p pair) auth.Defect {
		_, err := tokens.Verify(t.Context(), sign(t, p.signer, good(), ""), auth.ScopeSubscribe)
		return defectOf(err)
	}
	if got := verify(before); got != "" {
		t.Fatalf("the first key is refused: %s", got)
	}
	if err := os.WriteFile(path, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "the broken file was looked at", warned.Load)
	if got := verify(before); got != "" {
		t.Errorf("after a broken file the first key is refused: %s", got)
	}
	if err := os.WriteFile(path, after.public, 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "the new key is accepted", func() bool { return verify(after) == "" })
	if got := verify(before); got != auth.WrongAlgorithm {
		t.Errorf("the old key is answered with %q", got)
	}
}

// writer is what a log is written to.
type writer func(line []byte)

// Write implements io.Writer.
func (w writer) Write(line []byte) (int, error) { w(line); return len(line), nil }

func await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come to this: %s", what)
		}
	}
}
