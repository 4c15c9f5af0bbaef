package limit

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// ConnsConfig configures Conns.
type ConnsConfig struct {
	// Max is how many connections there may be at once, and PerAddress how many of them from one Source; zero is no
	// limit.
	Max, PerAddress int
	// Trusted are the addresses of proxies, on whose connections others come: PerAddress is not for them.
	Trusted []netip.Prefix
	// Refused is called for each connection that is closed because it is one too many: in all, or from its address. By
	// default nothing is.
	Refused func(from net.Addr, perAddress bool)
}

// Conns are the open connections of a server, those that have not begun to speak too. One too many is closed before
// anything is read from it.
type Conns struct {
	config  ConnsConfig
	counted counted

	mu      sync.Mutex
	open    map[*conn]struct{}
	cutting bool
}

// NewConns returns a bound for connections.
func NewConns(config ConnsConfig) *Conns {
	if config.Refused == nil {
		config.Refused = func(net.Addr, bool) {}
	}
	return &Conns{
		config:  config,
		counted: counted{max: config.Max, perAddress: config.PerAddress, trusted: config.Trusted},
		open:    make(map[*conn]struct{}),
	}
}

// Listen returns a listener whose connections count. Several may share what is allowed.
func (c *Conns) Listen(l net.Listener) net.Listener { return listener{l, c} }

// Cut closes all, and every one that is accepted from then on.
func (c *Conns) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cutting = true
	for conn := range c.open {
		_ = conn.Conn.Close()
	}
}

type listener struct {
	net.Listener
	conns *Conns
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		one := &conn{Conn: accepted, conns: l.conns}
		b := l.conns.counted.take(one, remote(accepted))
		if b == withinLimits {
			l.conns.add(one)
			return one, nil
		}
		l.conns.config.Refused(accepted.RemoteAddr(), b == perAddress)
		_ = accepted.Close()
	}
}

func (c *Conns) add(one *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[one] = struct{}{}
	if c.cutting {
		_ = one.Conn.Close()
	}
}

type conn struct {
	net.Conn
	conns *Conns
	end   *time.Timer // closes it; nil for never, guarded by conns.mu
}

// CloseAt closes a connection that was accepted by a listener of Conns at a time, unless it is closed before. It does
// nothing with any other.
func CloseAt(accepted net.Conn, t time.Time) {
	c, ok := accepted.(*conn)
	if !ok {
		return
	}
	c.conns.mu.Lock()
	defer c.conns.mu.Unlock()
	if _, open := c.conns.open[c]; open {
		c.end = time.AfterFunc(time.Until(t), func() { _ = c.Close() })
	}
}

// Close implements net.Conn. It counts the connection out once, however often it is called.
func (c *conn) Close() error {
	c.conns.mu.Lock()
	delete(c.conns.open, c)
	if c.end != nil {
		c.end.Stop()
	}
	c.conns.mu.Unlock()
	c.conns.counted.release(c)
	return c.Conn.Close()
}

// bound is which limit a connection was refused for.
type bound int

const (
	withinLimits bound = iota
	inAll
	perAddress
)

// counted counts connections, in all and by where they come from.
type counted struct {
	max, perAddress int
	trusted         []netip.Prefix

	mu      sync.Mutex
	conns   map[net.Conn]netip.Prefix // to the source that each counts for, invalid for none
	sources Counts[netip.Prefix]
}

func (c *counted) take(conn net.Conn, from netip.Addr) bound {
	var source netip.Prefix
	trusted := func(proxies netip.Prefix) bool { return proxies.Contains(from.WithZone("")) }
	if c.perAddress > 0 && !slices.ContainsFunc(c.trusted, trusted) {
		source = Source(from)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.max > 0 && len(c.conns) >= c.max {
		return inAll
	}
	if source.IsValid() && !c.sources.Take(source, c.perAddress) {
		return perAddress
	}
	if c.conns == nil {
		c.conns = make(map[net.Conn]netip.Prefix)
	}
	c.conns[conn] = source
	return withinLimits
}

// release forgets a connection; one that was refused, it has never known.
func (c *counted) release(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if source, ok := c.conns[conn]; ok {
		delete(c.conns, conn)
		c.sources.Release(source)
	}
}

func (c *counted) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.conns)
}

// remote returns the address at the other end, invalid if that is not an IP address.
func remote(conn net.Conn) netip.Addr {
	addr, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return addr.AddrPort().Addr().Unmap()
}
