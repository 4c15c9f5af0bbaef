package auth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rotki/notification-bridge/bridge/auth"
)

// keyServer serves a JWK Set.
type keyServer struct {
	*httptest.Server
	body    atomic.Value // string; empty for an error
	fetches atomic.Int32
}

func newKeyServer(t testing.TB) *keyServer {
	s := new(keyServer)
	s.body.Store("")
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.fetches.Add(1)
		body := s.body.Load().(string)
		if body == "" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s
}

// jwk returns a public key as a JWK (RFC 7518 §6, RFC 8037 §2).
func jwk(id string, p pair, more ...string) map[string]string {
	encode := base64.RawURLEncoding.EncodeToString
	k := map[string]string{"kid": id}
	switch key := p.key.(type) {
	case *rsa.PublicKey:
		k["kty"], k["n"], k["e"] = "RSA", encode(key.N.Bytes()), encode(big.NewInt(int64(key.E)).Bytes())
	case *ecdsa.PublicKey:
		point, _ := key.Bytes()
		k["kty"], k["crv"], k["x"], k["y"] = "EC", "P-256", encode(point[1:33]), encode(point[33:])
	case ed25519.PublicKey:
		k["kty"], k["crv"], k["x"] = "OKP", "Ed25519", encode(key)
	}
	for i := 0; i < len(more); i += 2 {
		k[more[i]] = more[i+1]
	}
	return k
}

func (s *keyServer) serve(keys ...map[string]string) {
	text, _ := json.Marshal(map[string]any{"keys": keys})
	s.body.Store(string(text))
}

func (s *keyServer) config() auth.TokensConfig {
	return auth.TokensConfig{JWKSURL: s.URL, Issuer: issuer, Audience: audience, JWKSRefresh: time.Hour}
}

