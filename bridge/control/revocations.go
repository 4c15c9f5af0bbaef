package control

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Store keeps revocations where they outlast the process and other bridges find them. It must be safe for concurrent
// use.
type Store interface {
	// Put keeps a token revoked until a time, and does not shorten that of one that is revoked for longer.
	Put(ctx context.Context, tokenID string, until time.Time) error
	// Watch calls changed with everything that is stored, all that was put before by anybody, then with an empty id, and
	// then with each change, until ctx is done.
	Watch(ctx context.Context, changed func(tokenID string, until time.Time)) error
}

const (
	// rewatch is how long a store that cannot be followed is left alone.
	rewatch = time.Second
	// sweepInterval is how often what is past is forgotten.
	sweepInterval = time.Minute
)

// RevocationsConfig says where revocations are kept. Its zero value works.
type RevocationsConfig struct {
	// Store keeps them for all bridges; by default they end with the process, and are this bridge's.
	Store Store
	// Logger is told when the store cannot be followed; none by default.
	Logger *slog.Logger
	// Registerer gets the metrics; none by default.
	Registerer prometheus.Registerer
}

// Revocations are the tokens that are refused although they have not expired. There is no bound to their number:
// operators add them.
type Revocations struct {
	config RevocationsConfig
	known  chan struct{} // closed once those in the store are known
	once   sync.Once

	mu    sync.RWMutex
	until map[string]time.Time // by token id
}

// NewRevocations returns an empty set.
func NewRevocations(config RevocationsConfig) *Revocations {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Registerer == nil {
		config.Registerer = prometheus.NewRegistry()
	}
	r := &Revocations{config: config, known: make(chan struct{}), until: make(map[string]time.Time)}
	if config.Store == nil {
		r.nowKnown()
	}
	config.Registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bridge_revoked_tokens", Help: "Tokens that are revoked and have not expired.",
	}, func() float64 {
		r.mu.RLock()
		defer r.mu.RUnlock()
		return float64(len(r.until))
	}))
	return r
}

// Revoked reports whether a token is revoked. The empty id never is.
func (r *Revocations) Revoked(tokenID string) bool {
	if tokenID == "" {
		return false
	}
	r.mu.RLock()
	until, ok := r.until[tokenID]
	r.mu.RUnlock()
	return ok && time.Now().Before(until)
}

// Add has this bridge refuse a token until a time, or for longer if it does already. It reports whether the token was
// not revoked before.
func (r *Revocations) Add(tokenID string, until time.Time) bool {
	now := time.Now()
	if tokenID == "" || !now.Before(until) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.until[tokenID]
	if was.Before(until) {
		r.until[tokenID] = until
	}
	return !now.Before(was)
}

// Keep has the store keep a token revoked until a time. Every bridge that follows the store refuses it soon, this one
// too. Without a store it does nothing.
func (r *Revocations) Keep(ctx context.Context, tokenID string, until time.Time) error {
	if r.config.Store == nil {
		return nil
	}
	return r.config.Store.Put(ctx, tokenID, until)
}

// Ready returns once those that were stored are known, or ctx is done.
func (r *Revocations) Ready(ctx context.Context) error {
	select {
	case <-r.known:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *Revocations) nowKnown() { r.once.Do(func() { close(r.known) }) }

// Sync calls learn, which is to Add it, with everything that is stored when Sync is called, and then returns nil. The
// error says why the store cannot be read.
func (r *Revocations) Sync(ctx context.Context, learn func(tokenID string, until time.Time)) error {
	if r.config.Store == nil {
		return nil
	}
	reading, enough := context.WithCancel(ctx)
	defer enough()
	complete := false
	err := r.config.Store.Watch(reading, func(tokenID string, until time.Time) {
		if tokenID == "" {
			complete = true
			enough()
		} else {
			learn(tokenID, until)
		}
	})
	if complete {
		r.nowKnown()
		return nil
	}
	return err
}

// Run follows the store, and forgets what is past, until ctx is done. It calls learn, which is to Add it, with
// everything that is stored.
func (r *Revocations) Run(ctx context.Context, learn func(tokenID string, until time.Time)) {
	var following sync.WaitGroup
	defer following.Wait()
	if r.config.Store != nil {
		following.Go(func() { r.follow(ctx, learn) })
	}
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			r.sweep(now)
		case <-ctx.Done():
			return
		}
	}
}

func (r *Revocations) follow(ctx context.Context, learn func(tokenID string, until time.Time)) {
	failed := false
	for ctx.Err() == nil {
		err := r.config.Store.Watch(ctx, func(tokenID string, until time.Time) {
			if tokenID == "" {
				r.nowKnown()
				if failed {
					failed = false
					r.config.Logger.Info("revoked tokens can be followed again")
				}
			} else {
				learn(tokenID, until)
			}
		})
		if ctx.Err() != nil {
			return
		}
		if !failed {
			failed = true
			r.config.Logger.Warn("revoked tokens cannot be followed, retrying", "err", err)
		}
		select {
		case <-time.After(rewatch):
		case <-ctx.Done():
		}
	}
}

// sweep forgets what is past.
func (r *Revocations) sweep(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for tokenID, until := range r.until {
		if !now.Before(until) {
			delete(r.until, tokenID)
		}
	}
}
