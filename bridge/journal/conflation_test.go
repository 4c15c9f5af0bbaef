package journal_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rotki/notification-bridge/bridge/journal"
)

func TestSuperseded(t *testing.T) {
	for _, tc := range []struct {
		name       string
		keys       string // one each record, space-separated: KEY or KEY@RECIPIENT,RECIPIENT
		superseded []int
	}{
		{"no keys", "- - -", nil},
		{"one of each", "a b c", nil},
		{"a newer one", "a b a", []int{0}},
		{"all but the newest", "a a b a b", []int{0, 1, 2}},
		{"what has no key is left alone", "- a - a -", []int{1}},
		{"another recipient", "a@x a@y", nil},
		{"fewer recipients", "a@x,y a@x", nil},
		{"more recipients", "a@x a@x,y", nil},
		{"everyone, and one", "a a@x a a@x", []int{0, 1}},
		{"the same recipients", "a@x,y b@x,y a@y,x a@x", []int{0}},
		{"the same recipients, one twice", "a@x,y a@y,x,y", []int{0}},
		{"recipients that look alike", "a@xy a@x,y a@yx", nil},
		{"no recipient of an empty name", "a@,x a@x", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := journal.NewWindow(journal.WindowConfig{}, 1)
			for i, key := range strings.Fields(tc.keys) {
				r := &journal.Record{Seq: uint64(i + 1), Time: time.Now()}
				name, recipients, found := strings.Cut(key, "@")
				if name != "-" {
					r.Key = name
				}
				if found {
					r.Recipients = strings.Split(recipients, ",")
				}
				w.Add(r)
			}
			records := make([]*journal.Record, 10)
			n, err := w.Read(1, records)
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			for i, r := range records[:n] {
				if r.Superseded() {
					got = append(got, i)
				}
			}
			if !slices.Equal(got, tc.superseded) {
				t.Errorf("superseded are %v, want %v", got, tc.superseded)
			}
		})
	}
}

// TestKeysAreForgotten holds a window against a slice of what it must have, over random streams.
func TestKeysAreForgotten(t *testing.T) {
	const messages = 20
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(3, seed))
			w := journal.NewWindow(journal.WindowConfig{Messages: messages, Age: time.Minute}, 1)
			var have []*journal.Record
			next := uint64(1)
			for range 2000 {
				time.Sleep(time.Duration(random.ExpFloat64() * 4 * float64(time.Second))) // now the number and now the age bounds
				if random.IntN(100) == 0 {
					next += 5 // a gap
					have = nil
				}
				r := &journal.Record{Seq: next, Time: time.Now()}
				if random.IntN(3) > 0 {
					r.Key = fmt.Sprint(random.IntN(8))
				}
				if random.IntN(3) == 0 {
					r.Recipients = []string{"a", "b"}[:random.IntN(3)]
				}
				w.Add(r)
				next++
				have = append(have, r)
				have = have[max(0, len(have)-messages):]
				for time.Since(have[0].Time) > time.Minute {
					have = have[1:]
				}
				last := make(map[string]uint64)
				for _, r := range have {
					if r.Key != "" {
						last[fmt.Sprint(r.Key, r.Recipients)] = r.Seq
					}
				}
				if got := w.Keys(); got != len(last) {
					t.Fatalf("%d keys are remembered, want %d", got, len(last))
				}
				for _, r := range have {
					if want := r.Key != "" && last[fmt.Sprint(r.Key, r.Recipients)] != r.Seq; r.Superseded() != want {
						t.Fatalf("record %d is superseded: %v, want %v", r.Seq, r.Superseded(), want)
					}
				}
			}
			time.Sleep(2 * time.Minute)
			if records, bytes := w.Stats(); records != 0 || bytes != 0 || w.Keys() != 0 {
				t.Errorf("%d records, %d bytes, %d keys are left", records, bytes, w.Keys())
			}
		})
	}
}

// TestSupersededWhileRead: readers see, whatever comes meanwhile, that the last of each key they will get is not
// superseded, and that what was superseded stays so.
func TestSupersededWhileRead(t *testing.T) {
	const records, keys = 5000, 7
	w := journal.NewWindow(journal.WindowConfig{}, 1)
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			buffer := make([]*journal.Record, 64)
			var before []*journal.Record
			for next := uint64(1); next <= records; {
				n, err := w.Read(next, buffer)
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
				for _, r := range buffer[:n] {
					if r.Superseded() {
						before = append(before, r)
					}
				}
				next += uint64(n)
			}
			for _, r := range before {
				if !r.Superseded() {
					t.Errorf("record %d was superseded, and no more", r.Seq)
				}
			}
			n, _ := w.Read(records-keys+1, buffer)
			for _, r := range buffer[:n] {
				if r.Superseded() {
					t.Errorf("record %d is the newest of its key, and superseded", r.Seq)
				}
			}
		})
	}
	for seq := uint64(1); seq <= records; seq++ {
		w.Add(&journal.Record{Seq: seq, Time: time.Now(), Key: fmt.Sprint(seq % keys)})
	}
	readers.Wait()
}

func TestKeysCount(t *testing.T) {
	w := journal.NewWindow(journal.WindowConfig{Bytes: 100_000}, 1)
	key := strings.Repeat("k", 5000)
	for seq := uint64(1); seq <= 100; seq++ {
		w.Add(&journal.Record{Seq: seq, Time: time.Now(), Key: fmt.Sprint(key, seq)})
	}
	if records, _ := w.Stats(); records < 15 || records > 20 || w.Keys() != records {
		t.Errorf("%d records with keys of 5 kB, and %d keys, are kept in 100 kB", records, w.Keys())
	}
	if w.Fits(&journal.Entry{Key: strings.Repeat("k", 100_000)}) {
		t.Error("a key beyond the bound fits")
	}
}

func BenchmarkWindowAdd(b *testing.B) {
	for _, keys := range []int{0, 100} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			w := journal.NewWindow(journal.WindowConfig{}, 1)
			names := []string{""}
			for i := range keys {
				names = append(names[:i], fmt.Sprintf(`progress_updates,"undecoded_transactions","chain %d",,`, i))
			}
			now := time.Now()
			b.ReportAllocs()
			for seq := uint64(1); b.Loop(); seq++ {
				w.Add(&journal.Record{Seq: seq, Time: now, Key: names[seq%uint64(len(names))]})
			}
		})
	}
}
