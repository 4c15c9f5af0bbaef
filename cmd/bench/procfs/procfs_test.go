//go:build linux

package procfs

import (
	"os"
	"testing"
	"time"
)

func TestRSS(t *testing.T) {
	for name, test := range map[string]struct {
		status string
		want   int64
		fails  bool
	}{
		"a process":       {"Name:\tx\nVmHWM:\t   99 kB\nVmRSS:\t    1234 kB\nRssAnon:\t 1 kB\n", 1234 << 10, false},
		"a zombie":        {"Name:\tx\nState:\tZ (zombie)\n", 0, true},
		"another unit":    {"VmRSS:\t1 MB\n", 0, true},
		"no unit":         {"VmRSS:\t1\n", 0, true},
		"a longer name":   {"VmRSSx:\t1 kB\n", 0, true},
		"nothing":         {"", 0, true},
		"no end of line":  {"VmRSS: 2 kB", 2 << 10, false},
		"other separator": {"VmRSS:     3 kB", 3 << 10, false},
	} {
		got, err := rss(test.status)
		if got != test.want || (err != nil) != test.fails {
			t.Errorf("%s: %d, %v; want %d", name, got, err, test.want)
		}
	}
}

func TestOwnProcess(t *testing.T) {
	before, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); time.Since(began) < 20*time.Millisecond; {
	}
	after, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if taken := after - before; taken <= 0 || taken > time.Second {
		t.Errorf("20 ms of work took %v of CPU", taken)
	}
	if memory, err := RSS(os.Getpid()); err != nil || memory < 1<<20 {
		t.Errorf("RSS is %d, %v", memory, err)
	}
	if Kernel() == "unknown" {
		t.Error("the kernel is unknown")
	}
	_ = Processor() // not every machine says
}

func TestNoProcess(t *testing.T) {
	const none = 1 << 23 // above every possible pid_max
	if _, err := CPU(none); err == nil {
		t.Error("CPU of no process")
	}
	if _, err := RSS(none); err == nil {
		t.Error("RSS of no process")
	}
}
