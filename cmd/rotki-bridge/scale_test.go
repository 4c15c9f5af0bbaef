//go:build linux

package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	scaleReaders  = 10_000
	scaleSilent   = 2_000
	scaleMessages = 100
	// scaleBytes is the size of a message: together they are many times what the kernel holds for a subscriber that
	// does not read.
	scaleBytes = 8 << 10
	// scaleGrowth is how much more memory the bridge may take when there are subscribers that do not read.
	scaleGrowth = 64 << 20
)

// Every subscriber that reads gets everything, in order, whether or not others never read; and those cost the
// bridge no more than their connections do.
func TestTenThousandSubscribers(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while and most of the machine")
	}
	requireFiles(t, scaleReaders+scaleSilent+500)
	var without, with uint64
	t.Run("all read", func(t *testing.T) { without = peakMemory(t, 0) })
	t.Run("some never read", func(t *testing.T) { with = peakMemory(t, scaleSilent) })
	if t.Failed() {
		return
	}
	t.Logf("the bridge took %d KiB at most with %d subscribers, %d KiB with %d more that never read",
		without>>10, scaleReaders, with>>10, scaleSilent)
	if with > without+scaleGrowth {
		t.Errorf("subscribers that never read cost %d KiB, at most %d are allowed", (with-without)>>10, scaleGrowth>>10)
	}
}

// peakMemory publishes to the readers, and to as many silent subscribers, and returns the most memory that the
// bridge took.
func peakMemory(t *testing.T, silent int) uint64 {
	start := time.Now()
	// Nobody here answers pings, and nobody is to be dropped for not reading.
	bridge := startProcess(t, "--ping-interval", "1h", "--write-timeout", "1h")
	gather(t, bridge.websocket, silent, 4<<10)
	readers := gather(t, bridge.websocket, scaleReaders, 0)
	connected := time.Since(start)

	texts, want := make([]string, scaleMessages), make([][]byte, scaleMessages)
	for i := range texts {
		texts[i] = fmt.Sprintf("%d %s", i, strings.Repeat("x", scaleBytes))
		want[i] = []byte(warningEnvelope(texts[i]))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	received := make(chan error, 1)
	go func() { received <- readers.receive(ctx, want) }()
	err := publishAll(bridge.publisher(t), texts, scaleReaders+silent)
	if err != nil {
		cancel()
	}
	if err := errors.Join(err, <-received); err != nil {
		t.Fatal(err)
	}

	peak := peakRSS(t, bridge.command.Process.Pid)
	blocked, frames := bridge.metric(t, "bridge_blocked_writes_total"), bridge.metric(t, "bridge_delivered_frames_total")
	silently := int(frames) - scaleReaders*scaleMessages
	t.Logf("%d readers, %d silent: connected in %v, done in %v; %d KiB at most; %.0f writes found a full socket; the kernel holds %d messages for the silent",
		scaleReaders, silent, connected.Round(time.Millisecond), time.Since(start).Round(time.Millisecond), peak>>10, blocked, silently)
	if blocked < float64(silent) || silently > silent*scaleMessages/2 {
		t.Error("the silent subscribers were to be blocked, and are not")
	}
	if n := bridge.metric(t, "bridge_connections"); int(n) != scaleReaders+silent {
		t.Errorf("%v subscribers are still connected, want all %d", n, scaleReaders+silent)
	}
	return peak
}

// publishAll publishes texts in one stream. Each must be accepted for so many subscribers.
func publishAll(stream publishStream, texts []string, subscribers int) error {
	sent := make(chan error, 1)
	go func() {
		for _, text := range texts {
			if err := stream.Send(warning(text)); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	for i := range texts {
		answer, err := accepted(stream)
		if err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
		if int(answer.GetSubscribers()) != subscribers {
			return fmt.Errorf("message %d was accepted for %d subscribers, want %d", i, answer.GetSubscribers(), subscribers)
		}
	}
	return <-sent
}

// peakRSS returns the most memory that a process has had so far, in bytes.
func peakRSS(t *testing.T, pid int) uint64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kilobytes, err := strconv.ParseUint(fields[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	t.Fatal("/proc does not tell VmHWM")
	return 0
}

// requireFiles skips the test where processes may not have n open files, but never in CI. The bridge raises its own
// limit, as every Go program does, and inherits what is raised beyond that here.
func requireFiles(t *testing.T, n uint64) {
	t.Helper()
	limit := syscall.Rlimit{}
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur >= n || syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: max(n, limit.Max)}) == nil {
		return
	}
	skip(t, fmt.Sprintf("a process may have %d open files here, %d are needed: run `ulimit -n %d` first, as root or after raising nofile in /etc/security/limits.conf",
		limit.Cur, n, n))
}
