package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/prometheus/client_golang/prometheus"
)

// Bounds of a fetch.
const (
	maxJWKS      = 1 << 20          // bytes of a key set
	fetchTimeout = 10 * time.Second // of one that nobody waits for
	fetchWait    = 2 * time.Second  // of one that a caller waits for
	maxRedirects = 3
)

// jwks is a key set that is fetched from an identity provider.
type jwks struct {
	url     *url.URL
	refresh time.Duration
	refetch time.Duration
	client  *http.Client
	logger  *slog.Logger
	ok      prometheus.Counter
	failed  prometheus.Counter

	keys atomic.Pointer[[]key] // nil until the first fetch has succeeded
	soon chan struct{}         // holds one when a fetch has failed, and the next is to be soon

	mu       sync.Mutex
	flight   chan struct{} // closed when the fetch under way ends; nil while there is none
	demanded time.Time     // when the last fetch for an unknown key began
	broken   bool          // the last fetch failed
}

func newJWKS(config TokensConfig) (*jwks, error) {
	u, err := url.Parse(config.JWKSURL)
	if err != nil || !fetchable(u) {
		return nil, errors.New("--jwt-jwks-url: an https URL is needed (http is accepted for this host only)")
	}
	fetches := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_jwks_fetches_total",
		Help: "Fetches of the identity provider's key set, by result.",
	}, []string{"result"})
	config.Registerer.MustRegister(fetches)
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSHandshakeTimeout: fetchTimeout,
		ForceAttemptHTTP2:   true,
		DisableKeepAlives:   true, // nothing stays behind between two fetches
	}
	return &jwks{
		url: u, refresh: config.JWKSRefresh, refetch: config.JWKSRefetch, logger: config.Logger,
		ok: fetches.WithLabelValues("ok"), failed: fetches.WithLabelValues("failed"),
		soon: make(chan struct{}, 1),
		client: &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects || !fetchable(r.URL) {
				return errors.New("it redirects too often, or to where it is not safe to fetch from")
			}
			return nil
		}},
	}, nil
}

// fetchable reports whether what is fetched from a URL comes from there for sure.
func fetchable(u *url.URL) bool {
	if u.Hostname() == "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && LeadsHere(u.Hostname())
}

// run keeps the set fresh until ctx is done.
func (j *jwks) run(ctx context.Context) {
	due := time.Now().Add(j.pause())
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			j.fetch(ctx, fetchTimeout, false)
			due = time.Now().Add(j.pause())
		case <-j.soon:
			if sooner := time.Now().Add(j.pause()); sooner.Before(due) {
				due = sooner
			}
		}
		timer.Reset(time.Until(due))
	}
}

// pause returns how long to wait before the next fetch: less after one that failed.
func (j *jwks) pause() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken {
		return min(j.refetch, j.refresh)
	}
	return j.refresh
}

// demand fetches the set because a token names a key that is not in it, or because there is none yet. It waits for a
// fetch that is under way, and does nothing if it is too soon for another.
func (j *jwks) demand(ctx context.Context) {
	j.fetch(ctx, fetchWait, true)
	select {
	case j.soon <- struct{}{}:
	default:
	}
}

// fetch fetches the set, or waits for the fetch that is under way. One on demand does nothing so soon after another.
func (j *jwks) fetch(ctx context.Context, timeout time.Duration, demanded bool) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	flight, own := j.board(demanded)
	if flight == nil {
		return
	}
	if !own {
		select {
		case <-flight:
		case <-ctx.Done():
		}
		return
	}
	getting := ctx
	if demanded { // others may wait for it by now: it does not end because one caller has gone
		var cancel context.CancelFunc
		getting, cancel = context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
	}
	keys, err := j.get(getting)
	j.land(keys, err)
}

// board returns the fetch that is under way, or begins one, which is then the caller's to carry out; nil for neither.
func (j *jwks) board(demanded bool) (flight chan struct{}, own bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.flight != nil {
		return j.flight, false
	}
	if demanded {
		if !j.demanded.IsZero() && time.Since(j.demanded) < j.refetch {
			return nil, false
		}
		j.demanded = time.Now()
	}
	j.flight = make(chan struct{})
	return j.flight, true
}

// land ends the fetch that is under way.
func (j *jwks) land(keys []key, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.flight)
	j.flight = nil
	was := j.broken
	j.broken = err != nil
	if err != nil {
		j.failed.Inc()
		if !was && !errors.Is(err, context.Canceled) {
			j.logger.Warn("the key set of tokens cannot be fetched", "host", j.url.Host, "err", err)
		}
		return
	}
	j.ok.Inc()
	before := j.keys.Swap(&keys)
	same := func(a, b key) bool { return a.id == b.id && a.alg == b.alg }
	if before == nil || was || !slices.EqualFunc(*before, keys, same) {
		j.logger.Info("the key set of tokens was fetched", "host", j.url.Host, "keys", len(keys))
	}
}

// get returns the keys that the identity provider signs with now.
func (j *jwks) get(ctx context.Context) ([]key, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, j.url.String(), nil)
	if err != nil {
		return nil, withoutURL(err)
	}
	response, err := j.client.Do(request)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxJWKS+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxJWKS {
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxJWKS)
	}
	keys, unused, err := parseJWKS(body)
	if err == nil && len(keys) == 0 {
		j.logger.Warn("the key set of tokens holds no key that can be used", "host", j.url.Host, "unused", unused)
	}
	return keys, err
}

// withoutURL returns an error of an HTTP client without the URL, which may hold a secret.
func withoutURL(err error) error {
	if of, ok := errors.AsType[*url.Error](err); ok {
		return of.Err
	}
	return err
}

// parseJWKS returns the keys of a set with which tokens can be signed, and how many others there are. A set has keys of
// other kinds and for other uses, and new ones come up (RFC 7517 §5): they are passed over.
func parseJWKS(body []byte) (keys []key, unused int, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil || set.Keys == nil {
		return nil, 0, errors.New("the answer is not a JSON Web Key Set")
	}
	keys = []key{}
	for _, raw := range set.Keys {
		// Secrets are not asked for, and so an "oct" is an error: whoever can read the set could sign with it.
		jwk, err := jwkset.NewJWKFromRawJSON(raw, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			unused++
			continue
		}
		k, err := newKey(jwk.Marshal().KID, jwk.Key())
		if err != nil || !signs(jwk.Marshal(), k.alg) {
			unused++
			continue
		}
		keys = append(keys, k)
	}
	return keys, unused, nil
}

// signs reports whether a key may be used with an algorithm, as far as the key says.
func signs(jwk jwkset.JWKMarshal, alg string) bool {
	return (jwk.ALG == "" || jwk.ALG.String() == alg) &&
		(jwk.USE == "" || jwk.USE == jwkset.UseSig) &&
		(len(jwk.KEYOPS) == 0 || slices.Contains(jwk.KEYOPS, jwkset.KeyOpsVerify))
}
