package auth_test

import (
	"bytes"
	"crypto"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rotki/notification-bridge/bridge/auth"
)

func verify(t *testing.T, tokens *auth.Tokens, token string) auth.Defect {
	t.Helper()
	_, err := tokens.Verify(t.Context(), token, auth.ScopeSubscribe)
	return defectOf(t, err)
}

// TestKeySetRotated: a new key is accepted at once, and an old one until the set is fetched again.
func TestKeySetRotated(t *testing.T) {
	t.Parallel()
	p := newProvider(t, published{id: "1", key: ecKey().Public()})
	config := p.config()
	config.JWKSRefresh = 50 * time.Millisecond
	tokens := newTokens(t, config)
	before := sign(t, signer(ecKey()), good(), "1")
	after := sign(t, signer(otherECKey()), good(), "2")
	if got := verify(t, tokens, before); got != "" {
		t.Fatalf("the first key: %s", got)
	}
	p.publish(published{id: "1", key: ecKey().Public()}, published{id: "2", key: otherECKey().Public()})
	eventually(t, tokens, after, "")
	if got := verify(t, tokens, before); got != "" {
		t.Errorf("the old key beside the new: %s", got)
	}
	p.publish(published{id: "2", key: otherECKey().Public()})
	eventually(t, tokens, before, auth.UnknownKey)
	if got := verify(t, tokens, after); got != "" {
		t.Errorf("the new key alone: %s", got)
	}
	p.set.Store(nil) // a provider that is down takes no key away
	was := p.fetches.Load()
	for p.fetches.Load() < was+3 {
		if got := verify(t, tokens, after); got != "" {
			t.Fatalf("the new key while the provider is down: %s", got)
		}
	}
}

