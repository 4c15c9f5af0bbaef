// Package delivery writes the journal to every websocket subscriber.
//
// A subscriber is a cursor into the journal, not a queue: a sequence number and how many bytes of that record's
// frame are on their way. When the journal's head moves, a few shards, each one goroutine, walk their subscribers
// and write to each all that it lacks in as few system calls as its socket takes. A subscriber that cannot take
// more is not even walked past until the kernel says that it can; once it has fallen behind, it gets only the newest of
// each conflation key; one whose cursor falls off the journal's tail is dropped. Memory is therefore bounded by the
// journal, however many subscribers stall.
//
// # Concurrency
//
// Engine is safe for concurrent use. From its handshake on, a subscriber and its socket belong to its shard alone, so
// that no frame is ever torn and nothing is locked. A subscriber owns no goroutine: readiness comes from one epoll
// instance a shard. Where a connection cannot do without (TLS, other systems than Linux), goroutines move its bytes,
// and no more.
package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/journal"
	"github.com/rotki/notification-bridge/bridge/limit"
	"github.com/rotki/notification-bridge/bridge/session"
)

// Log is what delivery needs of a journal.
type Log interface {
	Epoch() uint64
	Bounds() (oldest, next uint64)
	Read(from uint64, into []*journal.Record) (int, error)
	Notify(c chan<- struct{}) (stop func())
	Recall(ctx context.Context, from uint64, into []*journal.Record) (int, error)
	Since(ctx context.Context, t time.Time) (uint64, error)
}

// Config says how to deliver. Log must be set; the zero value of everything else is its default.
type Config struct {
	// Log is the journal to deliver.
	Log Log
	// Types returns the names that a client may ask for with types=; none by default. It is called for each handshake
	// that names types, at the same time too.
	Types func() []string
	// StringData makes data a string that holds JSON for clients that do not choose with data=; off by default.
	StringData bool
	// AllowedOrigins are web origins, such as https://rotki.example.org, whose pages may connect beside those of
	// the same host and of loopback. https://*.example.org stands for all subdomains of example.org, at any depth.
	AllowedOrigins []string
	// LocalHosts refuses requests whose Host is neither loopback's nor that of an allowed origin; off by default. Where
	// nobody is asked who he is, it keeps out pages whose own name was made to lead to this machine (DNS rebinding).
	LocalHosts bool
	// Authenticate finds out who makes a request; everybody is anonymous by default. An error is an *auth.Refusal. It must
	// be safe for concurrent use.
	Authenticate func(r *http.Request) (auth.Caller, error)
	// Subprotocol chooses one of those that a handshake offers, empty for none; none by default.
	Subprotocol func(r *http.Request) string
	// Revoked reports whether the token of an id was revoked; never by default. It must be safe for concurrent use.
	Revoked func(tokenID string) bool
	// Lapsed reports whether somebody may have been revoked without the engine's knowing: then it lets nobody in and
	// delivers nothing, as it does from Hold(true), which must follow, to Hold(false). Never by default. It must be safe
	// for concurrent use, and quick: it is called before whatever is delivered.
	Lapsed func() bool
	// Proxies say for whom they forward requests; none by default.
	Proxies auth.Proxies
	// Limits bound how many may connect, and how fast; they have no bounds by default.
	Limits Limits
	// ClientRate is how many messages, control frames and pieces of input a client may send in a second; 1,000 by
	// default. Beyond it, the connection is ended with 1008. Negative: no limit.
	ClientRate int
	// Name tells this engine's connections from those of others; a random one by default.
	Name string
	// Sessions are by which browsers resume that know nothing of it; none by default.
	Sessions *session.Registry
	// SessionsByOrigin lets a client on this machine, to which no cookie comes back, resume by its origin and user agent;
	// off by default.
	SessionsByOrigin bool
	// PingInterval is the time between pings; 30 s by default. A peer that was not heard of for two is dropped.
	PingInterval time.Duration
	// WriteTimeout is how long a socket may take no byte while there is something to write; 30 s by default.
	WriteTimeout time.Duration
	// CloseTimeout is how long a closing handshake may take; 5 s by default.
	CloseTimeout time.Duration
	// CompressFrom is from how many bytes on a message is compressed for clients that negotiate permessage-deflate; 1 KiB
	// by default. Negative: none, and nothing is negotiated.
	CompressFrom int
	// SendBuffer bounds what the kernel buffers per connection (SO_SNDBUF), in bytes; 128 KiB by default.
	SendBuffer int
	// Shards is how many goroutines write to the subscribers and read from them; by default GOMAXPROCS less one, and one
	// at least: a processor is left for publishers, the kernel, and whoever reads on the same machine.
	Shards int
	// Logger gets one line per connection that the bridge ends; none by default.
	Logger *slog.Logger
	// Registerer gets the metrics; none by default.
	Registerer prometheus.Registerer
}

