package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

const (
	// fetchTimeout is how long a fetch of a key set may take.
	fetchTimeout = 10 * time.Second
	// maxKeySet is how many bytes a key set may have.
	maxKeySet = 1 << 20
	// refetchWait is how long a token whose key is not known waits for a fetch.
	refetchWait = 2 * time.Second
)

// keySet is a JWK Set (RFC 7517) that is fetched again and again. It is safe for concurrent use.
type keySet struct {
	url     string
	refresh time.Duration
	logger  *slog.Logger
	client  *http.Client
	fetches map[bool]prometheus.Counter // by whether they succeeded
	due     *rate.Limiter               // of fetches for the sake of an unknown key
	wanted  chan struct{}
	keys    atomic.Pointer[[]key] // nil until a fetch succeeded

	mu       sync.Mutex
	fetched  chan struct{} // closed when the next fetch has ended
	underway bool          // one was asked for that has not ended
	failing  bool          // the last one failed
}

func newKeySet(config TokensConfig) (*keySet, error) {
	u, err := url.Parse(config.JWKSURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !IsLoopbackName(u.Hostname())) {
		return nil, fmt.Errorf("--jwt-jwks-url: %q is no https URL (http only to this machine): whoever is on the way could change the keys", config.JWKSURL)
	}
	if config.Issuer == "" || config.Audience == "" {
		return nil, errors.New("--jwt-jwks-url needs --jwt-issuer and --jwt-audience: whose keys these are signs tokens for others, too")
	}
	fetches := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_jwks_fetches_total", Help: "Fetches of the JWK Set, by result.",
	}, []string{"result"})
	config.Registerer.MustRegister(fetches)
	return &keySet{
		url:     config.JWKSURL,
		refresh: config.JWKSRefresh,
		logger:  config.Logger,
		client: &http.Client{
			Transport: bounded{&http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1, IdleConnTimeout: time.Second}},
			Timeout:   fetchTimeout,
		},
		fetches: map[bool]prometheus.Counter{true: fetches.WithLabelValues("ok"), false: fetches.WithLabelValues("failed")},
		due:     rate.NewLimiter(rate.Every(config.JWKSRefetch), 1),
		wanted:  make(chan struct{}, 1),
		fetched: make(chan struct{}),
	}, nil
}

// run fetches the keys every so often, and when an unknown one is asked for, until ctx is done.
func (s *keySet) run(ctx context.Context) {
	defer s.client.CloseIdleConnections()
	ticker := time.NewTicker(s.refresh)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.fetch(ctx)
		case <-s.wanted:
			s.fetch(ctx)
			s.mu.Lock()
			s.underway = false
			s.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// fetch replaces the keys by those that the server has. Those that were fetched before stay when it fails.
func (s *keySet) fetch(ctx context.Context) {
	keys, err := s.get(ctx)
	if err == nil {
		s.keys.Store(&keys)
	}
	s.fetches[err == nil].Inc()
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.fetched)
	s.fetched = make(chan struct{})
	switch {
	case err != nil && ctx.Err() == nil && !s.failing:
		s.logger.Warn("the JWK Set cannot be fetched; the keys that are known stay", "url", s.url, "err", err)
	case err == nil && s.failing:
		s.logger.Info("the JWK Set can be fetched again", "url", s.url, "keys", len(keys))
	}
	s.failing = err != nil
}

func (s *keySet) get(ctx context.Context) ([]key, error) {
	storage, err := jwkset.NewStorageFromHTTP(s.url, jwkset.HTTPClientStorageOptions{
		Client: s.client, Ctx: ctx, HTTPTimeout: fetchTimeout,
	})
	if err != nil {
		return nil, err
	}
	set, err := storage.KeyReadAll(ctx)
	if err != nil {
		return nil, err
	}
	var keys []key
	for _, jwk := range set {
		marshal := jwk.Marshal()
		if marshal.USE != "" && marshal.USE != jwkset.UseSig {
			continue
		}
		algorithm, err := algorithmOf(jwk.Key())
		if err != nil || marshal.ALG != "" && string(marshal.ALG) != algorithm {
			continue // a secret, a private key, or for something else
		}
		keys = append(keys, key{id: marshal.KID, algorithm: algorithm, public: jwk.Key()})
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("it has no key for RS256, ES256 or EdDSA among its %d", len(set))
	}
	return keys, nil
}

// known returns the keys that were fetched last; nil when none ever were, or there is no key set.
func (s *keySet) known() []key {
	if s == nil {
		return nil
	}
	if keys := s.keys.Load(); keys != nil {
		return *keys
	}
	return nil
}

// awaitFetch has the keys fetched for the sake of one that is not known, and waits for that a while. It reports whether
// there was a fetch: there may have been one just now.
func (s *keySet) awaitFetch(ctx context.Context) bool {
	s.mu.Lock()
	fetched := s.fetched
	if !s.underway && s.due.Allow() {
		s.underway = true
		s.wanted <- struct{}{} // there is room: none is under way
	}
	underway := s.underway
	s.mu.Unlock()
	if !underway {
		return false
	}
	wait := time.NewTimer(refetchWait)
	defer wait.Stop()
	select {
	case <-fetched:
		return true
	case <-wait.C:
	case <-ctx.Done():
	}
	return false
}

// bounded is a transport whose answers have a bounded size.
type bounded struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.Transport.RoundTrip(r)
	if err == nil {
		response.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(response.Body, maxKeySet), response.Body}
	}
	return response, err
}