// TestUnknownKey: a key that is not known is fetched once, for all who ask for it, and not soon again.
func TestUnknownKey(t *testing.T) {
	t.Parallel()
	p := newProvider(t, published{id: "1", key: ecKey().Public()})
	registry := prometheus.NewRegistry()
	config := p.config()
	config.Registerer = registry
	tokens := newTokens(t, config)
	p.publish(published{id: "1", key: ecKey().Public()}, published{id: "2", key: otherECKey().Public()})
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	wait := func() {
		asked <- struct{}{}
		<-answer
	}
	p.before.Store(&wait)
	after := sign(t, signer(otherECKey()), good(), "2")
	var verifying sync.WaitGroup
	ask := func() {
		verifying.Go(func() {
			if got := verify(t, tokens, after); got != "" {
				t.Errorf("the new key: %s", got)
			}
		})
	}
	ask()
	<-asked
	for range 20 {
		ask()
	}
	close(answer)
	verifying.Wait()
	unknown := sign(t, signer(otherECKey()), good(), "3")
	for range 100 {
		if got := verify(t, tokens, unknown); got != auth.UnknownKey {
			t.Fatalf("an unknown key: %q", got)
		}
	}
	if got := p.fetches.Load(); got != 2 {
		t.Errorf("%d fetches; want one at the start and one for the key", got)
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "bridge_jwks_fetches_total" {
		t.Fatalf("%v, %v", families, err)
	}
	counts := make(map[string]float64)
	for _, metric := range families[0].GetMetric() {
		counts[metric.GetLabel()[0].GetValue()] = metric.GetCounter().GetValue()
	}
	if want := map[string]float64{"ok": 2, "failed": 0}; !maps.Equal(counts, want) {
		t.Errorf("counted %v; want %v", counts, want)
	}
}

// TestCallerGone: a fetch that others wait for goes on when the one who caused it has gone.
func TestCallerGone(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	tokens := newTokens(t, p.config())
	p.publish(published{id: "1", key: ecKey().Public()})
	ctx, cancel := contextOf(t)
	p.before.Store(&cancel)
	_, err := tokens.Verify(ctx, sign(t, signer(ecKey()), good(), "1"), auth.ScopeSubscribe)
	if err != nil {
		t.Error(err)
	}
}

// TestKeySetUnavailable: a bridge starts without the key set, and says so, until it is there.
func TestKeySetUnavailable(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	p.set.Store(nil)
	var log syncBuffer
	config := p.config()
	config.JWKSURL += "/?secret=x"
	config.JWKSRefetch = 20 * time.Millisecond
	config.KeyFiles = []string{file(t, publicPEM(edKey()))}
	config.Logger = slog.New(slog.NewTextHandler(&log, nil))
	tokens := newTokens(t, config)
	token := sign(t, signer(ecKey()), good(), "1")
	if got := verify(t, tokens, token); got != auth.KeysUnavailable {
		t.Errorf("without the key set: %q", got)
	}
	if got := verify(t, tokens, sign(t, signer(edKey()), good(), "1")); got != "" {
		t.Errorf("with a key of a file: %q", got)
	}
	if got := verify(t, tokens, sign(t, hmacSigner(), good(), "")); got != auth.WrongAlgorithm {
		t.Errorf("without a secret: %q", got)
	}
	p.publish(published{id: "1", key: ecKey().Public()})
	eventually(t, tokens, token, "")
	text := log.String()
	if strings.Count(text, "cannot be fetched") != 1 || strings.Count(text, "was fetched") != 1 {
		t.Errorf("not logged once each:\n%s", text)
	}
	if strings.Contains(text, "secret") {
		t.Errorf("the log has the URL's query:\n%s", text)
	}

	// A caller need not wait until it is fetched again.
	p.set.Store(nil)
	tokens = newTokens(t, p.config())
	p.publish(published{id: "1", key: ecKey().Public()})
	if got := verify(t, tokens, token); got != "" {
		t.Errorf("once the key set is there: %q", got)
	}
}

// TestKeySetRecovers: without any caller, a set that could not be fetched is fetched soon again.
func TestKeySetRecovers(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	p.set.Store(nil)
	config := p.config()
	config.JWKSRefetch = time.Millisecond
	newTokens(t, config)
	reached := make(chan struct{})
	var once sync.Once
	three := func() {
		if p.fetches.Load() >= 3 {
			once.Do(func() { close(reached) })
		}
	}
	p.before.Store(&three)
	<-reached

	// The same goes for one that could not be fetched again for a caller.
	other := newProvider(t, published{id: "1", key: ecKey().Public()})
	config.JWKSURL = other.URL
	tokens := newTokens(t, config)
	other.set.Store(nil)
	if got := verify(t, tokens, sign(t, signer(otherECKey()), good(), "2")); got != auth.UnknownKey {
		t.Errorf("an unknown key: %q", got)
	}
	again := make(chan struct{})
	var onceMore sync.Once
	four := func() {
		if other.fetches.Load() >= 4 {
			onceMore.Do(func() { close(again) })
		}
	}
	other.before.Store(&four)
	<-again
}

// TestStrangeKeySets: what is no key set takes nothing away, and one key that is no good spoils none beside it.
func TestStrangeKeySets(t *testing.T) {
	t.Parallel()
	set := string(keySet(published{id: "1", key: ecKey().Public()}))
	sound := strings.TrimSuffix(strings.TrimPrefix(set, `{"keys":[`), `]}`)
	for body, want := range map[string]auth.Defect{
		`{"keys":[` + sound + `]}`: "",
		`{"keys":[7,null,{},{"kty":"RSA","n":"AA","e":"AQAB"},` + sound + `]}`:  "",
		`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},` + sound + `]}`: "",
		`{"keys":[{"kty":"oct","k":"AA","kid":"1"},` + sound + `],"x":1}`:       "",
		`{"keys":[{"key_ops":["wrapKey"],` + sound[1:] + `]}`:                   auth.UnknownKey,
		`{"keys":[{"key_ops":["verify"],` + sound[1:] + `]}`:                    "",
		`{"keys":[]}`:                    auth.UnknownKey,
		`{"keys":null}`:                  auth.KeysUnavailable,
		`{}`:                             auth.KeysUnavailable,
		`[]`:                             auth.KeysUnavailable,
		`<html>`:                         auth.KeysUnavailable,
		``:                               auth.KeysUnavailable,
		sound:                            auth.KeysUnavailable,
		set + strings.Repeat(" ", 1<<20): auth.KeysUnavailable,
	} {
		p := newProvider(t)
		answer := []byte(body)
		p.set.Store(&answer)
		tokens := newTokens(t, p.config())
		if got := verify(t, tokens, sign(t, signer(ecKey()), good(), "1")); got != want {
			t.Errorf("%.60s: %q; want %q", body, got, want)
		}
	}
}

// TestKeySetElsewhere: a redirect is followed to where it is safe, and not for ever, and another status is no key set.
func TestKeySetElsewhere(t *testing.T) {
	t.Parallel()
	p := newProvider(t, published{id: "1", key: ecKey().Public()})
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, p.URL, http.StatusFound)
		case "/unsafe":
			http.Redirect(w, r, "http://id.invalid/keys", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/gone":
			w.WriteHeader(http.StatusGone)
			_, _ = w.Write(*p.set.Load())
		}
	}))
	t.Cleanup(server.Close)
	for path, why := range map[string]string{
		"/moved": "", "/unsafe": "it redirects too often, or to where", "/round": "it redirects too often, or to where",
		"/gone": "the answer is 410 Gone",
	} {
		var log syncBuffer
		requests.Store(0)
		tokens := newTokens(t, auth.TokensConfig{
			JWKSURL: server.URL + path, Issuer: issuer, Audience: audience, JWKSRefetch: time.Hour,
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if n := requests.Load(); n > 4 {
			t.Errorf("%s: %d requests", path, n)
		}
		want := auth.KeysUnavailable
		if why == "" {
			want = ""
		}
		if got := verify(t, tokens, sign(t, signer(ecKey()), good(), "1")); got != want {
			t.Errorf("%s: %q; want %q", path, got, want)
		}
		if !strings.Contains(log.String(), why) {
			t.Errorf("%s: the log does not say %q:\n%s", path, why, &log)
		}
	}
}

// TestKeyFileRotated: a key file that changes is read again; one that is broken is not taken.
func TestKeyFileRotated(t *testing.T) {
	t.Parallel()
	name, shared := file(t, publicPEM(ecKey())), file(t, []byte(secret))
	var log syncBuffer
	tokens := newTokens(t, auth.TokensConfig{
		KeyFiles: []string{name}, SecretFile: shared, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	token := func(key crypto.Signer) string { return sign(t, signer(key), good(), "") }
	replace := func(name string, content []byte) {
		if err := os.WriteFile(name+".new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
	}
	replace(name, []byte("broken"))
	eventuallyLogged(t, &log, "those from before stay")
	if got := verify(t, tokens, token(ecKey())); got != "" {
		t.Errorf("the old key beside a broken file: %s", got)
	}
	replace(name, publicPEM(otherECKey()))
	eventually(t, tokens, token(otherECKey()), "")
	if got := verify(t, tokens, token(ecKey())); got != auth.WrongKey {
		t.Errorf("the old key: %q", got)
	}
	replace(shared, bytes.Repeat([]byte("y"), 32))
	eventually(t, tokens, sign(t, hmacSigner(), good(), ""), auth.WrongKey)
	if n := strings.Count(log.String(), "those from before stay"); n != 1 {
		t.Errorf("a broken file was logged %d times:\n%s", n, log.String())
	}
}

// TestSecretOfAll: the operator is told of a secret that others on the machine can read.
func TestSecretOfAll(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there are no such modes")
	}
	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o440: false, 0o644: true} {
		var log syncBuffer
		shared := file(t, []byte(secret))
		if err := os.Chmod(shared, mode); err != nil {
			t.Fatal(err)
		}
		newTokens(t, auth.TokensConfig{SecretFile: shared, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if got := strings.Contains(log.String(), "everybody on this machine"); got != warned {
			t.Errorf("%v: the log says %q", mode, log.String())
		}
	}
}
