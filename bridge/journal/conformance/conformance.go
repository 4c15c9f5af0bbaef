// Package conformance holds what every journal must do, as tests that each implementation runs.
package conformance

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/rotki/notification-bridge/bridge/journal"
)

// Keep is how many records a journal under test must be able to have at hand; it must have no more than that.
const Keep = 100

// Run checks the journals that open makes. Each call must return an empty one that has at most Keep records at hand,
// however many it stores, and is cleaned up by the test.
func Run(t *testing.T, open func(t *testing.T) journal.Journal) {
	for _, tc := range []struct {
		name string
		test func(*testing.T, journal.Journal)
	}{
		{"empty", empty},
		{"append and read", appendAndRead},
		{"dedup", dedup},
		{"concurrent dedup", concurrentDedup},
		{"lost position", lostPosition},
		{"order under concurrency", order},
		{"notify", notify},
		{"variants", variants},
		{"entries", entries},
		{"recall", recall},
		{"since", since},
		{"term", term},
		{"conflation", conflation},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(t, open(t)) })
	}
}

func add(t testing.TB, j journal.Journal, e journal.Entry) journal.Receipt {
	t.Helper()
	pending, err := j.Append(t.Context(), e)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	receipt, err := pending.Wait(t.Context())
	if err != nil {
		t.Fatalf("wait: %v", err)
	}
	return receipt
}

// readAll follows the journal from a sequence number until it has n records.
func readAll(t testing.TB, j journal.Journal, from uint64, n int) []*journal.Record {
	t.Helper()
	moved := make(chan struct{}, 1)
	defer j.Notify(moved)()
	var records []*journal.Record
	for buffer := make([]*journal.Record, 7); len(records) < n; {
		got, err := j.Read(from, buffer)
		if err != nil {
			t.Fatalf("read from %d: %v", from, err)
		}
		if got == 0 {
			select {
			case <-moved:
			case <-t.Context().Done():
				t.Fatalf("%d of %d records came", len(records), n)
			}
		}
		records = append(records, buffer[:got]...)
		from += uint64(got)
	}
	return records
}

func empty(t *testing.T, j journal.Journal) {
	oldest, next := j.Bounds()
	if oldest != next {
		t.Errorf("bounds %d, %d of an empty journal", oldest, next)
	}
	if n, err := j.Read(next, make([]*journal.Record, 1)); n != 0 || err != nil {
		t.Errorf("read at the head: %d, %v", n, err)
	}
}

func appendAndRead(t *testing.T, j journal.Journal) {
	_, start := j.Bounds()
	for i := range 20 {
		r := add(t, j, journal.Entry{Type: "legacy", Data: fmt.Appendf(nil, `{"n":%d}`, i), Recipients: []string{"a", "b"}, Subscribers: 3})
		want := journal.Receipt{Position: journal.Position{Epoch: j.Epoch(), Seq: start + uint64(i)}, Subscribers: 3}
		if r != want {
			t.Fatalf("receipt %+v, want %+v", r, want)
		}
	}
	for i, r := range readAll(t, j, start, 20) {
		if r.Seq != start+uint64(i) || r.Type != "legacy" || string(r.Data) != fmt.Sprintf(`{"n":%d}`, i) ||
			!slices.Equal(r.Recipients, []string{"a", "b"}) || r.Time.IsZero() {
			t.Errorf("record %d: %+v", i, r)
		}
	}
	if oldest, next := j.Bounds(); oldest != start || next != start+20 {
		t.Errorf("bounds %d, %d", oldest, next)
	}
}

func dedup(t *testing.T, j journal.Journal) {
	_, start := j.Bounds()
	first := add(t, j, journal.Entry{ID: "a", Type: "legacy", Data: []byte(`{}`), Subscribers: 7})
	add(t, j, journal.Entry{ID: "b", Type: "legacy", Data: []byte(`{}`)})
	again := add(t, j, journal.Entry{ID: "a", Type: "legacy", Data: []byte(`{}`), Subscribers: 1})
	if first.Duplicate || !again.Duplicate || again.Position != first.Position || again.Subscribers != 7 {
		t.Errorf("first %+v, again %+v", first, again)
	}
	add(t, j, journal.Entry{Type: "legacy", Data: []byte(`{}`)})
	if r := add(t, j, journal.Entry{Type: "legacy", Data: []byte(`{}`)}); r.Duplicate {
		t.Error("entries without an ID are not duplicates")
	}
	readAll(t, j, start, 4)
	if _, next := j.Bounds(); next != start+4 {
		t.Errorf("%d entries were appended, want 4", next-start)
	}
}

