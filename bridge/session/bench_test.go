package session

import (
	"context"
	"runtime"
	"strconv"
	"testing"
)

// null is a store that takes everything.
type null struct{ bytes int }

func (n *null) Put(_ context.Context, _ string, value []byte) error {
	n.bytes += len(value)
	return nil
}

func (*null) Watch(ctx context.Context, _ func(string, []byte)) error {
	<-ctx.Done()
	return ctx.Err()
}

// standing returns a registry with 100,000 live sessions, which are saved.
func standing(b *testing.B) (*Registry, []*Session, *null) {
	b.Helper()
	store := &null{}
	r := New(Config{Store: store})
	sessions := make([]*Session, 100_000)
	for i := range sessions {
		sessions[i], _, _ = r.Begin(Claim{Name: NewName()})
		sessions[i].Start(1_000_000)
	}
	if _, err := r.saver.save(b.Context()); err != nil {
		b.Fatal(err)
	}
	store.bytes = 0
	return r, sessions, store
}

// BenchmarkBeginParkUnder100000 is a connection that is lost and comes back, beside 100,000 that stand.
func BenchmarkBeginParkUnder100000(b *testing.B) {
	r, sessions, _ := standing(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s := &sessions[i%len(sessions)]
		(*s).Park(1_000_000)
		*s, _, _ = r.Begin(Claim{Name: (*s).owner.name})
		(*s).Start(1_000_000)
	}
}

// BenchmarkSave is a save beside 100,000 sessions of which some have changed.
func BenchmarkSave(b *testing.B) {
	for name, changed := range map[string]int{"1": 1, "10000": 10_000, "100000": 100_000} {
		b.Run(name, func(b *testing.B) {
			r, sessions, store := standing(b)
			b.ReportAllocs()
			n := 0
			for ; b.Loop(); n++ {
				for _, s := range sessions[:changed] {
					s.Confirm(uint64(1_000_000 + n))
				}
				if _, err := r.saver.save(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(store.bytes)/float64(n), "stored-B/op")
		})
	}
}

// BenchmarkFollow takes in all pages of another bridge, with 100,000 sessions: what that takes for each, in time and
// memory.
func BenchmarkFollow(b *testing.B) {
	r, sessions, _ := standing(b)
	var keys [pages]string
	var values [pages][]byte
	for i := range values {
		values[i], _ = r.saver.encode(i)
		keys[i] = r.saver.prefix + strconv.Itoa(i)
	}
	before := heap()
	other := New(Config{Store: &null{}})
	follow := func() {
		for i, value := range values {
			other.saver.changed(keys[i], value)
		}
	}
	follow()
	each := float64(heap()-before) / float64(len(sessions))
	for b.Loop() {
		follow()
	}
	b.ReportMetric(each, "heap-B/session")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(sessions)), "ns/session")
	runtime.KeepAlive(other)
}

// heap returns how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
