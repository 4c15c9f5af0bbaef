package journal

import (
	"sort"
	"sync"
	"time"
)

// WindowConfig bounds a window. Its zero value is ready to use.
type WindowConfig struct {
	// Messages is how many records are at hand at the most; 65,536 by default.
	Messages int
	// Bytes is how much memory the records may take at the most, their ready frames included; 64 MiB by default.
	Bytes int
	// Age is how long a record is at hand at the most; 10 minutes by default.
	Age time.Duration
}

func (c WindowConfig) withDefaults() WindowConfig {
	if c.Messages == 0 {
		c.Messages = 1 << 16
	}
	if c.Bytes == 0 {
		c.Bytes = 64 << 20
	}
	if c.Age == 0 {
		c.Age = 10 * time.Minute
	}
	return c
}

// Room returns how many records, of a size in bytes of data, a window has at hand at the most, and how old ones.
func (c WindowConfig) Room(size int) (records int, age time.Duration) {
	c = c.withDefaults()
	return min(c.Messages, c.Bytes/(recordOverhead+7*size)), c.Age
}

// Window holds the newest records of a journal in memory: what is at hand. It is safe for concurrent use.
type Window struct {
	config WindowConfig

	mu       sync.Mutex
	ring     ring
	keys     conflation
	bytes    int
	next     uint64
	watchers map[chan<- struct{}]struct{}
}

// NewWindow returns an empty window whose first record will have the sequence number next.
func NewWindow(config WindowConfig, next uint64) *Window {
	return &Window{config: config.withDefaults(), next: next, watchers: make(map[chan<- struct{}]struct{})}
}

const (
	// recordOverhead is about what a record costs beside its bytes: the struct, its slot in the ring, its variants.
	recordOverhead = 256
	// keyOverhead is about what a key costs beside its bytes, in a window that has no other record with it.
	keyOverhead = 160
)

// cost counts the data seven times, since a record keeps its frames too: one with the data as it is, and, as soon as a
// client asks for it, one with the data in a string, in which every byte may need an escape, and of each one that is
// compressed, which is shorter.
func cost(typ string, data []byte, recipients []string, key string) int {
	n := recordOverhead + len(typ) + 7*len(data)
	if key != "" {
		n += keyOverhead + len(key)
	}
	for _, recipient := range recipients {
		n += 16 + len(recipient)
		if key != "" {
			n += len(recipient) // it is in what is kept of the key, too
		}
	}
	return n
}

// Fits reports whether the window's bound in bytes has room for an entry when it is alone.
func (w *Window) Fits(e *Entry) bool {
	return cost(e.Type, e.Data, e.Recipients, e.Key) <= w.config.Bytes
}

// Add makes r the newest record. When it does not follow the one before, everything before it is forgotten, so that
// no reader gets past a gap without being told.
func (w *Window) Add(r *Record) {
	size := cost(r.Type, r.Data, r.Recipients, r.Key)
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.Seq != w.next {
		w.ring, w.keys, w.bytes = ring{}, nil, 0
	}
	w.keys.add(r)
	w.ring.push(r, size)
	w.bytes += size
	w.next = r.Seq + 1
	w.evict(time.Now())
	for c := range w.watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// evict drops what exceeds a bound. It runs whenever the window is looked at, so that nobody sees what is too old.
func (w *Window) evict(now time.Time) {
	for w.ring.len() > 0 {
		oldest, size := w.ring.oldest()
		if w.ring.len() <= w.config.Messages && w.bytes <= w.config.Bytes && now.Sub(oldest.Time) <= w.config.Age {
			return
		}
		w.ring.pop()
		w.keys.remove(oldest)
		w.bytes -= size
	}
}

// Bounds is a Journal's.
func (w *Window) Bounds() (oldest, next uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.evict(time.Now())
	return w.next - uint64(w.ring.len()), w.next
}

// Read is a Journal's.
func (w *Window) Read(from uint64, into []*Record) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.evict(time.Now())
	if from >= w.next {
		return 0, nil
	}
	oldest := w.next - uint64(w.ring.len())
	if from < oldest {
		return 0, ErrLost
	}
	return w.ring.copy(into, int(from-oldest)), nil
}

// Since returns the sequence number of the first record at hand that was appended at t or later, the next one's when
// there is none.
func (w *Window) Since(t time.Time) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.evict(time.Now())
	i := sort.Search(w.ring.len(), func(i int) bool { return !w.ring.at(i).record.Time.Before(t) })
	return w.next - uint64(w.ring.len()-i)
}

// Notify is a Journal's.
func (w *Window) Notify(c chan<- struct{}) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watchers[c] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.watchers, c)
	}
}

// Stats returns how many records are at hand and about how many bytes of memory they take.
func (w *Window) Stats() (records, bytes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.evict(time.Now())
	return w.ring.len(), w.bytes
}