func concurrentDedup(t *testing.T, j journal.Journal) {
	_, start := j.Bounds()
	var wg sync.WaitGroup
	receipts := make([]journal.Receipt, 16)
	for i := range receipts {
		wg.Go(func() { receipts[i] = add(t, j, journal.Entry{ID: "same", Type: "legacy", Data: []byte(`{}`)}) })
	}
	wg.Wait()
	originals := 0
	for _, r := range receipts {
		if !r.Duplicate {
			originals++
		}
		if r.Position.Seq != start {
			t.Errorf("position %v", r.Position)
		}
	}
	if originals != 1 {
		t.Errorf("%d of 16 were said to be the first", originals)
	}
}

func lostPosition(t *testing.T, j journal.Journal) {
	_, start := j.Bounds()
	const n = Keep + 50
	for range n {
		add(t, j, journal.Entry{Type: "legacy", Data: []byte(`{}`)})
	}
	readAll(t, j, start+n-1, 1) // a journal that tails a stream may get there a little later
	oldest, next := j.Bounds()
	if next != start+n || next-oldest != Keep {
		t.Fatalf("bounds %d, %d: %d kept", oldest, next, next-oldest)
	}
	buffer := make([]*journal.Record, 1)
	if _, err := j.Read(oldest-1, buffer); !errors.Is(err, journal.ErrLost) {
		t.Errorf("read before the oldest: %v", err)
	}
	if n, err := j.Read(oldest, buffer); n != 1 || err != nil || buffer[0].Seq != oldest {
		t.Errorf("read the oldest: %d, %v", n, err)
	}
}

func order(t *testing.T, j journal.Journal) {
	_, start := j.Bounds()
	const publishers, each = 4, Keep / 4
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			var all []journal.Pending
			for i := range each {
				pending, err := j.Append(t.Context(), journal.Entry{Type: fmt.Sprint(p), Data: fmt.Append(nil, i)})
				if err != nil {
					t.Errorf("append: %v", err)
					return
				}
				all = append(all, pending)
			}
			last := uint64(0)
			for _, pending := range all {
				r, err := pending.Wait(t.Context())
				if err != nil || r.Position.Seq <= last {
					t.Errorf("position %v after %d: %v", r.Position, last, err)
				}
				last = r.Position.Seq
			}
		})
	}
	var records []*journal.Record
	wg.Go(func() { records = readAll(t, j, start, publishers*each) })
	wg.Wait()
	count := make(map[string]int)
	for i, r := range records {
		if r.Seq != start+uint64(i) {
			t.Fatalf("record %d has sequence number %d", i, r.Seq)
		}
		if string(r.Data) != fmt.Sprint(count[r.Type]) {
			t.Fatalf("publisher %s: %s came, %d was next", r.Type, r.Data, count[r.Type])
		}
		count[r.Type]++
	}
}

func notify(t *testing.T, j journal.Journal) {
	moved := make(chan struct{}, 1)
	stop := j.Notify(moved)
	add(t, j, journal.Entry{Type: "legacy", Data: []byte(`{}`)})
	add(t, j, journal.Entry{Type: "legacy", Data: []byte(`{}`)}) // must not block on a full channel
	select {
	case <-moved:
	case <-t.Context().Done():
		t.Fatal("not told that the head moved")
	}
	stop()
	select {
	case <-moved:
	default:
	}
	add(t, j, journal.Entry{Type: "legacy", Data: []byte(`{}`)})
	select {
	case <-moved:
		t.Error("told of a move after stop")
	default:
	}
}

func variants(t *testing.T, j journal.Journal) {
	_, start := j.Bounds()
	add(t, j, journal.Entry{Type: "legacy", Data: []byte(`{}`)})
	record := readAll(t, j, start, 1)[0]
	var wg sync.WaitGroup
	forms := make([][]byte, 8)
	for i := range forms {
		wg.Go(func() {
			forms[i] = record.Variant(1, func(r *journal.Record) []byte { return append([]byte("form of "), r.Data...) })
		})
	}
	wg.Wait()
	for _, form := range forms {
		if string(form) != "form of {}" || &form[0] != &forms[0][0] {
			t.Errorf("not everybody got the same form: %q", form)
		}
	}
}

func conflation(t *testing.T, j journal.Journal) {
	_, start := j.Bounds()
	for _, e := range []journal.Entry{
		{Key: "a"}, {Key: "b"}, {}, {Key: "a", Recipients: []string{"x"}}, {Key: "a"}, {}, {Key: "a"}, {Key: "c"},
	} {
		e.Type, e.Data = "progress_updates", []byte(`{}`)
		add(t, j, e)
	}
	keys, superseded := "", ""
	for _, r := range readAll(t, j, start, 8) {
		keys += cmp.Or(r.Key, "-")
		if r.Superseded() {
			superseded += fmt.Sprint(r.Seq - start)
		}
	}
	if keys != "ab-aa-ac" || superseded != "04" {
		t.Errorf("the keys are %s, and superseded the records %s", keys, superseded)
	}
}
