package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/journal"
)

// entries checks that whatever a publisher may write comes out again as it was.
func entries(t *testing.T, j journal.Journal) {
	_, start := j.Bounds()
	odd := "a b\r\nNats-Rollup: all\r\n\t\"\\ ü 😀 \x7f "
	wanted := []journal.Entry{
		{Type: "legacy", Data: []byte(`{}`)},
		{Type: "legacy", Data: []byte(`[]`), ID: odd, Recipients: []string{odd, "b"}, Key: odd, Subscribers: 1<<32 - 1},
		{Type: "login_status", Data: []byte(`{"a":"` + strings.Repeat("ü", 10_000) + `"}`), ID: "\"" + odd},
		{Type: "legacy", Data: []byte(`{}`), ID: strings.TrimSpace(odd), Recipients: []string{""}},
	}
	for _, e := range wanted {
		if r := add(t, j, e); r.Duplicate || r.Subscribers != e.Subscribers {
			t.Errorf("%q: %+v", e.ID, r)
		}
	}
	for i, r := range readAll(t, j, start, len(wanted)) {
		e := wanted[i]
		if r.Type != e.Type || string(r.Data) != string(e.Data) || !slices.Equal(r.Recipients, e.Recipients) || r.Key != e.Key ||
			r.Subscribers != e.Subscribers {
			t.Errorf("%+v became %+v", e, r)
		}
	}
	for _, e := range wanted[1:] {
		if r := add(t, j, e); !r.Duplicate || r.Subscribers != e.Subscribers {
			t.Errorf("again %q: %+v", e.ID, r)
		}
	}
}

// fill appends more than a journal has at hand and returns the sequence number of the first.
func fill(t *testing.T, j journal.Journal) (start uint64, n int) {
	t.Helper()
	_, start = j.Bounds()
	n = Keep + 50
	for i := range n {
		add(t, j, journal.Entry{Type: "legacy", Data: fmt.Append(nil, i)})
	}
	readAll(t, j, start+uint64(n)-1, 1)
	return start, n
}

// recall reads from the oldest record that is stored, which need not be at hand, to the head.
func recall(t *testing.T, j journal.Journal) {
	start, n := fill(t, j)
	from, err := j.Since(t.Context(), time.Time{})
	if oldest, _ := j.Bounds(); err != nil || from < start || from > oldest {
		t.Fatalf("the oldest that is stored is %d: %v", from, err)
	}
	buffer := make([]*journal.Record, 7)
	if from > 1 {
		if _, err := j.Recall(t.Context(), from-1, buffer); !errors.Is(err, journal.ErrLost) {
			t.Errorf("before the oldest: %v", err)
		}
	}
	for from < start+uint64(n) {
		got, err := j.Recall(t.Context(), from, buffer)
		if err != nil || got == 0 {
			t.Fatalf("recall from %d: %d, %v", from, got, err)
		}
		for _, r := range buffer[:got] {
			if r.Seq != from || string(r.Data) != fmt.Sprint(from-start) || r.Type != "legacy" || r.Time.IsZero() {
				t.Fatalf("record %d: %+v", from, r)
			}
			from++
		}
	}
	if got, err := j.Recall(t.Context(), from, buffer); got != 0 || err != nil {
		t.Errorf("recall at the head: %d, %v", got, err)
	}
}

// since looks for every record by its time.
func since(t *testing.T, j journal.Journal) {
	start, n := fill(t, j)
	from, err := j.Since(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	head := start + uint64(n)
	buffer := make([]*journal.Record, 1)
	for before := (time.Time{}); from < head; from++ {
		if got, err := j.Recall(t.Context(), from, buffer); got != 1 || err != nil {
			t.Fatalf("recall %d: %d, %v", from, got, err)
		}
		if buffer[0].Time.Equal(before) {
			continue // the clock is not that fine
		}
		before = buffer[0].Time
		if got, err := j.Since(t.Context(), before); got != from || err != nil {
			t.Fatalf("since the time of %d: %d, %v", from, got, err)
		}
		if got, err := j.Since(t.Context(), before.Add(1)); got <= from || err != nil {
			t.Fatalf("since just after %d: %d, %v", from, got, err)
		}
	}
	if got, err := j.Since(t.Context(), time.Now().Add(time.Hour)); got != head || err != nil {
		t.Errorf("since an hour from now: %d, %v; the next will be %d", got, err, head)
	}
}

// term checks that publishers keep theirs as long as nothing is lost, and that nothing of another is taken.
func term(t *testing.T, j journal.Journal) {
	begun := j.Term()
	for range 3 {
		add(t, j, journal.Entry{Type: "legacy", Data: []byte(`{}`), Term: begun})
	}
	if j.Term() != begun {
		t.Errorf("term %d became %d", begun, j.Term())
	}
	if begun == 0 {
		return // nothing is ever lost on its way
	}
	if _, err := j.Append(t.Context(), journal.Entry{Type: "legacy", Data: []byte(`{}`), Term: begun + 1}); !errors.Is(err, journal.ErrTermOver) {
		t.Errorf("an entry of another term: %v", err)
	}
}
