package auth_test

import (
	"context"
	"crypto"
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
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"github.com/rotki/notification-bridge/bridge/auth"
)

const (
	secret   = "an hmac secret of more than 32 bytes"
	issuer   = "https://id.example/"
	audience = "bridge"
	subject  = "alice-in-no-log"
)

// Keys that all tests share: an RSA key takes long to find.
var (
	rsaKey      = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	otherRSAKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	ecKey       = sync.OnceValue(newEC)
	otherECKey  = sync.OnceValue(newEC)
	edKey       = sync.OnceValue(newEd)
	otherEdKey  = sync.OnceValue(newEd)
)

func newEC() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func newEd() ed25519.PrivateKey {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	return must(private, err)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// publicPEM returns the public key of a private one.
func publicPEM(key crypto.Signer) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(key.Public()))})
}

func privatePEM(key crypto.Signer) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))})
}

func signer(key crypto.Signer) *auth.Signer { return must(auth.ParseSigner(privatePEM(key))) }

func hmacSigner() *auth.Signer { return must(auth.ParseSigner([]byte(secret))) }

// file writes a file and returns its name.
func file(t testing.TB, content []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// newTokens returns Tokens whose Run ends with the test.
func newTokens(t testing.TB, config auth.TokensConfig) *auth.Tokens {
	t.Helper()
	tokens, err := auth.NewTokens(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := tokens.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return tokens
}

// good returns the claims of a token that everybody accepts.
func good() auth.Claims {
	return auth.Claims{Subject: subject, Issuer: issuer, Audience: audience, Expires: time.Now().Add(time.Hour)}
}

func sign(t testing.TB, s *auth.Signer, c auth.Claims, keyID string) string {
	t.Helper()
	token, err := s.Sign(c, keyID)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// craft signs a token whose header and claims are given as they are.
func craft(method jwt.SigningMethod, key any, header, claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode([]byte(claims))
	return text + "." + encode(must(method.Sign(text, key)))
}

// defectOf returns what is wrong with a credential, and "" for nothing.
func defectOf(t testing.TB, err error) auth.Defect {
	t.Helper()
	if err == nil {
		return ""
	}
	refusal, ok := errors.AsType[*auth.Refusal](err)
	if !ok {
		t.Fatalf("%T: %v", err, err)
	}
	if refusal.Told() == "" || refusal.HTTPStatus() == 0 || refusal.GRPCCode() == 0 || refusal.Detail == "" {
		t.Errorf("%+v has no verdict or no detail", refusal)
	}
	return refusal.Defect
}

// published is a key as an identity provider publishes it.
type published struct {
	id  string
	key any
	use jwkset.USE
	alg jwkset.ALG
}

func keySet(keys ...published) []byte {
	set := jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{}}
	for _, k := range keys {
		_, oct := k.key.([]byte)
		jwk := must(jwkset.NewJWKFromKey(k.key, jwkset.JWKOptions{
			Marshal:  jwkset.JWKMarshalOptions{Private: oct},
			Metadata: jwkset.JWKMetadataOptions{KID: k.id, USE: k.use, ALG: k.alg},
		}))
		set.Keys = append(set.Keys, jwk.Marshal())
	}
	return must(json.Marshal(set))
}

// provider is an identity provider.
type provider struct {
	*httptest.Server
	set     atomic.Pointer[[]byte] // nil: it answers 503
	fetches atomic.Int64
	before  atomic.Pointer[func()] // what it does before it answers
}

func newProvider(t testing.TB, keys ...published) *provider {
	t.Helper()
	p := &provider{}
	p.publish(keys...)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.fetches.Add(1)
		if before := p.before.Load(); before != nil {
			(*before)()
		}
		if set := p.set.Load(); set != nil {
			_, _ = w.Write(*set)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) publish(keys ...published) {
	set := keySet(keys...)
	p.set.Store(&set)
}

// config returns how the provider's tokens are checked. Nothing is fetched again by itself, or soon.
func (p *provider) config() auth.TokensConfig {
	return auth.TokensConfig{
		JWKSURL: p.URL, JWKSRefresh: time.Hour, JWKSRefetch: time.Hour, Issuer: issuer, Audience: audience,
	}
}

// eventually waits until a token gets a verdict, "" for one that is accepted.
func eventually(t *testing.T, tokens *auth.Tokens, token string, want auth.Defect) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := tokens.Verify(ctx, token, auth.ScopeSubscribe)
		got := defectOf(t, err)
		if got == want {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the verdict stays %q; want %q", got, want)
		}
	}
}
