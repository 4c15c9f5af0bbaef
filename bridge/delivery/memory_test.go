package delivery_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"

	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
)

// TestMemoryIsBounded: memory follows the journal, not the number of those who do not take what is in it.
func TestMemoryIsBounded(t *testing.T) {
	const (
		subscribers = 1000
		bound       = 8 << 20
		// each is what a subscriber may take: a pump keeps a piece of 16 KiB that is being written.
		each = 32 << 10
		size = 60_000
	)
	// The clients are in this process too, and take next to nothing but file descriptors, of which there must be some
	// 2,000.
	s := serve(t, delivery.Config{SendBuffer: 1, CompressFrom: 100}, journal.MemoryConfig{Bytes: bound})
	for i := range subscribers {
		conn := s.dialBare(t, []string{"", "?data=string"}[i%2], i/2%2 == 0)
		t.Cleanup(func() { _ = conn.Close() })
	}
	await(t, "all have joined", func() bool { return s.Connections() == subscribers })
	before := heap()

	publish := func(i int) { s.publish(t, "legacy", fmt.Sprintf(`"%d-%s"`, i, digits(size))) }
	full := 0 // how many the journal holds
	for records, bytes := 0, 0; full == 0 || bytes+bytes/records <= bound; records, bytes = s.journal.Stats() {
		publish(full)
		full++
	}
	await(t, "all are blocked", func() bool { return s.metric(t, "bridge_blocked_writes_total", "") >= subscribers })
	if got := s.Connections(); got != subscribers {
		t.Fatalf("%d of %d are left: the test does not test what it should", got, subscribers)
	}
	const limit = 2*bound + subscribers*each // where each of them had its own copies, it would be more than 1 GB
	if grown := heap() - before; grown > limit {
		t.Errorf("%d stalled subscribers took %d bytes, with a journal of %d", subscribers, grown, bound)
	}

	for i := range 10 * full {
		publish(i)
	}
	await(t, "all are dropped", func() bool { return s.metric(t, "bridge_disconnects_total", "too_slow") == subscribers })
	if grown := heap() - before; grown > limit {
		t.Errorf("%d bytes are in use, with a journal of %d and nobody there", grown, bound)
	}
}

// heap returns how many bytes of the heap are in use.
func heap() int {
	runtime.GC()
	runtime.GC() // what had a finalizer, or stood in a pool
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapInuse)
}

// dialBare connects and returns a connection that holds no buffers.
func (s *served) dialBare(t testing.TB, query string, deflate bool) net.Conn {
	t.Helper()
	conn, err := dialSmall(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	offer := ""
	if deflate {
		offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
	}
	_, err = io.WriteString(conn, "GET /ws/"+query+" HTTP/1.1\r\nHost: "+s.addr+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		offer+"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the handshake was answered with %v, %v", response, err)
	}
	return conn
}
