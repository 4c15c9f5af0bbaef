package journal

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"
)

// MemoryConfig bounds a memory journal. Its zero value is ready to use.
type MemoryConfig struct {
	// Messages is how many records are kept at the most; 65,536 by default.
	Messages int
	// Bytes is how much memory the records may take at the most, their ready frames included; 64 MiB by default.
	Bytes int
	// Age is how long a record is kept at the most; 10 minutes by default.
	Age time.Duration
	// DedupWindow is how long an ID is remembered; 2 minutes by default.
	DedupWindow time.Duration
	// DedupIDs is how many IDs are remembered at the most; 262,144 by default. Beyond it the oldest is forgotten
	// before its time.
	DedupIDs int
}

func (c MemoryConfig) withDefaults() MemoryConfig {
	if c.Messages == 0 {
		c.Messages = 1 << 16
	}
	if c.Bytes == 0 {
		c.Bytes = 64 << 20
	}
	if c.Age == 0 {
		c.Age = 10 * time.Minute
	}
	if c.DedupWindow == 0 {
		c.DedupWindow = 2 * time.Minute
	}
	if c.DedupIDs == 0 {
		c.DedupIDs = 1 << 18
	}
	return c
}

// Memory is a Journal in the process's memory. Its epoch is random, so that a position from before a restart is
// recognised as lost.
type Memory struct {
	config MemoryConfig
	epoch  uint64

	mu       sync.Mutex
	closed   bool
	ring     ring
	bytes    int
	next     uint64
	ids      dedup
	watchers map[chan<- struct{}]struct{}
}

var _ Journal = (*Memory)(nil)

// NewMemory returns an empty journal.
func NewMemory(config MemoryConfig) *Memory {
	var epoch [8]byte
	_, _ = rand.Read(epoch[:]) // crypto/rand.Read never fails (its documentation, since Go 1.24)
	config = config.withDefaults()
	return &Memory{
		config:   config,
		epoch:    binary.BigEndian.Uint64(epoch[:]),
		next:     1,
		ids:      newDedup(config.DedupWindow, config.DedupIDs),
		watchers: make(map[chan<- struct{}]struct{}),
	}
}

// recordOverhead is about what a record costs beside its bytes: the struct, its slot in the ring, its variants.
const recordOverhead = 256

// cost counts the data seven times, since a record keeps its frames too: one with the data as it is, and, as soon as a
// client asks for it, one with the data in a string, in which every byte may need an escape, and of each one that is
// compressed, which is shorter.
func cost(e *Entry) int {
	n := recordOverhead + len(e.Type) + 7*len(e.Data)
	for _, recipient := range e.Recipients {
		n += 16 + len(recipient)
	}
	return n
}

// settled is the Pending of an entry that is in the journal already.
type settled Receipt

func (s settled) Settled() bool { return true }

func (s settled) Wait(context.Context) (Receipt, error) { return Receipt(s), nil }

// Append implements Journal. Nothing need be waited for: the entry is in the journal when it returns.
func (m *Memory) Append(_ context.Context, e Entry) (Pending, error) {
	size := cost(&e)
	if size > m.config.Bytes {
		return nil, ErrTooLarge
	}
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	if e.ID != "" {
		if first, ok := m.ids.lookup(e.ID, now); ok {
			first.Duplicate = true
			return settled(first), nil
		}
	}
	receipt := Receipt{Position: Position{Epoch: m.epoch, Seq: m.next}, Subscribers: e.Subscribers}
	m.ring.push(&Record{Seq: m.next, Time: now, Type: e.Type, Data: e.Data, Recipients: e.Recipients}, size)
	m.bytes += size
	m.next++
	if e.ID != "" {
		m.ids.remember(e.ID, receipt, now)
	}
	m.evict(now)
	for c := range m.watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	return settled(receipt), nil
}

// evict drops what exceeds a bound. It runs whenever the journal is looked at, so that nobody sees what is too old.
func (m *Memory) evict(now time.Time) {
	for m.ring.len() > 0 {
		oldest, size := m.ring.oldest()
		if m.ring.len() <= m.config.Messages && m.bytes <= m.config.Bytes && now.Sub(oldest.Time) <= m.config.Age {
			return
		}
		m.ring.pop()
		m.bytes -= size
	}
}

// Epoch implements Journal.
func (m *Memory) Epoch() uint64 { return m.epoch }

// Bounds implements Journal.
func (m *Memory) Bounds() (oldest, next uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.evict(time.Now())
	return m.next - uint64(m.ring.len()), m.next
}

// Read implements Journal.
func (m *Memory) Read(from uint64, into []*Record) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.evict(time.Now())
	if from >= m.next {
		return 0, nil
	}
	oldest := m.next - uint64(m.ring.len())
	if from < oldest {
		return 0, ErrLost
	}
	return m.ring.copy(into, int(from-oldest)), nil
}

// Notify implements Journal.
func (m *Memory) Notify(c chan<- struct{}) (stop func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watchers[c] = struct{}{}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.watchers, c)
	}
}

// Stats returns how many records are kept and about how many bytes of memory they take.
func (m *Memory) Stats() (records, bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.evict(time.Now())
	return m.ring.len(), m.bytes
}

// Close makes every later Append fail with ErrClosed. What is in the journal can still be read.
func (m *Memory) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
}
