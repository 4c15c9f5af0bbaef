package ingest

import (
	"net"
	"sync"
	"time"
)

// conns are the open connections of a server, those that have not begun to speak HTTP/2 too.
type conns struct {
	atMost  int            // beyond so many, another is closed at once
	refused func(net.Addr) // is called for each that is

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
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.conns.add(accepted); c != nil {
			return c, nil
		}
		l.conns.refused(accepted.RemoteAddr())
		_ = accepted.Close()
	}
}

// add counts a connection in. It returns nil when there are as many as there may be.
func (c *conns) add(accepted net.Conn) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) >= c.atMost {
		return nil
	}
	if c.open == nil {
		c.open = make(map[*conn]struct{})
	}
	one := &conn{Conn: accepted, conns: c}
	c.open[one] = struct{}{}
	if c.cutting {
		_ = accepted.Close()
	}
	return one
}

type conn struct {
	net.Conn
	conns *conns
	end   *time.Timer // closes it; nil for never, guarded by conns.mu
}

// endAt closes the connection at a time, unless it is closed before.
func (c *conn) endAt(t time.Time) {
	c.conns.mu.Lock()
	defer c.conns.mu.Unlock()
	if _, open := c.conns.open[c]; open {
		c.end = time.AfterFunc(time.Until(t), func() { _ = c.Close() })
	}
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.conns.mu.Lock()
	delete(c.conns.open, c)
	if c.end != nil {
		c.end.Stop()
	}
	c.conns.mu.Unlock()
	return c.Conn.Close()
}
