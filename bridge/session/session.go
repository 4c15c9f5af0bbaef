// Package session keeps the places in the journal of browsers whose connection was lost, so that one that knows nothing
// of resuming goes on where it was when it comes back.
//
// A browser is known by the random name in its cookie. As long as a connection lives, its Session knows up to where the
// client has confirmed. When it ends otherwise than by the client's own close, that cursor is parked, for a while and in
// a bounded number; nothing else is kept. The next handshake with the name takes it up.
//
// Nothing may be lost by that, and repeats are to be rare. Where it cannot be known which of several tabs comes back, the
// earliest of the cursors decides.
//
// # What is lost all the same
//
// Which of a browser's tabs a handshake is of cannot be known. One that is opened, or comes to a bridge that does not
// know yet that its connection was lost, while another tab is cut off counts as that one; so does one that was opened up
// to half a second before the other's end was noticed, if that has confirmed nothing since, or at another bridge just
// before the other's was killed, which had no time left to say that the connection stood. The other still begins where
// it was, as long as its cursor would have been kept, except
//   - once a tab that was taken for it is cut off itself, which is then taken to be the one;
//   - at another bridge than that of the tab that was taken for it;
//   - if tabs came to two bridges within the fraction of a second that these take to tell each other.
//
// A tab whose place was used up like that counts as opened when it comes back. Besides, with a Store, what a tab has
// missed is lost
//   - at another bridge, and after a kill, if its connection was new and had lasted less than Config.SaveInterval and the
//     time that a save takes, or if neither bridge could reach the store;
//   - if clocks differ: what a bridge has parked is kept elsewhere for as much less as the other's clock is ahead.
//
// A browser has at most 32 cursors; tabs beyond that share the earliest. Of what is saved, a page of 1/64th holds 10,000.
//
// # What comes twice
//
// What was not confirmed; after a kill, what was confirmed after the last save. Where a tab is opened, or comes back
// unnoticed, and stands, what has come to the others since may come again to the next that is cut off, for up to
// Config.ParkTime. A connection that stands at one bridge while its client has come back to another keeps its place until
// the first notices. Where another bridge had a live cursor that was further on, the earlier one stays for as long as it
// would have.
//
// # Concurrency
//
// A Registry is safe for concurrent use, and so is a Session.
package session

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// DefaultParkTime is how long a cursor is kept by default.
const DefaultParkTime = time.Minute

// Config says how to keep sessions. Its zero value keeps them in memory.
type Config struct {
	// ParkTime is how long a cursor is kept; 1 minute by default.
	ParkTime time.Duration
	// Limit is how many are kept at the most; 65,536 by default. Beyond it the one goes that was parked first: of the same
	// subject, when that has a sixteenth of them, or else of all.
	Limit int
	// Epoch is the journal's.
	Epoch uint64
	// Store keeps the cursors of live connections, too, so that one can be taken up after this process was killed, or by
	// another bridge; none by default.
	Store Store
	// SaveInterval is how far apart saves are that note what clients have confirmed; 0.5 s by default. That a connection
	// begins or ends is saved sooner, unless there is much to save.
	SaveInterval time.Duration
	// Logger gets a line when the store fails; none by default.
	Logger *slog.Logger
	// Registerer gets the metrics; none by default.
	Registerer prometheus.Registerer
}

