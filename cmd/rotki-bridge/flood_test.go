//go:build linux

package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// witnesses are subscribers that must notice nothing of a flood.
	witnesses = 20
	// floodLimit is how many subscribers the bridge may have that is flooded.
	floodLimit = 500
	// keptAfterFloods is how much more memory the process may keep when all is over: what Go's runtime needs to account for
	// the memory that it once had, and what it holds in reserve.
	keptAfterFloods = 16 << 20
	// aliveAfterFloods is how much more of it may be in use: the history of notifications, and what was first needed.
	aliveAfterFloods = 4 << 20
)

// flooded is a bridge whose subscribers watch that nothing is missing.
type flooded struct {
	*process
	watching  sync.WaitGroup
	published atomic.Int64
	seen      [witnesses]atomic.Int64
}

// TestFloods: whatever is thrown at the bridge, its subscribers get all in order, and it has given the memory back when
// that is over.
func TestFloods(t *testing.T) {
	f := &flooded{process: startProcess(t, "--max-connections", strconv.Itoa(floodLimit), "--journal-messages", "1000")}
	conns := make([]*websocket.Conn, witnesses)
	for i := range conns {
		conns[i] = f.subscribe(t, websocket.DefaultDialer, "")
	}
	t.Cleanup(f.watching.Wait)
	for i, conn := range conns {
		t.Cleanup(func() { _ = conn.Close() })
		f.watching.Go(func() { f.watch(t, conn, &f.seen[i]) })
	}
	n := 1
	if testing.Short() {
		n = 20
	}
	aliveBefore := f.liveHeap(t)
	start := f.settledMemory()
	for _, attack := range []struct {
		name string
		do   func(*testing.T, *flooded) string
	}{
		{"slow-loris", func(t *testing.T, f *flooded) string { return f.slowLoris(t, 2000/n) }},
		{"connections past the limit", func(t *testing.T, f *flooded) string { return f.crowdIn(t, 4*floodLimit) }},
		{"headers of 1 MB", func(t *testing.T, f *flooded) string { return f.hugeHeaders(t, 200/n) }},
		{"garbage handshakes", func(t *testing.T, f *flooded) string { return f.garbageHandshakes(t, 100_000/n) }},
		{"garbage gRPC frames", func(t *testing.T, f *flooded) string { return f.garbageFrames(t, 100_000/n) }},
	} {
		before := f.settledMemory()
		stop := f.publish(t)
		peak := f.watchMemory()
		did := attack.do(t, f)
		stop()
		await(t, attack.name+": the witnesses have got all", func() bool {
			for i := range f.seen {
				if f.seen[i].Load() != f.published.Load() {
					return false
				}
			}
			return true
		})
		highest, after := peak(), f.settledMemory()
		t.Logf("%s: %s; %d witnesses got all %d; resident memory %.1f MB before, %.1f MB at the most, %.1f MB after",
			attack.name, did, witnesses, f.published.Load(), float64(before)/1e6, float64(highest)/1e6, float64(after)/1e6)
	}
	end := f.awaitMemory(start + keptAfterFloods)
	alive := f.liveHeap(t)
	t.Logf("before all, resident memory %.1f MB, %.1f MB of it alive; after all, %.1f MB and %.1f MB",
		float64(start)/1e6, aliveBefore/1e6, float64(end)/1e6, alive/1e6)
	if end > start+keptAfterFloods || alive > aliveBefore+aliveAfterFloods {
		t.Error("the memory does not come back")
	}
}

// watch checks that a witness gets every number, one after the other.
func (f *flooded) watch(t *testing.T, conn *websocket.Conn, seen *atomic.Int64) {
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("a witness was cut off: %v", err)
			}
			return
		}
		if want := warningEnvelope(strconv.FormatInt(seen.Load(), 10)); string(message) != want {
			t.Errorf("a witness got %s, want %s", message, want)
			return
		}
		seen.Add(1)
	}
}

// publish publishes numbers until stop is called, a hundred a second at the most.
func (f *flooded) publish(t *testing.T) (stop func()) {
	stream := f.publisher(t)
	done := make(chan struct{})
	var publishing sync.WaitGroup
	publishing.Go(func() {
		pace := time.NewTicker(10 * time.Millisecond)
		defer pace.Stop()
		for {
			select {
			case <-pace.C:
			case <-done:
				_ = stream.CloseSend()
				_, _ = stream.Recv()
				return
			}
			err := stream.Send(warning(strconv.FormatInt(f.published.Load(), 10)))
			if err == nil {
				_, err = accepted(stream)
			}
			if err != nil {
				t.Errorf("publish: %v", err)
				return
			}
			f.published.Add(1)
		}
	})
	return func() {
		close(done)
		publishing.Wait()
	}
}

// memory returns the process's own resident memory, in bytes (proc(5)): without the program's file, whose pages the
// kernel reads and drops as it likes. It costs the process nothing.
func (f *flooded) memory() int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.command.Process.Pid))
	_, rest, _ := bytes.Cut(status, []byte("RssAnon:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kilobytes, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	return kilobytes << 10
}

// liveHeap returns the bytes of the heap that are still referred to.
func (f *flooded) liveHeap(t *testing.T) float64 {
	t.Helper()
	for range 2 { // what a sync.Pool holds survives one collection
		if status, _, err := f.get("/debug/pprof/heap?gc=1"); err != nil || status != http.StatusOK {
			t.Fatalf("collect garbage: %d, %v", status, err)
		}
	}
	return f.metric(t, "go_memstats_heap_alloc_bytes")
}

// settledMemory returns the memory once it has not changed much for two seconds.
func (f *flooded) settledMemory() int64 {
	settled, since := f.memory(), time.Now()
	for time.Since(since) < 2*time.Second {
		time.Sleep(50 * time.Millisecond)
		if now := f.memory(); now < settled-1<<20 || now > settled+1<<20 {
			settled, since = now, time.Now()
		}
	}
	return settled
}

// awaitMemory returns the memory once it is no more than a bound, or what it is in the end.
func (f *flooded) awaitMemory(bound int64) int64 {
	for late := time.Now().Add(patience); f.memory() > bound && time.Now().Before(late); {
		time.Sleep(50 * time.Millisecond)
	}
	return f.memory()
}

// watchMemory returns what returns the most memory that the process has had since.
func (f *flooded) watchMemory() (peak func() int64) {
	done := make(chan struct{})
	most := f.memory()
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				most = max(most, f.memory())
			case <-done:
				return
			}
		}
	})
	return func() int64 {
		close(done)
		watching.Wait()
		return most
	}
}
