package ingest

import (
	"net"
	"sync"
)

// conns are the open connections of a server, those that have not begun to speak HTTP/2 too.
type conns struct {
	mu      sync.Mutex
	open    map[*conn]struct{}
	cutting bool
}

func (c *conns) track(l net.Listener) net.Listener { return listener{l, c} }

// cut closes all, and every one that is accepted from then on.
func (c *conns) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cutting = true
	for conn := range c.open {
		_ = conn.Conn.Close()
	}
}

type listener struct {
	net.Listener
	conns *conns
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{accepted, l.conns}
	l.conns.mu.Lock()
	defer l.conns.mu.Unlock()
	if l.conns.open == nil {
		l.conns.open = make(map[*conn]struct{})
	}
	l.conns.open[c] = struct{}{}
	if l.conns.cutting {
		_ = accepted.Close()
	}
	return c, nil
}

type conn struct {
	net.Conn
	conns *conns
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.conns.mu.Lock()
	delete(c.conns.open, c)
	c.conns.mu.Unlock()
	return c.Conn.Close()
}
