package limit_test

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/limit"
)

// listened is a listener whose connections are accepted and kept.
type listened struct {
	addr     string
	accepted chan net.Conn
}

func listen(t *testing.T, conns *limit.Conns) *listened {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &listened{inner.Addr().String(), make(chan net.Conn, 100)}
	listener, ended := conns.Listen(inner), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			l.accepted <- conn
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
		for len(l.accepted) > 0 {
			_ = (<-l.accepted).Close()
		}
	})
	return l
}

func (l *listened) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// ends waits for the other side to close.
func ends(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := conn.Read(make([]byte, 1)); !isRefused(err) {
		t.Errorf("a connection too many: %v", err)
	}
}

func TestConns(t *testing.T) {
	for name, config := range map[string]limit.ConnsConfig{"in all": {Max: 2}, "per address": {PerAddress: 2}} {
		t.Run(name, func(t *testing.T) {
			var inAll, perAddress atomic.Int32
			config.Refused = func(_ net.Addr, of bool) {
				if of {
					perAddress.Add(1)
				} else {
					inAll.Add(1)
				}
			}
			conns := limit.NewConns(config)
			one, other := listen(t, conns), listen(t, conns) // which share it
			one.dial(t)
			first := <-one.accepted
			other.dial(t)
			second := <-other.accepted
			ends(t, one.dial(t))
			ends(t, other.dial(t))
			if got, most := inAll.Load(), int32(config.Max); got != most { // it is 2, or 0
				t.Errorf("%d were refused for all, want %d", got, most)
			}
			if got, most := perAddress.Load(), int32(config.PerAddress); got != most {
				t.Errorf("%d were refused for their address, want %d", got, most)
			}
			for range 3 { // gives back one, not three
				_ = first.Close()
			}
			one.dial(t)
			third := <-one.accepted
			ends(t, one.dial(t))
			_, _ = second.Close(), third.Close()
			for range 2 {
				other.dial(t)
				defer (<-other.accepted).Close()
			}
		})
	}
}

func TestConnsCut(t *testing.T) {
	conns := limit.NewConns(limit.ConnsConfig{})
	l := listen(t, conns)
	before := l.dial(t)
	<-l.accepted
	conns.Cut()
	ends(t, before)
	ends(t, l.dial(t))
}
