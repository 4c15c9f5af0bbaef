package jetstream_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/rotki/notification-bridge/bridge/journal"
	"github.com/rotki/notification-bridge/bridge/journal/jetstream"
)

// appendFails appends an entry, which must come to an error.
func appendFails(t testing.TB, j *jetstream.Journal, want error) {
	t.Helper()
	p, err := j.Append(t.Context(), journal.Entry{ID: "in vain", Type: "legacy", Data: []byte(`{}`)})
	if err == nil {
		_, err = p.Wait(t.Context())
	}
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// TestDeletedStream: nothing is acknowledged any more, readiness says why, and a stream that takes the place of the one
// that was deleted gets nothing.
func TestDeletedStream(t *testing.T) {
	for name, replicas := range map[string]int{"in process": 1, "cluster": 3} {
		for again, says := range map[bool]string{false: "was deleted", true: "was replaced"} {
			t.Run(fmt.Sprintf("%s, %s", name, says), func(t *testing.T) {
				config, url := jetstream.Config{Replicas: replicas, Stream: streamName()}, ""
				if replicas == 1 {
					config.Server = embedded(t, jetstream.ServerConfig{Listen: "127.0.0.1:0"})
					url = "nats://" + config.Server.Addr().String()
				} else {
					config.URLs = sharedCluster(t).urls()
					url = config.URLs[0]
				}
				j := open(t, config)
				term := j.Term()
				add(t, j, journal.Entry{Type: "legacy", Data: []byte(`{}`)})
				js := admin(t, url)
				if err := js.DeleteStream(t.Context(), config.Stream); err != nil {
					t.Fatal(err)
				}
				var other *jetstream.Journal
				if again {
					other = open(t, jetstream.Config{URLs: []string{url}, Replicas: replicas, Stream: config.Stream})
				}
				appendFails(t, j, journal.ErrUnavailable)
				awaitReady(t, j, says)
				appendFails(t, j, journal.ErrUnavailable)
				if j.Term() == term || j.FailureCount(jetstream.StreamLost) == 0 {
					t.Errorf("term %d, stream lost %d times", j.Term(), j.FailureCount(jetstream.StreamLost))
				}
				if again {
					if _, next := other.Bounds(); next != 1 {
						t.Errorf("the other stream has %d messages", next-1)
					}
				}
			})
		}
	}
}

// TestFullDisk: a store that takes no more is said so by each append and by readiness; when there is room again, it
// goes on by itself.
func TestFullDisk(t *testing.T) {
	const room = 8 << 20
	s := embedded(t, jetstream.ServerConfig{Listen: "127.0.0.1:0", MaxStore: room})
	j := open(t, jetstream.Config{Server: s, Bytes: room / 4})
	js := admin(t, "nats://"+s.Addr().String())
	if _, err := js.CreateStream(t.Context(), natsjs.StreamConfig{Name: "filler", Subjects: []string{"filler"}}); err != nil {
		t.Fatal(err)
	}
	stored := add(t, j, journal.Entry{ID: "before", Type: "legacy", Data: []byte(`{}`)})
	for filling := true; filling; {
		_, err := js.Publish(t.Context(), "filler", make([]byte, 500_000))
		filling = err == nil
	}
	appendFails(t, j, journal.ErrUnavailable)
	awaitReady(t, j, "insufficient resources")
	if j.FailureCount(jetstream.Refused) == 0 {
		t.Error("it was not counted")
	}
	if err := js.DeleteStream(t.Context(), "filler"); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, j, "")
	again := add(t, j, journal.Entry{ID: "before", Type: "legacy", Data: []byte(`{}`)}, journal.Entry{ID: "in vain", Type: "legacy", Data: []byte(`{}`)})
	if !again[0].Duplicate || again[0].Position != stored[0].Position || again[1].Duplicate || again[1].Position.Seq != stored[0].Position.Seq+1 {
		t.Errorf("%+v, then %+v", stored, again)
	}
}

// TestNoRoomForTheStream: the server says at once that it cannot keep as much as is asked for.
func TestNoRoomForTheStream(t *testing.T) {
	s := embedded(t, jetstream.ServerConfig{MaxStore: 1 << 20})
	if err := refused(t, jetstream.Config{Server: s}); !strings.Contains(err, "insufficient storage") {
		t.Error(err)
	}
}

// TestTooLarge: what NATS or the window cannot hold is refused by itself, and nothing else fails for it.
func TestTooLarge(t *testing.T) {
	j := open(t, jetstream.Config{Server: embedded(t, jetstream.ServerConfig{MaxData: 1 << 20})})
	term := j.Term()
	many := make([]string, 20_000)
	for i := range many {
		many[i] = fmt.Sprintf("user-%d", i)
	}
	for name, e := range map[string]journal.Entry{
		"data":       {Type: "legacy", Data: make([]byte, 2<<20)},
		"window":     {Type: "legacy", Data: make([]byte, 64<<20)},
		"recipients": {Type: "legacy", Data: []byte(`{}`), Recipients: many},
		"key":        {Type: "legacy", Data: []byte(`{}`), Key: strings.Repeat("k", 70_000)},
	} {
		if _, err := j.Append(t.Context(), e); !errors.Is(err, journal.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	add(t, j, journal.Entry{Type: "legacy", Data: make([]byte, 1<<20), Term: term})
	add(t, j, journal.Entry{Type: "legacy", Data: []byte(`{}`), Recipients: many[:3000], Term: term})
}

// TestClosed: a sealed journal takes nothing, a closed one can still be read.
func TestClosed(t *testing.T) {
	j := open(t, jetstream.Config{Server: embedded(t, jetstream.ServerConfig{})})
	r := add(t, j, journal.Entry{Type: "legacy", Data: []byte(`{}`)})[0]
	awaitHead(t, j, r.Position.Seq+1)
	j.Seal()
	appendFails(t, j, journal.ErrClosed)
	shut(t, j)
	appendFails(t, j, journal.ErrClosed)
	if n, err := j.Read(r.Position.Seq, make([]*journal.Record, 1)); n != 1 || err != nil {
		t.Errorf("read: %d, %v", n, err)
	}
}
