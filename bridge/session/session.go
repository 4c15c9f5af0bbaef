// Package session keeps the places in the journal of browsers whose connection was lost, so that one that knows nothing
// of resuming goes on where it was when it comes back.
//
// A browser is known by the random name in its cookie. As long as a connection lives, its Session knows up to where the
// client has confirmed. When it ends otherwise than by the client's own close, that cursor is parked, for a while and in
// a bounded number; nothing else is kept. The next handshake with the name takes it up.
//
// Nothing may be lost by that, and repeats are to be rare. Where it cannot be known which of several tabs comes back, the
// earliest of the cursors decides. So a client comes by repeats when it is cut off for the second time within the park time
// after a bridge was late to notice the first. What it had not confirmed when a process was killed, and what it confirmed
// after the last save, comes twice too. What can be lost: a connection that is killed with its bridge within the 20 ms or so
// before its first save is not known; and a tab that was cut off misses something when another of the same browser is opened
// before it is back, at another bridge than the one to which it comes back.
//
// # Concurrency
//
// A Registry is safe for concurrent use, and so is a Session.
package session

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config says how to keep sessions. Its zero value keeps them in memory.
type Config struct {
	// ParkTime is how long a cursor is kept; 1 minute by default.
	ParkTime time.Duration
	// Limit is how many are kept at the most; 65,536 by default. Beyond it the one that was parked first goes.
	Limit int
	// Epoch is the journal's.
	Epoch uint64
	// Store keeps the cursors of live connections, too, so that one can be taken up after this process was killed, or by
	// another bridge; none by default.
	Store Store
	// SaveInterval is how far apart saves are that note what clients have confirmed; 0.5 s by default. That a connection
	// begins or ends is saved sooner.
	SaveInterval time.Duration
	// Logger gets a line when the store fails; none by default.
	Logger *slog.Logger
	// Registerer gets the metrics; none by default.
	Registerer prometheus.Registerer
}

