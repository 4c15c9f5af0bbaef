//go:build !portable

package delivery

import (
	"fmt"
	"io"
	"net"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// newSocket takes over a connection whose handshake is done, for which the kernel is to buffer so many bytes. Plain TCP
// leaves Go's runtime and is the shard's alone: neither a goroutine nor a lock lies between the shard and the kernel, and
// what the runtime keeps for a connection is let go. ready is called, from any goroutine, when a connection that is not
// plain TCP can be read or written to again.
func newSocket(conn net.Conn, sendBuffer int, ready func(), pumps *sync.WaitGroup) (socket, error) {
	sendBuffer = max(1, sendBuffer/2) // the kernel doubles what it is told (socket(7))
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return newPump(conn, sendBuffer, ready, pumps)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := new(tcpSocket)
	var refused error
	err = raw.Control(func(fd uintptr) {
		if refused = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer); refused == nil {
			s.fd, refused = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
		}
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return nil, fmt.Errorf("take over the connection: %w", err)
	}
	_ = tcp.Close()
	return s, nil
}

// tcpSocket is a TCP connection outside Go's runtime. Its file descriptor does not block.
type tcpSocket struct {
	fd         int
	awaitsRoom bool // the poller tells when there is room
}

func (s *tcpSocket) write(p []byte) (int, error) {
	for {
		// The raw form tells Go's scheduler nothing: the call does not block.
		n, _, err := unix.RawSyscall(unix.SYS_WRITE, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch err {
		case 0:
			return int(n), nil
		case unix.EAGAIN:
			return 0, nil
		case unix.EINTR:
		default:
			return 0, err
		}
	}
}

func (s *tcpSocket) read(p []byte) (int, error) {
	for {
		n, err := unix.Read(s.fd, p)
		switch {
		case err == nil && n == 0:
			return 0, io.EOF
		case err == nil:
			return n, nil
		case err == unix.EAGAIN:
			return 0, nil
		case err != unix.EINTR:
			return 0, err
		}
	}
}

func (s *tcpSocket) flushed() bool { return true }

func (s *tcpSocket) shut() { _ = unix.Shutdown(s.fd, unix.SHUT_WR) }

func (s *tcpSocket) abort() {
	_ = unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

func (s *tcpSocket) close() { _ = unix.Close(s.fd) }
