//go:build !linux || portable

package delivery

import (
	"net"
	"sync"
)

// newSocket takes over a connection whose handshake is done, for which the system is to buffer so many bytes. ready is
// called, from any goroutine, when it can be read or written to again.
func newSocket(conn net.Conn, sendBuffer int, ready func(), pumps *sync.WaitGroup) (socket, error) {
	return newPump(conn, sendBuffer, ready, pumps)
}

// poller has nothing to do: pumps tell when they are ready.
type poller struct{}

func newPoller() (*poller, error) { return new(poller), nil }

func (*poller) watch(func()) {}

func (*poller) add(*subscriber) error { return nil }

func (*poller) remove(*subscriber) {}

func (*poller) awaitRoom(*subscriber) error { return nil }

func (*poller) each(func(sub *subscriber, in, out bool)) (more bool) { return false }

func (*poller) close() {}