func (c Config) withDefaults() Config {
	if c.ParkTime == 0 {
		c.ParkTime = time.Minute
	}
	if c.Limit == 0 {
		c.Limit = 1 << 16
	}
	if c.SaveInterval == 0 {
		c.SaveInterval = 500 * time.Millisecond
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	return c
}

// maxLives is at how many connections with its name a handshake looks. A browser has no more, and others must not make it
// slow.
const maxLives = 256

// Claim is what a handshake says of who it is.
type Claim struct {
	// Name is the cookie's, or a new one.
	Name Name
	// New says that no cookie came, so that the name was made up.
	New bool
	// Subject is who is authenticated; empty for nobody. It must be the same when a cursor is taken up.
	Subject string
	// Kin is KinOf a client to which no cookie may come back; 0 for none.
	Kin uint64
}

// Registry keeps sessions.
type Registry struct {
	config  Config
	metrics *metrics
	saver   *saver // nil without a store

	mu     sync.Mutex
	lot    lot
	lives  [pages]map[owner][]*Session // this registry's connections, by the page on which their cursors are stored
	serial uint64
}

// New returns a registry without sessions.
func New(config Config) *Registry {
	config = config.withDefaults()
	r := &Registry{config: config, lot: newLot()}
	for i := range r.lives {
		r.lives[i] = make(map[owner][]*Session)
	}
	r.metrics = newMetrics(config.Registerer, r)
	if config.Store != nil {
		r.saver = newSaver(r)
	}
	return r
}

// Durable reports whether sessions outlast the process.
func (r *Registry) Durable() bool { return r.saver != nil }

// Run follows the store and saves to it until ctx is done, and then saves a last time. It must be called once.
func (r *Registry) Run(ctx context.Context) error {
	if r.saver == nil {
		<-ctx.Done()
		return nil
	}
	return r.saver.run(ctx)
}

// Ready returns once Begin knows what other bridges, and this one before it was restarted, have saved, or when ctx is
// done.
func (r *Registry) Ready(ctx context.Context) error {
	if r.saver == nil {
		return nil
	}
	select {
	case <-r.saver.read:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Session is one connection's place. Its first cursor must be told with Start.
type Session struct {
	registry *Registry
	owner    owner
	kin      uint64
	fresh    bool
	id       entryID // of its live cursor, as other bridges know it
	sure     atomic.Uint64

	page   int
	slot   int     // in the registry's list of its owner's
	shadow *shadow // that it has cast; nil for none
}

// Begin returns the session of a connection, and the cursor with which to begin if there is one to take up. Either Park
// or Close must follow.
//
// Where another connection with the same name stands, it may be that of another tab; or the client may have lost it, and
// nobody has noticed here. So what that has not confirmed comes, too.
func (r *Registry) Begin(c Claim) (s *Session, from uint64, resumed bool) {
	s = &Session{registry: r, owner: owner{name: c.Name, subject: subjectOf(c.Subject)}, kin: c.Kin, fresh: c.New}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	s.id, s.page = r.nextID(), r.lot.pageOf(c.Name)
	by := byCookie
	taken, from, resumed := r.lot.take(s, now)
	if !resumed && c.New && c.Kin != 0 {
		by = byOrigin
		taken, from, resumed = r.lot.takeKin(s, now)
	}
	if resumed {
		r.metrics.resumed[by].Inc()
	}
	if taken != nil {
		r.metrics.repeats.Add(float64(max(taken.written, from) - from))
		if r.saver != nil {
			r.saver.tookUp(taken, s)
		}
	}
	lives := r.lives[s.page][s.owner]
	for _, other := range lives[max(0, len(lives)-maxLives):] {
		if sure := other.sure.Load(); sure > 0 && (!resumed || sure < from) {
			from, resumed = sure, true
		}
	}
	s.slot = len(lives)
	r.lives[s.page][s.owner] = append(lives, s)
	if resumed {
		s.sure.Store(from) // what was taken up is saved together with who took it up, also before that is started
	}
	if r.saver != nil {
		r.saver.soon(s.page)
	}
	return s, from, resumed
}

// nextID returns an id that no cursor of this registry has. mu must be held.
func (r *Registry) nextID() entryID {
	r.serial++
	id := entryID{serial: r.serial}
	if r.saver != nil {
		id.instance = r.saver.instance
	}
	return id
}

// Start says with which cursor the connection begins.
func (s *Session) Start(next uint64) {
	s.sure.Store(next)
	if s.registry.saver != nil {
		s.registry.saver.soon(s.page)
	}
}

// Confirm says that everything before next has reached the client. Only one goroutine may do so at a time.
func (s *Session) Confirm(next uint64) {
	s.sure.Store(max(next, s.sure.Load()))
	s.registry.touch(s.page)
}

// Park keeps the cursor for whoever comes back: the connection has ended, and not by the client's own close. written is
// the cursor up to which the client was written to; what lies between may come twice. A session that was never started
// is parked where it is said to be written to.
func (s *Session) Park(written uint64) {
	r := s.registry
	s.sure.CompareAndSwap(0, written)
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	r.end(s)
	r.lot.park(&entry{
		owner: s.owner, id: r.nextID(), seq: s.sure.Load(), written: written,
		kin: s.kin, fresh: s.fresh, expires: now.Add(r.config.ParkTime),
	})
	if r.lot.parked() > r.config.Limit {
		r.metrics.expired.Inc()
		r.drop(r.lot.first())
	}
}

// Close keeps nothing: the client has ended the connection.
func (s *Session) Close() {
	r := s.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end(s)
}

// end forgets a connection. mu must be held.
func (r *Registry) end(s *Session) {
	r.lot.leave(s)
	lives := r.lives[s.page][s.owner]
	last := len(lives) - 1
	lives[s.slot], lives[last].slot = lives[last], s.slot
	lives[last] = nil
	if last == 0 {
		delete(r.lives[s.page], s.owner)
	} else {
		r.lives[s.page][s.owner] = lives[:last]
	}
	if r.saver != nil {
		r.saver.soon(s.page)
	}
}

// touch notes that a page has changed.
func (r *Registry) touch(page int) {
	if r.saver != nil {
		r.saver.touch(page)
	}
}

// expire drops what was parked too long ago. mu must be held.
func (r *Registry) expire(now time.Time) {
	for e := r.lot.first(); e != nil && !now.Before(e.expires); e = r.lot.first() {
		r.metrics.expired.Inc()
		r.drop(e)
	}
}

func (r *Registry) drop(e *entry) {
	r.lot.remove(e)
	r.touch(r.lot.pageOf(e.owner.name))
}

// parked returns how many cursors of this registry's connections are parked.
func (r *Registry) parked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(time.Now())
	return r.lot.parked()
}

func subjectOf(subject string) uint64 {
	if subject == "" {
		return 0
	}
	return digest(subject)
}
