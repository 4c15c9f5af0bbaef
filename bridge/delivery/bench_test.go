package delivery_test

import (
	"context"
	"net"
	"testing"

	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
)

// BenchmarkWalk takes a notification past the cursors of a shard: of all of them the last alone wants it, or all do.
// The difference is the cost of delivery; the rest is that of finding out whom it is for.
func BenchmarkWalk(b *testing.B) {
	const subscribers = 2000
	for _, tc := range []struct{ name, types string }{
		{"wanted=last", "?types=other"},
		{"wanted=all", ""},
	} {
		b.Run(tc.name, func(b *testing.B) {
			s := serve(b, delivery.Config{Shards: 1}, journal.MemoryConfig{})
			for range subscribers {
				go discard(s.dial(b, tc.types).NetConn())
			}
			last := s.dial(b, "")
			entry := journal.Entry{Type: "legacy", Data: []byte(`{"verbosity":"warning","value":"A warning"}`)}
			for b.Loop() {
				if _, err := s.journal.Append(context.Background(), entry); err != nil {
					b.Fatal(err)
				}
				receive(b, last) // shards walk in the order in which subscribers joined
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/subscribers, "ns/subscriber")
		})
	}
}

func discard(conn net.Conn) {
	var buffer [4096]byte
	for {
		if _, err := conn.Read(buffer[:]); err != nil {
			return
		}
	}
}
