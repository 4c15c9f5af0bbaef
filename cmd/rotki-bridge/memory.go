package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// smallestHeap is what Go counts a smaller heap as, in bytes, before the first collection too.
	smallestHeap = 4 << 20
	// headroom is how much garbage there may be before it is collected, in bytes, however little memory is in use. A
	// handshake leaves 15 KB behind, most of it net/http's. A collection every few megabytes, as GOGC=100 has it for a
	// small heap, makes a storm of 10,000 connections a fifth dearer; more headroom than this makes it no cheaper.
	headroom = 16 << 20
	// quietTick is how often the bridge looks whether it is quiet.
	quietTick = time.Second
	// quietTicks is for how long it must be.
	quietTicks = 3
	// quietBytes is how much may be allocated in a tick that counts as quiet.
	quietBytes = 256 << 10
	// worthwhile is by how much more memory must be held than there ever was for it to be worth a collection to give some
	// back.
	worthwhile = 8 << 20
	// firstPause is how long to wait, while it stays quiet, before another collection: connections that end, and nothing
	// else, leave memory behind without any being allocated. After one that was not worth it the pause doubles, up to
	// lastPause, which is how often Go collects anyway.
	firstPause = 5 * time.Second
	lastPause  = 2 * time.Minute
)

// tuneMemory trades memory for processor time while the bridge is busy, and gives the memory back to the system when it
// is quiet again. Go does the latter by itself over minutes. It leaves alone what GOGC or GOMEMLIMIT say. It ends when
// ctx is done.
func tuneMemory(ctx context.Context) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	collected := make(chan struct{}, 1)
	defer notifyCollections(collected)()
	ticker := time.NewTicker(quietTick)
	defer ticker.Stop()
	adjustCollector()
	quiet, allocated, least := 0, uint64(0), held()
	collectedAt, pause := time.Time{}, firstPause
	for {
		select {
		case <-ctx.Done():
			return
		case <-collected:
			adjustCollector()
		case <-ticker.C:
			now := readMetric("/gc/heap/allocs:bytes")
			if quiet++; now-allocated > quietBytes {
				quiet, pause = 0, firstPause
			}
			allocated = now
			before := held()
			least = min(least, before)
			if quiet < quietTicks || before < least+worthwhile || time.Since(collectedAt) < pause {
				continue
			}
			debug.FreeOSMemory()
			collectedAt = time.Now()
			if pause *= 2; held()+worthwhile < before {
				pause = firstPause
			}
			pause = min(pause, lastPause)
		}
	}
}

// adjustCollector sets the next collection for when headroom was allocated, or as much as is in use if that is more.
func adjustCollector() {
	live := max(smallestHeap, readMetric("/gc/heap/live:bytes"))
	debug.SetGCPercent(int(max(100, 100*headroom/live)))
}

// held returns how many bytes of memory the process has from the system: heap, stacks and what Go needs for itself.
func held() uint64 {
	return readMetric("/memory/classes/total:bytes") - readMetric("/memory/classes/heap/released:bytes")
}

func readMetric(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// notifyCollections sends to c, without blocking, after each garbage collection, until stop is called.
func notifyCollections(c chan<- struct{}) (stop func()) {
	var mu sync.Mutex
	stopped := false
	var watch func()
	watch = func() {
		// What nothing refers to is found by the next collection.
		runtime.AddCleanup(new(*int), func(again func()) {
			mu.Lock()
			defer mu.Unlock()
			if stopped {
				return
			}
			select {
			case c <- struct{}{}:
			default:
			}
			again()
		}, watch)
	}
	watch()
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
	}
}
