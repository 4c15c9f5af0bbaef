//go:build linux

// Package procfs reads what a process takes, CPU and memory, and what machine it runs on.
//
// # Concurrency
//
// Its functions may be called from anywhere at any time.
package procfs

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// CPU returns the CPU time that a process has taken so far, in user and in kernel mode, of all its threads.
//
// It asks for the process's CPU clock, as clock_getcpuclockid(3) does: in nanoseconds, and with the threads that have
// exited. Of /proc's files, PID/stat counts in ticks of 10 ms, PID/schedstat only the first thread, and the sum over
// PID/task forgets those that have exited.
func CPU(pid int) (time.Duration, error) {
	const schedulerClock = 2 // CPUCLOCK_SCHED
	clock := ^pid<<3 | schedulerClock
	now := syscall.Timespec{}
	_, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&now)), 0)
	if errno != 0 {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, errno)
	}
	return time.Duration(now.Nano()), nil
}

// RSS returns how much memory of a process is resident, in bytes.
func RSS(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return rss(string(text))
}

func rss(status string) (int64, error) {
	value, unit, _ := strings.Cut(field(status, "VmRSS"), " ")
	kilobytes, err := strconv.ParseInt(value, 10, 64)
	if err != nil || unit != "kB" {
		return 0, fmt.Errorf("/proc/PID/status does not tell VmRSS in kB: %q", value+" "+unit)
	}
	return kilobytes << 10, nil
}

// Processor returns the name of the first CPU, or "unknown".
func Processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if name := field(string(text), "model name"); err == nil && name != "" {
		return name
	}
	return "unknown"
}

// Kernel returns the kernel's release, or "unknown".
func Kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

// field returns the value of a line "name: value", or "".
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
