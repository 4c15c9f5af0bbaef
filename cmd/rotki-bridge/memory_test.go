package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// TestTuneMemory: the collector has headroom while the heap is small, and its usual pace once it is not.
func TestTuneMemory(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	const before = 50
	defer debug.SetGCPercent(debug.SetGCPercent(before))
	ctx, cancel := context.WithCancel(t.Context())
	tuned := make(chan struct{})
	go func() {
		tuneMemory(ctx)
		close(tuned)
	}()
	percent := func() uint64 { return readMetric("/gc/gogc:percent") }
	collectUntil(t, "a small heap has headroom", func() bool { return percent() > 100 })
	large := make([]byte, 2*headroom)
	collectUntil(t, "a large one does not need it", func() bool { return percent() == 100 })
	runtime.KeepAlive(large)
	collectUntil(t, "and has it again", func() bool { return percent() > 100 })
	cancel()
	<-tuned
	if got := percent(); got != before {
		t.Errorf("afterwards GOGC is %d, and was %d", got, before)
	}
}

// TestTuneMemoryKeepsOut: what the operator says about the collector stands.
func TestTuneMemoryKeepsOut(t *testing.T) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOGC", "")
			t.Setenv("GOMEMLIMIT", "")
			t.Setenv(name, "150")
			tuneMemory(t.Context()) // returns, though nobody ends it
		})
	}
}

// collectUntil collects garbage until the condition holds.
func collectUntil(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !condition() {
		runtime.GC()
		select {
		case <-deadline:
			t.Fatalf("it did not come to this: %s", what)
		default:
		}
	}
}
