//go:build linux

// Package load subscribes to a websocket server thousands of times over and checks what comes, at so little CPU that
// the server has the machine for itself.
//
// A Crowd of subscribers shares a few threads. Each of them waits with epoll for all its sockets at once, reads as much
// as there is with one system call, and takes the messages apart where they lie. Nothing is allocated per message.
// Every subscriber must get every message once and in order; the first thing that is not so ends the crowd with an error.
//
// # Concurrency
//
// A Crowd's methods may be called from anywhere; each of its subscribers belongs to one thread.
package load

import (
	"fmt"
	"runtime"
	"syscall"
)

// Config says who subscribes to what.
type Config struct {
	// Addrs are the servers' host:port, IPv4 addresses of the loopback. Subscribers are spread over them evenly.
	Addrs []string
	// Path is the handshake's path and query.
	Path string
	// Count is how many subscribe.
	Count int
	// First is the number of the first message that they will get.
	First int
	// Silent subscribers never read after the handshake.
	Silent bool
	// ReceiveBuffer is SO_RCVBUF; the system's default if 0.
	ReceiveBuffer int
	// Deflate offers permessage-deflate.
	Deflate bool
}

const (
	// largestFrame is the largest payload that is expected.
	largestFrame = 64 << 10
	// readSize is how much is read at a time, beside the beginning of a frame that came before.
	readSize = 256 << 10
)

// threads is how many threads read. The other cores are the server's.
func threads() int { return min(max(runtime.NumCPU()/2, 1), 2) }

// RaiseFileLimit lets this process and its children have as many open files as the system allows them, and returns how
// many that are. (Go raises its own limit, but not that of its children.)
func RaiseFileLimit() (int, error) {
	limit := syscall.Rlimit{}
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("raise the limit of open files: %w", err)
	}
	return int(min(limit.Cur, 1<<30)), nil
}
