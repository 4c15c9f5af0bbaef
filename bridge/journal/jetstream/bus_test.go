package jetstream_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rotki/notification-bridge/bridge/journal/jetstream"
)

// station is a bridge on a bus.
type station struct {
	bus    *jetstream.Bus
	asked  atomic.Uint64
	lapses chan bool
	stop   func()
}

// join puts a bridge on the bus until stop is called. It answers with its name and the request.
func join(t *testing.T, j *jetstream.Journal, name string, presence time.Duration) *station {
	t.Helper()
	bus, err := j.Bus(t.Context(), jetstream.BusConfig{Name: name, Presence: presence})
	if err != nil {
		t.Fatal(err)
	}
	if !bus.Lapsed() {
		t.Error("a bridge that does not serve is taken to be there")
	}
	s := &station{bus: bus, lapses: make(chan bool, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		answer := func(_ context.Context, request []byte) []byte {
			s.asked.Add(1)
			return append([]byte(name+" "), request...)
		}
		if err := bus.Serve(ctx, answer, func(lapsed bool) { s.lapses <- lapsed }); err != nil {
			t.Error(err)
		}
	})
	s.stop = func() {
		cancel()
		serving.Wait()
	}
	t.Cleanup(s.stop)
	s.awaitLapse(t, false)
	return s
}

func (s *station) awaitLapse(t *testing.T, want bool) {
	t.Helper()
	select {
	case got := <-s.lapses:
		if got != want {
			t.Fatalf("lapsed: %v", got)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("it does not come to be said that it has lapsed: %v", want)
	}
}

// ask asks everybody, for a while at the most, and checks who answers and who does not.
func (s *station) ask(t *testing.T, patience time.Duration, answering, silent []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answers, mute, err := s.bus.Ask(ctx, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(answers)); !slices.Equal(got, answering) {
		t.Errorf("%q answer, not %q", got, answering)
	}
	if !slices.Equal(mute, silent) {
		t.Errorf("%q are silent, not %q", mute, silent)
	}
	for name, answer := range answers {
		if string(answer) != name+" hello" {
			t.Errorf("%s answers %q", name, answer)
		}
	}
}

const patient = 30 * time.Second

// TestBus: a bridge with a server in its process and two others ask each other; who leaves is not missed.
func TestBus(t *testing.T) {
	s := embedded(t, jetstream.ServerConfig{Listen: "127.0.0.1:0"})
	elsewhere := jetstream.Config{URLs: []string{"nats://" + s.Addr().String()}}
	a := join(t, open(t, jetstream.Config{Server: s}), "a", 0)
	a.ask(t, patient, nil, nil)
	b := join(t, open(t, elsewhere), "b", 0)
	c := join(t, open(t, elsewhere), "c", 0)
	a.ask(t, patient, []string{"b", "c"}, nil)
	b.ask(t, patient, []string{"a", "c"}, nil)
	if a.bus.Lapsed() || a.asked.Load() != 1 || c.asked.Load() != 2 {
		t.Errorf("a has lapsed: %v; a was asked %d times, c %d times", a.bus.Lapsed(), a.asked.Load(), c.asked.Load())
	}
	b.stop()
	if !b.bus.Lapsed() {
		t.Error("a bridge that has left is taken to be there")
	}
	a.ask(t, patient, []string{"c"}, nil)
	other := elsewhere
	other.Stream = "other"
	d := join(t, open(t, other), "d", 0)
	d.ask(t, patient, nil, nil)
	a.ask(t, patient, []string{"c"}, nil)
}

func TestBusName(t *testing.T) {
	j := open(t, jetstream.Config{Server: embedded(t, jetstream.ServerConfig{})})
	for _, name := range []string{"", "a.b", "*", "=sounding", string(make([]byte, 65)), "é"} {
		if _, err := j.Bus(t.Context(), jetstream.BusConfig{Name: name}); err == nil {
			t.Errorf("%q is taken for a name", name)
		} else {
			t.Log(err)
		}
	}
}

// TestBusSilent: a bridge that is cut off is named while it may be there, and no longer once it knows that it may be
// overlooked.
func TestBusSilent(t *testing.T) {
	c, err := startCluster("silent", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	const presence = 6 * time.Second
	wall := newWall(t, c.urls()[0])
	a := join(t, open(t, jetstream.Config{URLs: c.urls()}), "a", presence)
	b := join(t, open(t, jetstream.Config{URLs: []string{wall.url()}}), "b", presence)
	a.ask(t, patient, []string{"b"}, nil)
	wall.close()
	a.ask(t, time.Second, nil, []string{"b"})
	a.ask(t, patient, nil, nil)
	select {
	case lapsed := <-b.lapses:
		if !lapsed || !b.bus.Lapsed() {
			t.Error("it takes itself to be there")
		}
	default:
		t.Error("it was overlooked before it could know")
	}
	if _, _, err := askBriefly(t, b); err == nil {
		t.Error("a bridge that is cut off knows who is there")
	} else {
		t.Log(err)
	}
	wall.open()
	b.awaitLapse(t, false)
	a.ask(t, patient, []string{"b"}, nil)
	b.ask(t, patient, []string{"a"}, nil)
}

func askBriefly(t *testing.T, s *station) (map[string][]byte, []string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	return s.bus.Ask(ctx, nil)
}

// TestBusOverRestart: bridges find each other again when their NATS server was killed.
func TestBusOverRestart(t *testing.T) {
	c, err := startCluster("bus", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	a := join(t, open(t, jetstream.Config{URLs: c.urls()}), "a", 0)
	b := join(t, open(t, jetstream.Config{URLs: c.urls()}), "b", 0)
	c.kill(t, 0)
	await(t, "they find each other", func() bool {
		answers, silent, err := askBriefly(t, a)
		return err == nil && silent == nil && answers["b"] != nil
	})
	b.ask(t, patient, []string{"a"}, nil)
}

// TestBusInCluster: who has come to be there is found, whichever server of a cluster is asked.
func TestBusInCluster(t *testing.T) {
	config := jetstream.Config{URLs: sharedCluster(t).urls(), Replicas: 3, Stream: "bus"}
	a := join(t, open(t, config), "a", 0)
	var names []string
	for _, name := range []string{"b", "c", "d", "e"} {
		join(t, open(t, config), name, 0)
		names = append(names, name)
		a.ask(t, patient, names, nil)
	}
}

// TestBusAsksWhoRenews: a bridge is asked, also when it says that it is there at the very moment that another looks.
func TestBusAsksWhoRenews(t *testing.T) {
	s := embedded(t, jetstream.ServerConfig{Listen: "127.0.0.1:0"})
	a := join(t, open(t, jetstream.Config{Server: s}), "a", 0)
	b := join(t, open(t, jetstream.Config{URLs: []string{"nats://" + s.Addr().String()}}), "b", 0)
	nc, err := nats.Connect("nats://" + s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ctx, enough := context.WithCancel(t.Context())
	var renewing sync.WaitGroup
	defer renewing.Wait()
	defer enough()
	renewing.Go(func() {
		for ctx.Err() == nil {
			if _, err := nc.Request("$KV."+jetstream.DefaultStream+"-bridges.b", nil, patient); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 200 {
		a.ask(t, patient, []string{"b"}, nil)
	}
	if asked := b.asked.Load(); asked < 200 {
		t.Errorf("b was asked %d times", asked)
	}
}