func (c Config) withDefaults() Config {
	if c.ParkTime == 0 {
		c.ParkTime = DefaultParkTime
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
	lives  map[owner][]*Session // of this registry
	serial uint64
}

// maxLives is at how many connections with its name a handshake looks, and with how many they are saved. A browser has no
// more, and others must not make it slow.
const maxLives = 256

// lateTime is how late the end of a connection may be noticed for it to count as noticed before the handshake that came
// in between.
const lateTime = 500 * time.Millisecond

// New returns a registry without sessions.
func New(config Config) *Registry {
	config = config.withDefaults()
	r := &Registry{config: config, lot: newLot(config.ParkTime), lives: make(map[owner][]*Session)}
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
	page     int // in which it is saved
	began    time.Time
	sure     atomic.Uint64

	// Guarded by the registry's mu.

	id     entryID // of its live cursor, as other bridges know it
	shadow *shadow // that it casts; nil for none
	free   bool    // it has taken nothing up
	ended  bool
	next   *Session // the latest that began while this one stood; nil for none
	then   uint64   // where this one was when that began
}

// Begin returns the session of a connection, and the cursor with which to begin if there is one to take up. Either Park
// or Close must follow.
//
// Where another connection with the same name stands, it may be that of another tab; or the client may have lost it, and
// nobody has noticed here. So what that has not confirmed comes, too.
func (r *Registry) Begin(c Claim) (s *Session, from uint64, resumed bool) {
	now := time.Now()
	s = &Session{
		registry: r, owner: owner{name: c.Name, subject: subjectOf(c.Subject)}, kin: c.Kin, fresh: c.New,
		page: r.pageOf(c.Name), began: now,
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	s.id = r.nextID()
	by := byCookie
	t := r.lot.take(s, now)
	if !t.ok && c.New && c.Kin != 0 {
		by = byOrigin
		t = r.lot.takeKin(s, now)
	}
	if t.ok {
		r.metrics.resumed[by].Inc()
	}
	s.free = len(t.taken) == 0
	r.use(s, &t)
	lives := r.lives[s.owner]
	for _, other := range lives[max(0, len(lives)-maxLives):] {
		if sure := other.sure.Load(); sure > 0 {
			t.begin(sure, 0)
			other.next, other.then = s, sure
		}
	}
	if t.ok {
		s.sure.Store(t.from) // so that it is known elsewhere at once with what it has taken up
		r.metrics.repeats.Add(float64(max(t.written, t.from) - t.from))
	}
	r.lives[s.owner] = append(lives, s)
	if r.saver != nil {
		r.saver.began(s)
	}
	return s, t.from, t.ok
}

// use parks and saves what comes of a taking. mu must be held.
func (r *Registry) use(s *Session, t *taking) {
	for _, e := range t.taken {
		r.tookUp(e, s.page)
	}
	if t.longer != nil {
		r.touch(t.longer.page)
	}
	if t.parked != nil {
		t.parked.id, t.parked.page = r.nextID(), s.page
		r.lot.park(t.parked)
	}
}

func (r *Registry) tookUp(e *entry, page int) {
	if r.saver != nil {
		r.saver.tookUp(e, page)
	}
}

// touch notes that a page has changed.
func (r *Registry) touch(page int) {
	if r.saver != nil {
		r.saver.touch(page)
	}
}

// pageOf returns in which page a browser's cursors are saved. Its name is its own choice, and must not be that of a page.
func (r *Registry) pageOf(n Name) int {
	if r.saver == nil {
		return 0
	}
	return int(maphash.Comparable(r.saver.seed, n) % pages)
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

// ID stands for the browser that the session is of, whatever its connection, without being its name.
func (s *Session) ID() string {
	return fmt.Sprintf("%016x", digest("session", string(s.owner.name[:])))
}

// Start says with which cursor the connection begins.
func (s *Session) Start(next uint64) {
	s.sure.Store(next)
	if saver := s.registry.saver; saver != nil {
		saver.touch(s.page)
		saver.hasten()
	}
}

// Confirm says that everything before next has reached the client. Only one goroutine may do so at a time.
func (s *Session) Confirm(next uint64) {
	s.sure.Store(max(next, s.sure.Load()))
	s.registry.touch(s.page)
}

// Park keeps the cursor for whoever comes back: the connection has ended, and not by the client's own close. written is
// the cursor up to which the client was written to; what lies between may come twice. A session that was never started
// is parked where it is said to be written to, or where it has taken up.
func (s *Session) Park(written uint64) {
	r := s.registry
	s.sure.CompareAndSwap(0, written)
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	next := s.next // which end forgets
	cast := r.end(s)
	if cast != nil && cast.late && now.Sub(s.began) <= lateTime {
		r.restore(cast, s.page, now) // both have come and gone in a moment, and may as well be two tabs
	}
	e := &entry{
		owner: s.owner, id: r.nextID(), seq: s.sure.Load(), written: max(written, s.sure.Load()),
		kin: s.kin, fresh: s.fresh, expires: now.Add(r.config.ParkTime), page: s.page,
	}
	if next != nil && next.free && !next.ended && next.page == s.page &&
		e.seq == s.then && now.Sub(next.began) <= lateTime {
		// Its end was noticed late: the client had come back already.
		next.free = false
		r.lot.cast(next, e, e.seq, e.expires)
		next.shadow.late = true
		r.metrics.repeats.Add(float64(e.written - e.seq))
		return
	}
	r.park(e)
}

// park keeps an entry, and has room for it. mu must be held.
func (r *Registry) park(e *entry) {
	r.lot.park(e)
	r.touch(e.page)
	if r.lot.parked() > r.config.Limit {
		r.metrics.expired.Inc()
		r.drop(r.lot.surplus(e, r.config.Limit))
	}
}

// Close keeps nothing of this connection: the client has ended it. What it took up is kept, for as long as it would have
// been, if nobody else has come back: it may have been another tab's.
func (s *Session) Close() {
	r := s.registry
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	if cast := r.end(s); cast != nil {
		r.restore(cast, s.page, now)
	}
}

// restore parks again what was taken up, for as long as it would have been. mu must be held.
func (r *Registry) restore(cast *shadow, page int, now time.Time) {
	if !now.Before(cast.until) {
		return
	}
	r.park(&entry{
		owner: cast.taken.owner, id: r.nextID(), seq: cast.seq, written: cast.taken.written,
		kin: cast.taken.kin, fresh: cast.taken.fresh, expires: cast.until, page: page,
	})
}

// end forgets a connection, and returns the shadow that it cast; nil for none. mu must be held.
func (r *Registry) end(s *Session) *shadow {
	s.ended, s.next = true, nil
	without(r.lives, s.owner, s)
	if r.saver != nil {
		r.saver.ended(s)
	}
	return r.lot.leave(s)
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
	r.touch(e.page)
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