// TestJWKS: keys of every kind are used, each for its own algorithm, under its own id, and as the set allows.
func TestJWKS(t *testing.T) {
	server := newKeyServer(t)
	rsaPair, ecPair, edPair, encrypting, other := newRSA(t), newEC(t), newEd(t), newRSA(t), newRSA(t)
	secretKey := map[string]string{"kty": "oct", "kid": "secret", "k": base64.RawURLEncoding.EncodeToString([]byte(secret))}
	server.serve(
		jwk("rsa", rsaPair, "alg", "RS256", "use", "sig"), jwk("ec", ecPair), jwk("ed", edPair),
		jwk("enc", encrypting, "use", "enc"), jwk("rs384", other, "alg", "RS384"), secretKey,
	)
	config := server.config()
	config.JWKSRefetch = time.Hour
	tokens := newTokens(t, config)
	run(t, tokens)
	hmac, err := auth.ParseSigner([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		token string
		want  auth.Defect
	}{
		"RSA":                    {sign(t, rsaPair.signer, good(), "rsa"), ""},
		"EC":                     {sign(t, ecPair.signer, good(), "ec"), ""},
		"Ed":                     {sign(t, edPair.signer, good(), "ed"), ""},
		"no id":                  {sign(t, rsaPair.signer, good(), ""), ""},
		"the id of another kind": {sign(t, ecPair.signer, good(), "rsa"), auth.WrongAlgorithm},
		"another's id":           {sign(t, other.signer, good(), "rsa"), auth.WrongKey},
		"for encryption":         {sign(t, encrypting.signer, good(), "enc"), auth.UnknownKey},
		"for RS384":              {sign(t, other.signer, good(), "rs384"), auth.UnknownKey},
		"for RS384, with it":     {raw(t, jwt.SigningMethodRS384, other.private, goodMap(none), map[string]any{"kid": "rs384"}), auth.WrongAlgorithm},
		"a secret":               {sign(t, hmac, good(), "secret"), auth.WrongAlgorithm},
		"unknown":                {sign(t, rsaPair.signer, good(), "unknown"), auth.UnknownKey},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tokens.Verify(t.Context(), tc.token, auth.ScopeSubscribe)
			if got := defectOf(err); got != tc.want {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	if got := server.fetches.Load(); got > 2 {
		t.Errorf("%d fetches", got)
	}
}

// TestJWKSRotated: a new key is accepted at once, for the sake of its id, and the old one is refused once it has gone.
func TestJWKSRotated(t *testing.T) {
	server := newKeyServer(t)
	before, after := newRSA(t), newEC(t)
	server.serve(jwk("before", before))
	config := server.config()
	config.JWKSRefetch = time.Millisecond
	tokens := newTokens(t, config)
	run(t, tokens)
	verify := func(p pair, id string) auth.Defect {
		_, err := tokens.Verify(t.Context(), sign(t, p.signer, good(), id), auth.ScopeSubscribe)
		return defectOf(err)
	}
	server.serve(jwk("after", after))
	var all sync.WaitGroup
	for range 20 { // they share a fetch
		all.Go(func() {
			if got := verify(after, "after"); got != "" {
				t.Errorf("the new key is refused: %s", got)
			}
		})
	}
	all.Wait()
	if got := verify(before, "before"); got == "" {
		t.Error("the old key is accepted")
	}
	server.body.Store("") // an error: what is known stays
	verify(after, "unknown")
	if got := verify(after, "after"); got != "" {
		t.Errorf("after a fetch that failed the key is refused: %s", got)
	}
}

// TestJWKSRefetchIsRare: whoever makes up ids does not make the bridge a burden for the identity provider, nor wait long.
func TestJWKSRefetchIsRare(t *testing.T) {
	server := newKeyServer(t)
	p := newEd(t)
	server.serve(jwk("ed", p))
	config := server.config()
	config.JWKSRefetch = time.Hour
	tokens := newTokens(t, config)
	run(t, tokens)
	token := sign(t, p.signer, good(), "made up")
	for range 1000 {
		if _, err := tokens.Verify(t.Context(), token, auth.ScopeSubscribe); defectOf(err) != auth.UnknownKey {
			t.Fatal(err)
		}
	}
	if got := server.fetches.Load(); got != 2 {
		t.Errorf("%d fetches, want the first and one more", got)
	}
}

// TestJWKSLate: a bridge starts without the key set, says so to whoever shows a token, and lets in once it has it.
func TestJWKSLate(t *testing.T) {
	server := newKeyServer(t)
	p := newEd(t)
	config := server.config()
	config.JWKSRefetch = 10 * time.Millisecond
	tokens := newTokens(t, config)
	run(t, tokens)
	token := sign(t, p.signer, good(), "ed")
	if _, err := tokens.Verify(t.Context(), token, auth.ScopeSubscribe); defectOf(err) != auth.KeysUnavailable {
		t.Errorf("without the key set: %v", err)
	}
	server.serve(jwk("ed", p))
	await(t, "the token is accepted", func() bool {
		_, err := tokens.Verify(t.Context(), token, auth.ScopeSubscribe)
		return err == nil
	})
}

// TestJWKSRefreshed: keys are fetched again without anybody asking.
func TestJWKSRefreshed(t *testing.T) {
	server := newKeyServer(t)
	before, after := newEd(t), newEd(t)
	server.serve(jwk("key", before))
	config := server.config()
	config.JWKSRefresh, config.JWKSRefetch = 20*time.Millisecond, time.Hour
	tokens := newTokens(t, config)
	run(t, tokens)
	server.serve(jwk("key", after))
	await(t, "the old key is refused", func() bool {
		_, err := tokens.Verify(t.Context(), sign(t, before.signer, good(), "key"), auth.ScopeSubscribe)
		return defectOf(err) == auth.WrongKey
	})
	if _, err := tokens.Verify(t.Context(), sign(t, after.signer, good(), "key"), auth.ScopeSubscribe); err != nil {
		t.Error(err)
	}
}
