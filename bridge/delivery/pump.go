package delivery

import (
	"fmt"
	"net"
	"sync"
)

const (
	// pumpPiece is how many bytes a pump takes at once: each piece that is written shows that the peer is alive.
	pumpPiece = 16 << 10
	// pumpKept is how large a buffer may be that an idle pump keeps.
	pumpKept = 2 << 10
	// pumpInput is how many bytes a pump reads at once.
	pumpInput = 512
)

// pump is the socket of a connection that cannot be used without blocking: TLS, and all of them on systems other than
// Linux. A goroutine reads for it; another writes, which lives only as long as there is something to write, a copy of
// which it keeps.
type pump struct {
	conn  net.Conn
	ready func()
	pumps *sync.WaitGroup
	taken chan struct{} // tells the reader that its input was taken
	done  chan struct{} // closed by close

	mu      sync.Mutex
	in      []byte // what has come, until it is taken
	inErr   error
	out     []byte
	busy    bool // a goroutine writes, or shuts
	outErr  error
	waiting bool // the shard wants to know when it is not busy
	shutDue bool // the bridge's side is to be ended, once out is written
}

// newPump sets the size of the connection's send buffer (SO_SNDBUF), and begins to read from it.
func newPump(conn net.Conn, sendBuffer int, ready func(), pumps *sync.WaitGroup) (*pump, error) {
	if tcp, ok := transport(conn).(*net.TCPConn); ok {
		if err := tcp.SetWriteBuffer(sendBuffer); err != nil {
			return nil, fmt.Errorf("take over the connection: %w", err)
		}
	}
	p := &pump{conn: conn, ready: ready, pumps: pumps, taken: make(chan struct{}, 1), done: make(chan struct{})}
	pumps.Go(p.receive)
	return p, nil
}

// receive reads until the connection ends. It never has more than one piece in store.
func (p *pump) receive() {
	buffer := make([]byte, pumpInput)
	for {
		n, err := p.conn.Read(buffer)
		p.mu.Lock()
		p.in, p.inErr = buffer[:n], err
		p.mu.Unlock()
		p.ready()
		if err != nil {
			return
		}
		select {
		case <-p.taken:
		case <-p.done:
			return
		}
	}
}

func (p *pump) read(into []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.in) == 0 {
		return 0, p.inErr
	}
	n := copy(into, p.in)
	if p.in = p.in[n:]; len(p.in) == 0 && p.inErr == nil {
		p.taken <- struct{}{}
	}
	return n, nil
}

// write takes up to pumpPiece bytes, or nothing when what it took before is not written yet.
func (p *pump) write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.outErr != nil {
		return 0, p.outErr
	}
	if p.busy {
		p.waiting = true
		return 0, nil
	}
	n := min(len(b), pumpPiece)
	p.out = append(p.out[:0], b[:n]...)
	p.waiting = n < len(b)
	p.start()
	return n, nil
}

func (p *pump) flushed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = p.busy
	return !p.busy
}

func (p *pump) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shutDue = true
	if !p.busy {
		p.start()
	}
}

// start lets a goroutine do what is due. mu must be held.
func (p *pump) start() {
	p.busy = true
	p.pumps.Go(p.send)
}

// send writes what was taken and, when that is due, ends the bridge's side of the connection.
func (p *pump) send() {
	for {
		p.mu.Lock()
		out, shut := p.out, p.shutDue
		if p.outErr != nil || len(out) == 0 && !shut {
			p.busy = false
			tell := p.waiting
			p.waiting = false
			p.mu.Unlock()
			if tell {
				p.ready()
			}
			return
		}
		if len(out) == 0 {
			p.shutDue = false
		}
		p.mu.Unlock()

		var err error
		if len(out) > 0 {
			_, err = p.conn.Write(out)
		} else if half, ok := p.conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		if out = out[:0]; cap(out) > pumpKept {
			out = nil
		}
		p.mu.Lock()
		p.out, p.outErr = out, err
		p.mu.Unlock()
	}
}

func (p *pump) abort() {
	if tcp, ok := transport(p.conn).(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// close leaves out TLS's goodbye, for which a full socket would have to be waited for; shut has said it.
func (p *pump) close() {
	_ = transport(p.conn).Close()
	close(p.done)
}

// transport returns the connection that carries conn, where that is TLS.
func transport(conn net.Conn) net.Conn {
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		return secure.NetConn()
	}
	return conn
}
