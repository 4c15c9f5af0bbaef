package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/auth"
)

// TestGood: tokens of every algorithm, with keys of every source, say who it is.
func TestGood(t *testing.T) {
	t.Parallel()
	p := newProvider(
		t, published{id: "r", key: rsaKey().Public(), use: "sig", alg: "RS256"},
		published{id: "e", key: ecKey().Public()}, published{id: "d", key: edKey().Public(), use: "sig"},
	)
	for name, config := range map[string]auth.TokensConfig{
		"files": {
			SecretFile: file(t, []byte(secret+"\n")),
			KeyFiles: []string{
				file(t, append(publicPEM(rsaKey()), publicPEM(ecKey())...)), file(t, publicPEM(edKey())),
			},
		},
		"key set": p.config(),
	} {
		tokens := newTokens(t, config)
		for keyID, s := range map[string]*auth.Signer{
			"": hmacSigner(), "r": signer(rsaKey()), "e": signer(ecKey()), "d": signer(edKey()),
		} {
			if config.SecretFile == "" && keyID == "" {
				continue
			}
			for _, keyID := range []string{keyID, ""} {
				c := good()
				c.TokenID, c.Types, c.Recipients = "one", []string{"b", "a", "b"}, []string{}
				got, err := tokens.Verify(t.Context(), sign(t, s, c, keyID), auth.ScopeSubscribe)
				want := auth.Caller{
					Subject: subject, TokenID: "one", Types: []string{"a", "b"}, Recipients: []string{},
					Expires: time.Unix(c.Expires.Unix(), 0).Add(30 * time.Second),
				}
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%s, %s, key %q: %+v, %v; want %+v", name, s.Algorithm(), keyID, got, err, want)
				}
			}
		}
	}
}

// TestNoLimits: a token without limits has none, and one for everything is for each.
func TestNoLimits(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t, auth.TokensConfig{SecretFile: file(t, []byte(secret))})
	c := good()
	c.Scopes = []auth.Scope{auth.ScopePublish, auth.ScopeAdmin, auth.ScopeSubscribe}
	for _, scope := range c.Scopes {
		got, err := tokens.Verify(t.Context(), sign(t, hmacSigner(), c, ""), scope)
		if err != nil || got.Types != nil || got.Recipients != nil {
			t.Errorf("%s: %+v, %v", scope, got, err)
		}
	}
}

