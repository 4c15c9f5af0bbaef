package jetstream_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/rotki/notification-bridge/bridge/journal"
	"github.com/rotki/notification-bridge/bridge/journal/jetstream"
)

// admin returns what an operator has to hand: JetStream without the bridge.
func admin(t testing.TB, url string) natsjs.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// refused opens a journal that must not open, and returns why.
func refused(t *testing.T, config jetstream.Config) string {
	t.Helper()
	config.Logger = logger(t)
	j, err := jetstream.Open(t.Context(), config)
	if err == nil {
		shut(t, j)
		t.Fatal("it was opened")
	}
	return err.Error()
}

// TestStreamsThatDoNotFit: each is refused with its name, what is the matter, and what to do.
func TestStreamsThatDoNotFit(t *testing.T) {
	c := sharedCluster(t)
	js := admin(t, c.urls()[0])
	const epoch = "0123456789abcdef"
	for name, tc := range map[string]struct {
		change func(*natsjs.StreamConfig)
		says   string
	}{
		"of somebody else":  {func(c *natsjs.StreamConfig) { c.Metadata = nil }, "no bridge has created it"},
		"unreadable epoch":  {func(c *natsjs.StreamConfig) { c.Metadata["rotki-epoch"] = "today" }, `its epoch "today" cannot be read`},
		"other subjects":    {func(c *natsjs.StreamConfig) { c.Subjects = append(c.Subjects, c.Name+".more") }, "its subjects are"},
		"work queue":        {func(c *natsjs.StreamConfig) { c.Retention = natsjs.WorkQueuePolicy }, "its retention is WorkQueue"},
		"refuses when full": {func(c *natsjs.StreamConfig) { c.Discard = natsjs.DiscardNew }, "refuses new notifications when it is full"},
		"per subject":       {func(c *natsjs.StreamConfig) { c.MaxMsgsPerSubject = 5 }, "only 5 notifications of each type"},
		"message size":      {func(c *natsjs.StreamConfig) { c.MaxMsgSize = 100 }, "no messages beyond 100 bytes"},
		"no acks":           {func(c *natsjs.StreamConfig) { c.NoAck = true; c.AllowAtomicPublish = false }, "acknowledges nothing"},
		"ttl":               {func(c *natsjs.StreamConfig) { c.AllowMsgTTL = true }, "lets messages remove others, or themselves"},
		"deletable":         {func(c *natsjs.StreamConfig) { c.DenyDelete = false }, "can be deleted"},
		"purgeable":         {func(c *natsjs.StreamConfig) { c.DenyPurge = false }, "can be deleted"},
		"no batches":        {func(c *natsjs.StreamConfig) { c.AllowAtomicPublish = false }, "does not allow direct reads and atomic batches"},
		"in memory":         {func(c *natsjs.StreamConfig) { c.Storage = natsjs.MemoryStorage }, "it is kept in Memory storage, not File"},
		"replicas":          {func(c *natsjs.StreamConfig) { c.Replicas = 1 }, "it has 1 replicas, not 3"},
		"mirror": {func(c *natsjs.StreamConfig) {
			c.Subjects, c.Mirror, c.AllowAtomicPublish, c.Duplicates = nil, &natsjs.StreamSource{Name: "elsewhere"}, false, 0
		}, "it copies other streams"},
		"short memory": {func(c *natsjs.StreamConfig) { c.Duplicates = time.Second }, "remembers an id for 1s only, not for 2m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			stream := streamName()
			config := natsjs.StreamConfig{
				Name: stream, Subjects: []string{stream + "." + epoch + ".>"}, MaxAge: time.Hour, Duplicates: 2 * time.Minute, Replicas: 3,
				DenyDelete: true, DenyPurge: true, AllowDirect: true, AllowAtomicPublish: true, Metadata: map[string]string{"rotki-epoch": epoch},
			}
			tc.change(&config)
			if _, err := js.CreateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			err := refused(t, jetstream.Config{URLs: c.urls(), Stream: stream, Replicas: 3})
			for _, part := range []string{tc.says, "the stream " + stream + " at nats://127.0.0.1:"} {
				if !strings.Contains(err, part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}

// TestSealedStream: it was a bridge's, until somebody sealed it.
func TestSealedStream(t *testing.T) {
	c := sharedCluster(t)
	config := jetstream.Config{URLs: c.urls(), Stream: streamName(), Replicas: 3}
	j := open(t, config)
	js := admin(t, c.urls()[0])
	stream, err := js.Stream(t.Context(), config.Stream)
	if err != nil {
		t.Fatal(err)
	}
	sealed := stream.CachedInfo().Config
	sealed.Sealed = true
	if _, err := js.UpdateStream(t.Context(), sealed); err != nil {
		t.Fatal(err)
	}
	if err := refused(t, config); !strings.Contains(err, "sealed") {
		t.Errorf("%q does not say that it is sealed", err)
	}
	appendFails(t, j, journal.ErrUnavailable)
	awaitReady(t, j, "sealed")
}

// TestCreatedAtOnce: bridges that create the stream at the same moment have the same one.
func TestCreatedAtOnce(t *testing.T) {
	c := sharedCluster(t)
	stream := streamName()
	journals := make([]*jetstream.Journal, 4)
	var wg sync.WaitGroup
	for i := range journals {
		wg.Go(func() {
			var err error
			if journals[i], err = jetstream.Open(t.Context(), jetstream.Config{URLs: c.urls(), Stream: stream, Replicas: 3, Bytes: 1 << 20}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, j := range journals {
		if j == nil {
			t.FailNow() // it is said above why
		}
		defer shut(t, j)
		if j.Epoch() != journals[0].Epoch() {
			t.Errorf("epochs %x and %x", j.Epoch(), journals[0].Epoch())
		}
	}
	r := add(t, journals[0], journal.Entry{Type: "legacy", Data: []byte(`{}`)})[0]
	awaitHead(t, journals[len(journals)-1], r.Position.Seq+1)
}

// TestRefusedStarts: what no waiting can mend is said at once.
func TestRefusedStarts(t *testing.T) {
	dir := t.TempDir()
	seedless := filepath.Join(dir, "seedless")
	if err := os.WriteFile(seedless, []byte("nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		config jetstream.Config
		says   string
	}{
		"nowhere":           {jetstream.Config{}, "either the URLs of NATS servers or a server in its process"},
		"name":              {jetstream.Config{URLs: []string{"nats://127.0.0.1:1"}, Stream: "a.b"}, `"a.b" cannot be the name of a stream`},
		"replicas":          {jetstream.Config{URLs: []string{"nats://127.0.0.1:1"}, Replicas: 2}, "2 replicas are not possible"},
		"age":               {jetstream.Config{URLs: []string{"nats://127.0.0.1:1"}, Age: time.Minute}, "shorter than the 2m0s"},
		"no credentials":    {jetstream.Config{URLs: sharedCluster(t).urls(), Credentials: filepath.Join(dir, "absent")}, "absent"},
		"no seed":           {jetstream.Config{URLs: sharedCluster(t).urls(), NKey: seedless}, "seedless"},
		"two ways to login": {jetstream.Config{URLs: []string{"nats://127.0.0.1:1"}, Credentials: seedless, NKey: seedless}, "choose one"},
		"not an address":    {jetstream.Config{URLs: []string{"nats://%zz"}}, "connect to NATS"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := refused(t, tc.config); !strings.Contains(err, tc.says) {
				t.Errorf("%q does not say %q", err, tc.says)
			}
		})
	}
}

// TestAwayAtStart: Open waits for NATS as long as it is told, and says where it looked.
func TestAwayAtStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "nats://user:secret@" + l.Addr().String()
	_ = l.Close()
	says := refused(t, jetstream.Config{URLs: []string{url}, ConnectTimeout: 300 * time.Millisecond})
	if !strings.Contains(says, l.Addr().String()+" does not answer") || strings.Contains(says, "secret") {
		t.Error(says)
	}

	opened := make(chan *jetstream.Journal)
	go func() {
		j, err := jetstream.Open(t.Context(), jetstream.Config{URLs: []string{url}, Logger: logger(t)})
		if err != nil {
			t.Error(err)
		}
		opened <- j
	}()
	s := embedded(t, jetstream.ServerConfig{Listen: l.Addr().String()})
	owner := open(t, jetstream.Config{Server: s})
	if j := <-opened; j != nil {
		defer shut(t, j)
		if j.Epoch() != owner.Epoch() {
			t.Error("it found another stream")
		}
	}
}

// awaitHead waits until a journal has followed its stream up to a sequence number.
func awaitHead(t testing.TB, j *jetstream.Journal, head uint64) {
	t.Helper()
	moved := make(chan struct{}, 1)
	defer j.Notify(moved)()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		_, next := j.Bounds()
		if next >= head {
			return
		}
		select {
		case <-moved:
		case <-ctx.Done():
			t.Fatalf("the journal is at %d, not at %d; it is ready: %v", next, head, j.Ready())
		}
	}
}

// awaitReady waits until Ready says something, or nothing if that is empty.
func awaitReady(t testing.TB, j *jetstream.Journal, says string) {
	t.Helper()
	await(t, "ready says "+says, func() bool {
		err := j.Ready()
		return says == "" && err == nil || says != "" && err != nil && strings.Contains(err.Error(), says)
	})
}
