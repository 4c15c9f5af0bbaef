package journal_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rotki/notification-bridge/bridge/journal"
	"github.com/rotki/notification-bridge/bridge/journal/conformance"
)

func TestMemoryConforms(t *testing.T) {
	conformance.Run(t, func(*testing.T) journal.Journal {
		return journal.NewMemory(journal.MemoryConfig{Messages: conformance.Keep})
	})
}

func add(t *testing.T, j journal.Journal, e journal.Entry) journal.Receipt {
	t.Helper()
	pending, err := j.Append(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := pending.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

func TestMemoryForgetsByBytes(t *testing.T) {
	m := journal.NewMemory(journal.MemoryConfig{Bytes: 100_000})
	for range 1000 {
		add(t, m, journal.Entry{Type: "legacy", Data: []byte(strings.Repeat("x", 1000))})
	}
	if records, bytes := m.Stats(); bytes > 100_000 || records < 10 || records > 15 {
		t.Errorf("%d records of about 7 kB take %d bytes", records, bytes)
	}
	if _, err := m.Append(t.Context(), journal.Entry{Data: make([]byte, 50_000)}); !errors.Is(err, journal.ErrTooLarge) {
		t.Errorf("an entry beyond the bound: %v", err)
	}
}

func TestMemoryForgetsByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := journal.NewMemory(journal.MemoryConfig{Age: time.Minute})
		first := add(t, m, journal.Entry{Type: "legacy", Data: []byte(`{}`)}).Position.Seq
		time.Sleep(40 * time.Second)
		add(t, m, journal.Entry{Type: "legacy", Data: []byte(`{}`)})
		time.Sleep(21 * time.Second)
		if oldest, next := m.Bounds(); oldest != first+1 || next != first+2 {
			t.Errorf("after 61 s the bounds are %d, %d", oldest, next)
		}
		if _, err := m.Read(first, make([]*journal.Record, 1)); !errors.Is(err, journal.ErrLost) {
			t.Errorf("the old record: %v", err)
		}
		time.Sleep(time.Minute)
		if records, bytes := m.Stats(); records != 0 || bytes != 0 {
			t.Errorf("%d records, %d bytes are left", records, bytes)
		}
	})
}

func TestMemoryForgetsIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := journal.NewMemory(journal.MemoryConfig{DedupWindow: time.Minute, DedupIDs: 10})
		add(t, m, journal.Entry{ID: "a"})
		time.Sleep(59 * time.Second)
		if !add(t, m, journal.Entry{ID: "a"}).Duplicate {
			t.Error("forgotten within the window")
		}
		time.Sleep(2 * time.Second)
		if add(t, m, journal.Entry{ID: "a"}).Duplicate {
			t.Error("remembered beyond the window, which must not be extended by duplicates")
		}
		for i := range 10 {
			add(t, m, journal.Entry{ID: fmt.Sprint(i)})
		}
		if !add(t, m, journal.Entry{ID: "0"}).Duplicate {
			t.Error("forgot one of the last 10 IDs")
		}
		if add(t, m, journal.Entry{ID: "a"}).Duplicate {
			t.Error("remembered more than 10 IDs")
		}
	})
}

func TestMemoryClosed(t *testing.T) {
	m := journal.NewMemory(journal.MemoryConfig{})
	seq := add(t, m, journal.Entry{Type: "legacy"}).Position.Seq
	m.Close()
	if _, err := m.Append(t.Context(), journal.Entry{}); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if n, err := m.Read(seq, make([]*journal.Record, 1)); n != 1 || err != nil {
		t.Errorf("read: %d, %v", n, err)
	}
}

func TestEpochsDiffer(t *testing.T) {
	a, b := journal.NewMemory(journal.MemoryConfig{}), journal.NewMemory(journal.MemoryConfig{})
	if a.Epoch() == b.Epoch() {
		t.Error("two journals have the same epoch")
	}
}

func BenchmarkMemoryAppend(b *testing.B) {
	m := journal.NewMemory(journal.MemoryConfig{})
	data := []byte(`{"verbosity":"warning","value":"A warning"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Append(b.Context(), journal.Entry{Type: "legacy", Data: data}); err != nil {
			b.Fatal(err)
		}
	}
}