func (c Config) withDefaults() Config {
	if c.Types == nil {
		c.Types = func() []string { return nil }
	}
	if c.Authenticate == nil {
		c.Authenticate = func(*http.Request) (auth.Caller, error) { return auth.Caller{}, nil }
	}
	if c.Subprotocol == nil {
		c.Subprotocol = func(*http.Request) string { return "" }
	}
	if c.Revoked == nil {
		c.Revoked = func(string) bool { return false }
	}
	if c.Lapsed == nil {
		c.Lapsed = func() bool { return false }
	}
	if c.ClientRate == 0 {
		c.ClientRate = 1000
	}
	if c.Name == "" {
		c.Name = fmt.Sprintf("%016x", rand.Uint64())
	}
	if c.PingInterval == 0 {
		c.PingInterval = 30 * time.Second
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = 30 * time.Second
	}
	if c.CloseTimeout == 0 {
		c.CloseTimeout = 5 * time.Second
	}
	if c.CompressFrom == 0 {
		c.CompressFrom = 1 << 10
	}
	if c.SendBuffer == 0 {
		c.SendBuffer = 128 << 10
	}
	if c.Shards == 0 {
		c.Shards = max(1, runtime.GOMAXPROCS(0)-1)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	return c
}

var (
	// errGoingAway: the engine drains, or has stopped.
	errGoingAway = errors.New("the bridge is shutting down; connect again in a moment")
	// errHeld: it is not known whether a client's token has been revoked.
	errHeld = errors.New("the bridge is cut off from the others; connect again in a moment")
)

// Engine delivers a journal to websocket connections and event streams. It is an http.Handler for the handshakes of the
// former; Events is one for the latter.
type Engine struct {
	config    Config
	start     time.Time
	origins   origins
	metrics   *metrics
	limits    *limits
	strangers *limit.Notice
	unread    *limit.Notice
	missed    *limit.Notice
	audience  audience
	framer    framer
	recaller  *recaller
	upgrader  websocket.Upgrader
	deflater  websocket.Upgrader // for clients with permessage-deflate
	shards    []*shard
	holding   atomic.Bool                 // nothing is to be delivered for now, and nobody let in
	received  func(*subscriber, received) // gets clients' messages; nil, but in tests: they mean nothing

	mu         sync.Mutex
	refuse     bool // no more handshakes: draining, or stopped
	joined     uint64
	joining    map[*subscriber]struct{} // admitted, and not yet with a shard
	handshakes sync.WaitGroup           // as many
	sockets    sync.WaitGroup           // with a shard, and not yet closed
	pumps      sync.WaitGroup
	stopped    chan struct{} // closed once no shard does anything any more
}

// New returns an engine. It accepts connections at once, and delivers to them once Run is called.
func New(config Config) *Engine {
	config = config.withDefaults()
	e := &Engine{
		config:    config,
		start:     time.Now(),
		origins:   newOrigins(config.AllowedOrigins),
		framer:    framer{epoch: config.Log.Epoch(), compressFrom: config.CompressFrom},
		recaller:  newRecaller(config.Log, config.Logger),
		upgrader:  newUpgrader(false),
		deflater:  newUpgrader(true),
		limits:    newLimits(config.Limits, config.Logger, config.Registerer),
		strangers: limit.NewNotice(config.Logger, slog.LevelWarn, "a page of another site was turned away"),
		unread:    limit.NewNotice(config.Logger, slog.LevelWarn, "a client cannot resume now"),
		missed:    limit.NewNotice(config.Logger, slog.LevelWarn, "what a client missed is no longer held"),
		joining:   make(map[*subscriber]struct{}),
		stopped:   make(chan struct{}),
	}
	e.metrics = newMetrics(config.Registerer, e)
	for range config.Shards {
		e.shards = append(e.shards, newShard(e))
	}
	return e
}

// Run delivers until ctx is done, then ends the connections that are left and returns when all its goroutines have.
// It must be called once. An error says what the system refused to begin with; the process should end then.
func (e *Engine) Run(ctx context.Context) error {
	var polling, shards sync.WaitGroup
	defer polling.Wait()
	defer close(e.stopped)
	for _, s := range e.shards {
		poller, err := newPoller()
		if err != nil {
			return err
		}
		defer poller.close()
		s.poller = poller
		polling.Go(func() { poller.watch(s.rouse) })
	}
	for _, s := range e.shards {
		shards.Go(func() { s.run(ctx) })
	}
	shards.Go(func() { e.recaller.run(ctx) })
	<-ctx.Done()
	e.mu.Lock()
	e.refuse = true
	e.mu.Unlock()
	e.handshakes.Wait()
	shards.Wait()
	for _, s := range e.shards {
		s.endAll(Shutdown)
	}
	e.pumps.Wait()
	return nil
}

// partingTime is how long peers have to close their side, once all have got the end of TCP, before Drain returns.
const partingTime = time.Second

// Drain accepts no more handshakes and ends the connections, each once it has got all that is in the journal, one
// after the other over the time spread. It returns when all are gone, soon after the last was ended, or when ctx is done.
func (e *Engine) Drain(ctx context.Context, spread time.Duration) {
	e.mu.Lock()
	e.refuse = true
	e.mu.Unlock()
	e.handshakes.Wait()
	for _, s := range e.shards {
		s.post(func() { s.drain(spread) })
	}
	e.audience.awaitEmpty(ctx)
	// A socket that is closed first drops what its peer has not taken yet as soon as the peer says a word.
	parting, cancel := context.WithTimeout(ctx, partingTime)
	defer cancel()
	parted := make(chan struct{})
	go func() {
		e.sockets.Wait()
		close(parted)
	}()
	select {
	case <-parted:
	case <-parting.Done():
	}
}

// Count returns how many of the connections at this moment a notification is for. One that is counted has joined:
// it gets whatever is appended to the journal from now on.
func (e *Engine) Count(typ string, recipients []string) int {
	return e.audience.count(typ, recipients)
}

// Connections returns how many subscribers there are at this moment.
func (e *Engine) Connections() int { return e.audience.size() }

// admit counts a subscriber whose handshake is in order. It begins at a place in the journal, or with what is appended
// from now on (now). Either welcome or dismiss must follow, unless there is an error: errGoingAway, errHeld or a limit's.
func (e *Engine) admit(s *subscriber, from uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.refuse:
		return errGoingAway
	case e.onHold():
		return errHeld
	}
	if err := e.limits.take(s); err != nil {
		return err
	}
	s.shard = e.shards[e.joined%uint64(len(e.shards))]
	e.joined++
	s.id, s.born = e.joined, instant(time.Since(e.start))
	// The cursor first: whoever is counted must get what is appended afterwards.
	oldest, next := e.config.Log.Bounds()
	if s.next = from; from == now {
		s.next = next
	}
	s.behind = s.next < oldest
	s.filter = e.audience.join(s.filter, s.subject())
	e.joining[s] = struct{}{}
	e.handshakes.Add(1)
	return nil
}

// dismiss takes back admit.
func (e *Engine) dismiss(s *subscriber) {
	e.mu.Lock()
	delete(e.joining, s)
	e.mu.Unlock()
	e.audience.leave(s.filter, s.subject())
	e.limits.release(s)
	e.handshakes.Done()
}

// welcome hands a subscriber whose handshake was answered to its shard.
func (e *Engine) welcome(s *subscriber) {
	e.sockets.Add(1)
	e.mu.Lock()
	delete(e.joining, s)
	s.shard.post(func() { s.shard.add(s) })
	e.mu.Unlock()
	e.handshakes.Done()
}
