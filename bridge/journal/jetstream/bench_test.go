package jetstream_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/rotki/notification-bridge/bridge/journal"
	"github.com/rotki/notification-bridge/bridge/journal/jetstream"
)

// benchData is a notification of common size.
var benchData = []byte(`{"total":20,"processed":5,"subtype":"undecoded_transactions","chain":"ethereum"}`)

// BenchmarkAppend compares acknowledged entries/s with what nats.go's PublishAsync gets from the same servers. Both
// give each message an id and keep up to 4,096 on their way.
func BenchmarkAppend(b *testing.B) {
	for _, place := range []struct {
		name     string
		replicas int
		open     func(testing.TB) (jetstream.Config, string)
	}{
		{"in process, file", 1, func(b testing.TB) (jetstream.Config, string) {
			s := embedded(b, jetstream.ServerConfig{Listen: "127.0.0.1:0"})
			return jetstream.Config{Server: s}, "nats://" + s.Addr().String()
		}},
		{"cluster of 3", 3, func(b testing.TB) (jetstream.Config, string) {
			urls := sharedCluster(b).urls()
			return jetstream.Config{URLs: urls[:1], Stream: streamName(), Replicas: 3}, urls[0]
		}},
	} {
		b.Run(place.name, func(b *testing.B) {
			config, url := place.open(b)
			j := open(b, config)
			raw := newRaw(b, url, place.replicas)
			const n = 20_000
			var mine, theirs time.Duration
			for b.Loop() { // by turns, since neither has the machine to itself
				mine += appendAll(b, j, n)
				theirs += raw.publish(b, n)
			}
			b.ReportMetric(theirs.Seconds()/mine.Seconds(), "append/raw")
			b.ReportMetric(float64(b.N)*n/mine.Seconds(), "entries/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func appendAll(b *testing.B, j journal.Journal, n int) time.Duration {
	const window = 4096
	begun := time.Now()
	pendings := make(chan journal.Pending, window)
	done := make(chan error, 1)
	go func() {
		for p := range pendings {
			if _, err := p.Wait(b.Context()); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for i := range n {
		p, err := j.Append(b.Context(), journal.Entry{
			ID: fmt.Sprintf("%d-%d", begun.UnixNano(), i), Type: "progress_updates", Data: benchData, Subscribers: 3,
		})
		if err != nil {
			b.Fatal(err)
		}
		pendings <- p
	}
	close(pendings)
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	return time.Since(begun)
}

// raw publishes with nats.go alone, into a stream like the journal's.
type raw struct {
	js      natsjs.JetStream
	subject string
}

func newRaw(b *testing.B, url string, replicas int) raw {
	nc, err := nats.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	js, err := natsjs.New(nc, natsjs.WithPublishAsyncMaxPending(4096))
	if err != nil {
		b.Fatal(err)
	}
	name := streamName()
	if _, err := js.CreateStream(b.Context(), natsjs.StreamConfig{Name: name, Subjects: []string{name + ".>"}, Replicas: replicas, MaxBytes: 1 << 30}); err != nil {
		b.Fatal(err)
	}
	return raw{js, name + ".progress_updates"}
}

func (r raw) publish(b *testing.B, n int) time.Duration {
	begun := time.Now()
	for i := range n {
		if _, err := r.js.PublishAsync(r.subject, benchData, natsjs.WithMsgID(fmt.Sprintf("%d-%d", begun.UnixNano(), i)), natsjs.WithStallWait(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
	<-r.js.PublishAsyncComplete()
	return time.Since(begun)
}
