//go:build !portable

package delivery

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// poller tells shards when a full socket has room again. It is an epoll instance that itself waits in the Go
// runtime's, so that neither a blocked subscriber nor the poller holds a thread.
type poller struct {
	epoll int
	file  *os.File

	mu      sync.Mutex
	waiting map[int32]*subscriber // by file descriptor
}

func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create an epoll instance: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("create an epoll instance: %w", err)
	}
	return &poller{epoll: fd, file: os.NewFile(uintptr(fd), "epoll"), waiting: make(map[int32]*subscriber)}, nil
}

// await has the subscriber's shard told, once, when its socket can be written to.
func (p *poller) await(sub *subscriber) error {
	fd := int32(sub.socket.fd)
	p.mu.Lock()
	p.waiting[fd] = sub
	p.mu.Unlock()
	event := syscall.EpollEvent{Events: syscall.EPOLLOUT | syscall.EPOLLONESHOT, Fd: fd}
	var ctl error
	// Control keeps the descriptor from being closed, and its number reused, meanwhile.
	err := sub.socket.raw.Control(func(fd uintptr) {
		ctl = syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_MOD, int(fd), &event)
		if errors.Is(ctl, syscall.ENOENT) {
			ctl = syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_ADD, int(fd), &event)
		}
	})
	return errors.Join(err, ctl)
}

// forget takes back await. Closing the socket takes it out of the epoll instance.
func (p *poller) forget(sub *subscriber) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting[int32(sub.socket.fd)] == sub {
		delete(p.waiting, int32(sub.socket.fd))
	}
}

// run tells the shards until close is called.
func (p *poller) run() {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return
	}
	events := make([]syscall.EpollEvent, 128)
	for {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			n, _ = syscall.EpollWait(int(fd), events, 0)
			return n > 0
		})
		if err != nil {
			return
		}
		for _, event := range events[:n] {
			p.mu.Lock()
			sub := p.waiting[event.Fd]
			delete(p.waiting, event.Fd)
			p.mu.Unlock()
			if sub != nil {
				sub.shard.post(sub, func(m *mailbox) { m.writable = true })
			}
		}
	}
}

// close ends run.
func (p *poller) close() { _ = p.file.Close() }
