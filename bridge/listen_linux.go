package bridge

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// firstByteTimeout is about how long, in seconds, the kernel keeps a connection to itself on which nothing has come.
const firstByteTimeout = 10

// awaitFirstByte has the kernel hand over a connection only when the client has begun to speak, as it does at once in
// HTTP and TLS: nobody then has to be woken twice for it (TCP_DEFER_ACCEPT, tcp(7)). A kernel that cannot need not.
func awaitFirstByte(_, _ string, listener syscall.RawConn) error {
	return listener.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, firstByteTimeout)
	})
}
