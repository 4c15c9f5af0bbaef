//go:build !portable

package delivery

import (
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// poller tells a shard which of its TCP sockets have become ready: something came, or a full one has room again. It is
// an epoll instance that itself waits in Go's runtime, so that waiting holds no thread. All but watch and close
// belongs to the shard.
type poller struct {
	epoll   int
	file    *os.File
	ready   atomic.Bool // the kernel has something to tell
	events  []unix.EpollEvent
	sockets []*subscriber // by file descriptor
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create an epoll instance: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("create an epoll instance: %w", err)
	}
	return &poller{epoll: fd, file: os.NewFile(uintptr(fd), "epoll"), events: make([]unix.EpollEvent, 256)}, nil
}

// watch calls rouse whenever the kernel has something to tell, until close is called.
func (p *poller) watch(rouse func()) {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return
	}
	// Go's runtime calls the function at every event; each must be passed on, and none is what it waits for.
	_ = raw.Read(func(uintptr) bool {
		p.ready.Store(true)
		rouse()
		return false
	})
}

// Events are edges: each is told once, so that no system call takes back what was told.
const (
	inputEvents = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
	allEvents   = inputEvents | unix.EPOLLOUT
)

// add has it told when something comes for the subscriber's socket, or has come already.
func (p *poller) add(sub *subscriber) error {
	s, ok := sub.socket.(*tcpSocket)
	if !ok {
		return nil
	}
	if s.fd >= len(p.sockets) {
		p.sockets = append(p.sockets, make([]*subscriber, s.fd+1-len(p.sockets))...)
	}
	p.sockets[s.fd] = sub
	return p.control(unix.EPOLL_CTL_ADD, s, inputEvents)
}

// awaitRoom has it told, too, when the socket can be written to, from now on: most never fill theirs.
func (p *poller) awaitRoom(sub *subscriber) error {
	s, ok := sub.socket.(*tcpSocket)
	if !ok || s.awaitsRoom {
		return nil
	}
	s.awaitsRoom = true
	return p.control(unix.EPOLL_CTL_MOD, s, allEvents)
}

func (p *poller) control(operation int, s *tcpSocket, events uint32) error {
	if err := unix.EpollCtl(p.epoll, operation, s.fd, &unix.EpollEvent{Events: events, Fd: int32(s.fd)}); err != nil {
		return fmt.Errorf("watch a connection: %w", err)
	}
	return nil
}

// remove forgets a subscriber. Closing its socket takes that out of the epoll instance.
func (p *poller) remove(sub *subscriber) {
	if s, ok := sub.socket.(*tcpSocket); ok && s.fd < len(p.sockets) {
		p.sockets[s.fd] = nil
	}
}

// each calls f with subscribers whose sockets have become ready since, and with whether they can be read from, and
// written to. It reports whether there may be more: as many as are busy must not keep the shard from everything else.
func (p *poller) each(f func(sub *subscriber, in, out bool)) (more bool) {
	if !p.ready.Swap(false) {
		return false
	}
	n, err := unix.EpollWait(p.epoll, p.events, 0)
	for _, event := range p.events[:max(n, 0)] {
		if sub := p.sockets[event.Fd]; sub != nil {
			f(sub, event.Events&^unix.EPOLLOUT != 0, event.Events&unix.EPOLLOUT != 0)
		}
	}
	more = n == len(p.events) || err == unix.EINTR
	if more {
		p.ready.Store(true)
	}
	return more
}

// close ends watch.
func (p *poller) close() { _ = p.file.Close() }
