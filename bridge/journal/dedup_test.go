package journal_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rotki/notification-bridge/bridge/journal"
)

// TestDuplicatesAsAListKnowsThem holds the journal against a list that is searched from end to end.
func TestDuplicatesAsAListKnowsThem(t *testing.T) {
	const limit, window, ids = 100, time.Minute, 300
	type known struct {
		id  string
		seq uint64
		at  time.Time
	}
	synctest.Test(t, func(t *testing.T) {
		m := journal.NewMemory(journal.MemoryConfig{DedupIDs: limit, DedupWindow: window})
		random := rand.New(rand.NewPCG(1, 2))
		var list []known
		duplicates := 0
		for range 20_000 {
			// On average so long that now the window and now the limit forgets, and sometimes the window all.
			time.Sleep(time.Duration(random.ExpFloat64() * 0.6 * float64(window) / limit))
			if random.IntN(1000) == 0 {
				time.Sleep(window)
			}
			id := fmt.Sprint(random.IntN(ids))
			for len(list) > 0 && time.Since(list[0].at) > window {
				list = list[1:]
			}
			got, want := add(t, m, journal.Entry{ID: id}), uint64(0)
			for _, k := range list {
				if k.id == id {
					want = k.seq
				}
			}
			if got.Duplicate != (want != 0) || got.Duplicate && got.Position.Seq != want {
				t.Fatalf("%s got %+v, want a duplicate of %d, or none for 0", id, got, want)
			}
			if got.Duplicate {
				duplicates++
				continue
			}
			list = append(list, known{id, got.Position.Seq, time.Now()})
			list = list[max(0, len(list)-limit):]
		}
		if duplicates < 1000 {
			t.Errorf("only %d duplicates were among them", duplicates)
		}
	})
}
