//go:build !linux || portable

package delivery

import (
	"net"
	"sync"
)

// socket is a connection that can be written to without blocking: what it takes is copied, and a goroutine, which
// lives only as long as there is something to write, blocks instead. A stalled one costs that goroutine and the copy.
type socket struct {
	*pump
}

type pump struct {
	conn net.Conn

	mu      sync.Mutex
	buffer  []byte
	busy    bool
	err     error
	waiting *subscriber // to be told when it is not busy any more
}

func newSocket(conn net.Conn) (socket, error) { return socket{&pump{conn: conn}}, nil }

// sendBufferSetting returns the SO_SNDBUF with which the kernel buffers so many bytes.
func sendBufferSetting(bytes int) int { return bytes }

// socketWriter writes to sockets. Use it from one goroutine.
type socketWriter struct {
	pumping *sync.WaitGroup
}

func newSocketWriter() socketWriter { return socketWriter{pumping: new(sync.WaitGroup)} }

// wait returns when nothing is being written any more. All connections must have ended.
func (w socketWriter) wait() { w.pumping.Wait() }

// flushed reports whether all that write took is with the kernel.
func (w socketWriter) flushed(s socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.busy
}

// maxPiece is how many bytes are taken at once: each piece that is written shows that the peer is alive.
const maxPiece = 16 << 10

// write takes up to maxPiece bytes of p, or nothing when what it took before is not written yet.
func (w socketWriter) write(s socket, p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.busy {
		return 0, s.err
	}
	s.busy = true
	s.buffer = append(s.buffer[:0], p[:min(len(p), maxPiece)]...)
	w.pumping.Go(s.run)
	return len(s.buffer), nil
}

func (s *pump) run() {
	_, err := s.conn.Write(s.buffer)
	s.mu.Lock()
	s.busy, s.err = false, err
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	if waiting != nil {
		waiting.shard.post(waiting, func(m *mailbox) { m.writable = true })
	}
}

// poller tells shards when a busy socket can be written to again.
type poller struct{}

func newPoller() (*poller, error) { return new(poller), nil }

// await has the subscriber's shard told, once, when its socket is not busy.
func (p *poller) await(sub *subscriber) error {
	sub.socket.mu.Lock()
	busy := sub.socket.busy
	if busy {
		sub.socket.waiting = sub
	}
	sub.socket.mu.Unlock()
	if !busy {
		sub.shard.post(sub, func(m *mailbox) { m.writable = true })
	}
	return nil
}

// forget takes back await.
func (p *poller) forget(sub *subscriber) {
	sub.socket.mu.Lock()
	defer sub.socket.mu.Unlock()
	sub.socket.waiting = nil
}

func (p *poller) run()   {}
func (p *poller) close() {}