// TestCertificateAsKey: a certificate stands for its key.
func TestCertificateAsKey(t *testing.T) {
	t.Parallel()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(-time.Hour)}
	der := must(x509.CreateCertificate(rand.Reader, template, template, ecKey().Public(), ecKey()))
	name := file(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	tokens := newTokens(t, auth.TokensConfig{KeyFiles: []string{name}})
	if _, err := tokens.Verify(t.Context(), sign(t, signer(ecKey()), good(), ""), auth.ScopeSubscribe); err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	pkcs1 := pem.EncodeToMemory(&pem.Block{
		Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(rsaKey().Public().(*rsa.PublicKey)),
	})
	small := publicPEM(must(rsa.GenerateKey(rand.Reader, 1024)))
	rsaOf := func(bits uint) []byte {
		key := &rsa.PublicKey{N: new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), bits-1), big.NewInt(1)), E: 65537}
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(key))})
	}
	p384 := publicPEM(must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)))
	whole := publicPEM(ecKey())
	keys := func(content []byte) auth.TokensConfig {
		return auth.TokensConfig{KeyFiles: []string{file(t, content)}}
	}
	shared := func(content string) auth.TokensConfig {
		return auth.TokensConfig{SecretFile: file(t, []byte(content))}
	}
	files := func(one, two []byte) auth.TokensConfig {
		return auth.TokensConfig{KeyFiles: []string{file(t, one), file(t, two)}}
	}
	const p = "https://id.example/keys"
	set := func(url string) auth.TokensConfig {
		return auth.TokensConfig{JWKSURL: url, Issuer: issuer, Audience: audience}
	}
	for name, c := range map[string]struct {
		config auth.TokensConfig
		want   string // empty for a good one
	}{
		"nothing":           {auth.TokensConfig{}, "give --jwt-secret-file, --jwt-key-files or --jwt-jwks-url"},
		"no secret file":    {auth.TokensConfig{SecretFile: "/none"}, "--jwt-secret-file: open /none"},
		"no key file":       {auth.TokensConfig{KeyFiles: []string{"/none"}}, "--jwt-key-files: open /none"},
		"short secret":      {shared(strings.Repeat("x", 31) + "\n"), "a secret of 31 bytes; it needs at least 32"},
		"shortest secret":   {shared(strings.Repeat("x", 32) + "\r\n"), ""},
		"public secret":     {shared(string(whole)), "holds a PEM block, and no secret"},
		"PKCS #1":           {keys(pkcs1), ""},
		"text":              {keys([]byte("hello")), "holds no PEM block"},
		"empty":             {keys(nil), "holds no PEM block"},
		"small RSA":         {keys(small), "holds an RSA key of 1024 bits; 2048 to 8192 are accepted"},
		"nearly RSA":        {keys(rsaOf(2047)), "an RSA key of 2047 bits"},
		"smallest RSA":      {keys(rsaOf(2048)), ""},
		"largest RSA":       {keys(rsaOf(8192)), ""},
		"larger RSA":        {keys(rsaOf(8193)), "an RSA key of 8193 bits"},
		"P-384":             {keys(p384), "the curve P-384; only P-256"},
		"private":           {keys(privatePEM(ecKey())), "holds a private key"},
		"cut off":           {keys(append(whole, whole[:60]...)), "a PEM block that is damaged"},
		"another block":     {keys([]byte("-----BEGIN X-----\n-----END X-----\n")), `the type "X"`},
		"plain http":        {set("http://id.example/keys"), "--jwt-jwks-url: an https URL is needed"},
		"loopback http":     {set("http://127.0.0.1:1/keys"), ""},
		"below localhost":   {set("http://id.localhost/keys"), "--jwt-jwks-url: an https URL is needed"},
		"no URL":            {set(":"), "--jwt-jwks-url: an https URL is needed"},
		"no host":           {set("https:///keys"), "--jwt-jwks-url: an https URL is needed"},
		"a file":            {set("file:///keys"), "--jwt-jwks-url: an https URL is needed"},
		"set, no issuer":    {auth.TokensConfig{JWKSURL: p, Audience: "a"}, "--jwt-issuer and --jwt-audience"},
		"set, no audience":  {auth.TokensConfig{JWKSURL: p, Issuer: "a"}, "--jwt-issuer and --jwt-audience"},
		"one of two broken": {files(whole, nil), "holds no PEM block"},
	} {
		_, err := auth.NewTokens(t.Context(), c.config)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

// TestSigner: what signs is what the bridge accepts, in every form that tools write it.
func TestSigner(t *testing.T) {
	t.Parallel()
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	sec1 := block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ecKey())))
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	for name, c := range map[string]struct {
		content []byte
		want    string // an algorithm, or a part of the error
	}{
		"secret":     {[]byte(secret), "HS256"},
		"RSA":        {privatePEM(rsaKey()), "RS256"},
		"PKCS #1":    {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())), "RS256"},
		"SEC 1":      {append(block("EC PARAMETERS", []byte{6, 0}), sec1...), "ES256"},
		"EC":         {privatePEM(ecKey()), "ES256"},
		"Ed25519":    {privatePEM(edKey()), "EdDSA"},
		"short":      {[]byte("short"), "a secret of 5 bytes"},
		"P-384":      {privatePEM(p384), "the curve P-384"},
		"public":     {publicPEM(ecKey()), "no private key"},
		"garbage":    {block("PRIVATE KEY", []byte("x")), "cannot be read"},
		"encrypted":  {block("ENCRYPTED PRIVATE KEY", []byte("x")), "is encrypted"},
		"broken off": {[]byte("-----BEGIN PRIVATE KEY-----"), "no private key"},
	} {
		s, err := auth.ParseSigner(c.content)
		if err == nil && s.Algorithm() != c.want || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}
