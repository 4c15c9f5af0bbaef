package python_test

import (
	"io"
	"net"
	"sync"
)

// proxy passes TCP connections on, and cuts the first ones.
type proxy struct {
	target  string
	times   int // how many to cut
	working sync.WaitGroup

	mu   sync.Mutex
	cuts int
}

func (p *proxy) accept(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target)
		if err != nil {
			in.Close()
			return
		}
		p.working.Go(func() {
			_, _ = io.Copy(out, in)
			_ = out.Close()
		})
		p.working.Go(func() { p.answer(in, out) })
	}
}

// answer copies what the target says, all of it or until it cuts the connection.
func (p *proxy) answer(in, out net.Conn) {
	defer in.Close()
	defer out.Close()
	p.mu.Lock()
	limit := int64(2000 * (p.cuts + 1))
	whole := p.cuts >= p.times
	p.mu.Unlock()
	if whole {
		_, _ = io.Copy(in, out)
		return
	}
	if n, _ := io.CopyN(in, out, limit); n == limit {
		p.mu.Lock()
		p.cuts++
		p.mu.Unlock()
	}
	_ = in.(*net.TCPConn).SetLinger(0)
}
