package journal

import (
	"context"
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
// recognised as lost. What it stores is what it has at hand.
type Memory struct {
	*Window
	epoch uint64

	mu     sync.Mutex
	closed bool
	next   uint64
	ids    dedup
}

var _ Journal = (*Memory)(nil)

// NewMemory returns an empty journal.
func NewMemory(config MemoryConfig) *Memory {
	config = config.withDefaults()
	return &Memory{
		Window: NewWindow(WindowConfig{Messages: config.Messages, Bytes: config.Bytes, Age: config.Age}, 1),
		epoch:  NewEpoch(),
		next:   1,
		ids:    newDedup(config.DedupWindow, config.DedupIDs),
	}
}

// settled is the Pending of an entry that is in the journal already.
type settled Receipt

func (s settled) Settled() bool { return true }

func (s settled) Wait(context.Context) (Receipt, error) { return Receipt(s), nil }

// Append implements Journal. Nothing need be waited for: the entry is in the journal when it returns.
func (m *Memory) Append(_ context.Context, e Entry) (Pending, error) {
	if !m.Fits(&e) {
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
	m.Add(&Record{
		Seq: m.next, Time: now, Type: e.Type, Data: e.Data, Recipients: e.Recipients, Key: e.Key, Subscribers: e.Subscribers,
	})
	m.next++
	if e.ID != "" {
		m.ids.remember(e.ID, receipt, now)
	}
	return settled(receipt), nil
}

// Term implements Journal. Nothing is ever on its way, so that nothing can be lost there.
func (m *Memory) Term() uint64 { return 0 }

// Epoch implements Journal.
func (m *Memory) Epoch() uint64 { return m.epoch }

// Recall implements Journal.
func (m *Memory) Recall(_ context.Context, from uint64, into []*Record) (int, error) {
	return m.Read(from, into)
}

// Since implements Journal.
func (m *Memory) Since(_ context.Context, t time.Time) (uint64, error) { return m.Window.Since(t), nil }

// Close makes every later Append fail with ErrClosed. What is in the journal can still be read.
func (m *Memory) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
}
