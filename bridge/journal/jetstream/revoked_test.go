package jetstream_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/journal/jetstream"
)

// revocation is what a bucket of revoked tokens tells.
type revocation struct {
	tokenID string
	until   time.Time
}

func revoked(t *testing.T, j *jetstream.Journal) *jetstream.Revoked {
	t.Helper()
	r, err := j.Revoked(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// read returns everything that a bucket tells before it says that this was all.
func read(t *testing.T, r *jetstream.Revoked) map[string]time.Time {
	t.Helper()
	ctx, enough := context.WithTimeout(t.Context(), 30*time.Second)
	defer enough()
	all := make(map[string]time.Time)
	complete := false
	err := r.Watch(ctx, func(tokenID string, until time.Time) {
		if tokenID == "" {
			complete = true
			enough()
			return
		}
		all[tokenID] = until
	})
	if !complete {
		t.Fatalf("watch: %v", err)
	}
	return all
}

// watchRevoked follows a bucket until the test ends.
func watchRevoked(t *testing.T, r *jetstream.Revoked) <-chan revocation {
	ctx, cancel := context.WithCancel(context.Background())
	news := make(chan revocation, 1000)
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil { // a server that has just started may not have the bucket yet
			trying, stop := context.WithCancel(ctx)
			err := r.Watch(trying, func(tokenID string, until time.Time) { news <- revocation{tokenID, until} })
			stop()
			t.Logf("watch: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		watching.Wait()
	})
	return news
}

func awaitRevoked(t *testing.T, news <-chan revocation, tokenID string) time.Time {
	t.Helper()
	for {
		select {
		case got := <-news:
			if got.tokenID == tokenID {
				return got.until
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("nobody tells of %q", tokenID)
		}
	}
}

// TestRevoked: two bridges of one stream revoke, and both know, over a restart too; the longest revocation holds.
func TestRevoked(t *testing.T) {
	dir := t.TempDir()
	s := embedded(t, jetstream.ServerConfig{Dir: dir, Listen: "127.0.0.1:0"})
	j := open(t, jetstream.Config{Server: s})
	other := open(t, jetstream.Config{URLs: []string{"nats://" + s.Addr().String()}})
	here, there := revoked(t, j), revoked(t, other)
	news := watchRevoked(t, there)
	awaitRevoked(t, news, "")
	hour := time.Now().Add(time.Hour).Truncate(time.Second)
	decade := time.Now().AddDate(10, 0, 0).Truncate(time.Second)
	for _, put := range []struct {
		store   *jetstream.Revoked
		tokenID string
		until   time.Time
	}{
		{here, "a", hour},
		{there, "a", decade}, // longer
		{here, "a", hour},    // must not make it shorter again
		{here, "b", hour},
		{here, "no key of its own: *.> ü", decade},
		{here, "past", time.Now().Add(-time.Hour)},
	} {
		if err := put.store.Put(t.Context(), put.tokenID, put.until); err != nil {
			t.Fatal(put, err)
		}
	}
	if until := awaitRevoked(t, news, "b"); !until.Equal(hour) {
		t.Errorf("b is revoked until %v", until)
	}
	await(t, "what is past is gone", func() bool {
		_, ok := read(t, here)["past"]
		return !ok
	})
	want := map[string]time.Time{"a": decade, "b": hour, "no key of its own: *.> ü": decade}
	check := func(got map[string]time.Time) {
		t.Helper()
		if len(got) != len(want) {
			t.Errorf("revoked are %v", got)
		}
		for tokenID, until := range want {
			if !got[tokenID].Equal(until) {
				t.Errorf("%q is revoked until %v", tokenID, got[tokenID])
			}
		}
	}
	check(read(t, here))
	check(read(t, there))
	shut(t, other)
	shut(t, j)
	again := open(t, jetstream.Config{Server: embedded(t, jetstream.ServerConfig{Dir: dir})})
	check(read(t, revoked(t, again)))
}

// TestRevokedReadsAll: whoever begins to read finds everything that was put before, whichever server of a cluster
// answers.
func TestRevokedReadsAll(t *testing.T) {
	c := sharedCluster(t)
	config := jetstream.Config{URLs: c.urls(), Replicas: 3, Stream: "revoked"}
	here, there := revoked(t, open(t, config)), revoked(t, open(t, config))
	until := time.Now().Add(time.Hour)
	for i := range 20 {
		tokenID := fmt.Sprint(i)
		if err := here.Put(t.Context(), tokenID, until); err != nil {
			t.Fatal(err)
		}
		if got := read(t, there); len(got) != i+1 || got[tokenID].IsZero() {
			t.Fatalf("%d revocations were put, %v are found", i+1, got)
		}
	}
}

// TestRevokedAtOnce: bridges that revoke the same token at the same moment agree on the longest, in a cluster, too.
func TestRevokedAtOnce(t *testing.T) {
	t.Run("one server", func(t *testing.T) {
		testRevokedAtOnce(t, jetstream.Config{Server: embedded(t, jetstream.ServerConfig{})})
	})
	t.Run("cluster", func(t *testing.T) {
		testRevokedAtOnce(t, jetstream.Config{URLs: sharedCluster(t).urls(), Replicas: 3, Stream: "revoked-at-once"})
	})
}

func testRevokedAtOnce(t *testing.T, config jetstream.Config) {
	r := revoked(t, open(t, config))
	start := time.Now().Truncate(time.Second)
	const rounds, each = 10, 16
	for round := range rounds { // the first puts what is not there yet
		var putting sync.WaitGroup
		for i := range each {
			putting.Go(func() {
				if err := r.Put(t.Context(), "a", start.Add(time.Duration(round*each+i+1)*time.Hour)); err != nil {
					t.Error(err)
				}
			})
		}
		putting.Wait()
	}
	if got := read(t, r)["a"]; !got.Equal(start.Add(rounds * each * time.Hour)) {
		t.Errorf("it is revoked until %v, from %v on", got, start)
	}
}

// TestRevokedOverRestart: whoever follows the bucket goes on when its server is back.
func TestRevokedOverRestart(t *testing.T) {
	c, err := startCluster("revoked", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	r := revoked(t, open(t, jetstream.Config{URLs: c.urls()}))
	news := watchRevoked(t, r)
	awaitRevoked(t, news, "")
	c.kill(t, 0)
	await(t, "a token can be revoked", func() bool {
		trying, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return r.Put(trying, "after", time.Now().Add(time.Hour)) == nil
	})
	awaitRevoked(t, news, "after")
}

// TestRevokedReadsWhatChanges: whoever begins to read finds also what somebody else revokes for longer at that very
// moment.
func TestRevokedReadsWhatChanges(t *testing.T) {
	s := embedded(t, jetstream.ServerConfig{Listen: "127.0.0.1:0"})
	here := revoked(t, open(t, jetstream.Config{Server: s}))
	there := revoked(t, open(t, jetstream.Config{URLs: []string{"nats://" + s.Addr().String()}}))
	until := time.Now().Add(time.Hour)
	if err := there.Put(t.Context(), "a", until); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		var putting sync.WaitGroup
		putting.Go(func() {
			if err := there.Put(t.Context(), "a", until.Add(time.Duration(i+1)*time.Second)); err != nil {
				t.Error(err)
			}
		})
		got := read(t, here)
		putting.Wait()
		if got["a"].IsZero() {
			t.Fatalf("a is revoked, %v are found", got)
		}
	}
}
