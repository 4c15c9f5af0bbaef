//go:build linux

package baseline

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"unsafe"
)

const (
	// controlBuffer is how much of the control connection is read at a time; a payload must fit.
	controlBuffer = 1 << 20
	// largestWrite is how much the coalescing loop writes at a time.
	largestWrite = 256 << 10
)

// bare is the least that publishes: a loop of write(2). It has nothing to do with Go's network poller.
type bare struct {
	coalesce bool

	mu          sync.Mutex
	subscribers []int // descriptors, which do not block
}

func serveBare(coalesce bool, w io.Writer) error {
	listener, controls, err := listenTwice(w)
	if err != nil {
		return err
	}
	b := &bare{coalesce: coalesce}
	failed := make(chan error, 2)
	go func() { failed <- b.accept(listener) }()
	go func() { failed <- b.control(controls) }()
	return <-failed
}

// accept takes the handshakes, one after the other.
func (b *bare) accept(listener *net.TCPListener) error {
	file, err := listener.File()
	if err != nil {
		return err
	}
	defer file.Close()
	for fd := int(file.Fd()); ; { // Fd makes it one that blocks
		conn, _, err := syscall.Accept4(fd, syscall.SOCK_CLOEXEC)
		if err == nil {
			err = b.welcome(conn)
		}
		if err != nil && err != syscall.EINTR {
			return fmt.Errorf("accept: %w", err)
		}
	}
}

// welcome makes a connection a subscriber. Nothing is published between the answer to its handshake and that.
func (b *bare) welcome(conn int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := answerHandshake(conn); err != nil {
		return err
	}
	if err := syscall.SetNonblock(conn, true); err != nil {
		return err
	}
	// As package net has it, and so the hub and the bridge.
	if err := syscall.SetsockoptInt(conn, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
		return err
	}
	b.subscribers = append(b.subscribers, conn)
	return nil
}

// control takes payloads from the first control connection and publishes them.
func (b *bare) control(listener *net.TCPListener) error {
	conn, err := listener.AcceptTCP()
	if err != nil {
		return err
	}
	file, err := conn.File()
	if err != nil {
		return err
	}
	defer file.Close()
	runtime.LockOSThread()
	in, filled := make([]byte, controlBuffer), 0
	var frames []byte
	var ends []int // of each frame in frames
	for fd := int(file.Fd()); ; {
		n, err := syscall.Read(fd, in[filled:])
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return err
		}
		frames, ends = frames[:0], ends[:0]
		rest := in[:filled+n]
		for len(rest) >= 4 {
			size := int(binary.BigEndian.Uint32(rest))
			if len(rest) < 4+size {
				break
			}
			frames = appendFrame(frames, rest[4:4+size])
			ends = append(ends, len(frames))
			rest = rest[4+size:]
		}
		filled = copy(in, rest)
		b.mu.Lock()
		subscribers := b.subscribers
		b.mu.Unlock()
		if err := b.publish(subscribers, frames, ends); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
}

func (b *bare) publish(subscribers []int, frames []byte, ends []int) error {
	if b.coalesce {
		for _, fd := range subscribers {
			for chunk := range slices.Chunk(frames, largestWrite) {
				if err := write(fd, chunk); err != nil {
					return err
				}
			}
		}
		return nil
	}
	start := 0
	for _, end := range ends {
		for _, fd := range subscribers {
			if err := write(fd, frames[start:end]); err != nil {
				return err
			}
		}
		start = end
	}
	return nil
}

// write writes all of p, and waits where the socket takes no more.
func write(fd int, p []byte) error {
	for len(p) > 0 {
		// The raw form tells the scheduler nothing: this thread has nobody to share with, and does not block.
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		switch errno {
		case 0:
			p = p[n:]
		case syscall.EAGAIN:
			if err := awaitWritable(fd); err != nil {
				return err
			}
		case syscall.EINTR:
		default:
			return os.NewSyscallError("write", errno)
		}
	}
	return nil
}

// awaitWritable is poll(2) for one descriptor, without a timeout.
func awaitWritable(fd int) error {
	const writable = 4 // POLLOUT
	poll := struct {
		fd              int32
		events, revents int16
	}{fd: int32(fd), events: writable}
	_, _, errno := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&poll)), 1, 0, 0, 0, 0)
	if errno != 0 && errno != syscall.EINTR {
		return os.NewSyscallError("ppoll", errno)
	}
	return nil
}
