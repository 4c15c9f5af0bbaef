//go:build !portable

package delivery

import (
	"errors"
	"net"
	"syscall"
)

// socket is a TCP connection that can be written to without blocking.
type socket struct {
	raw syscall.RawConn
	fd  int // its number for the poller; never used for I/O
}

func newSocket(conn net.Conn) (socket, error) {
	holder, ok := conn.(syscall.Conn)
	if !ok {
		return socket{}, errors.New("the connection has no file descriptor")
	}
	raw, err := holder.SyscallConn()
	if err != nil {
		return socket{}, err
	}
	s := socket{raw: raw}
	err = raw.Control(func(fd uintptr) { s.fd = int(fd) })
	return s, err
}

// sendBufferSetting returns the SO_SNDBUF with which the kernel buffers so many bytes: it doubles what it is told
// (socket(7)).
func sendBufferSetting(bytes int) int { return max(1, bytes/2) }

// socketWriter writes to sockets. It holds what a write needs, so that none allocates; use it from one goroutine.
type socketWriter struct {
	call *writeCall
}

type writeCall struct {
	p    []byte
	n    int
	err  error
	once func(fd uintptr) bool
}

func newSocketWriter() socketWriter {
	call := new(writeCall)
	call.once = func(fd uintptr) bool {
		for {
			call.n, call.err = syscall.Write(int(fd), call.p)
			if call.err != syscall.EINTR {
				return true // done, whatever came of it: RawConn must not wait
			}
		}
	}
	return socketWriter{call: call}
}

// wait has nothing to wait for: no write blocks.
func (w socketWriter) wait() {}

// flushed reports whether all that write took is with the kernel, as it always is here.
func (w socketWriter) flushed(socket) bool { return true }

// write takes as much of p as the socket has room for: n < len(p) without an error means that it is full.
func (w socketWriter) write(s socket, p []byte) (int, error) {
	w.call.p = p
	err := s.raw.Write(w.call.once)
	w.call.p = nil
	switch {
	case err != nil:
		return 0, err
	case w.call.err == syscall.EAGAIN:
		return 0, nil
	case w.call.err != nil:
		return 0, w.call.err
	}
	return w.call.n, nil
}
