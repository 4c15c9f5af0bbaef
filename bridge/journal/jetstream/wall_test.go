package jetstream_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// wall stands between a bridge and a NATS server. While it is closed nothing comes through, as in a network that is
// cut.
type wall struct {
	listener net.Listener
	server   string

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
	piping sync.WaitGroup
}

// newWall returns a wall in front of a server that is open, and is torn down when the test ends.
func newWall(t *testing.T, url string) *wall {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wall{listener: listener, server: strings.TrimPrefix(url, "nats://"), conns: make(map[net.Conn]struct{})}
	var accepting sync.WaitGroup
	accepting.Go(w.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		accepting.Wait()
		w.close()
		w.piping.Wait()
	})
	return w
}

func (w *wall) url() string { return "nats://" + w.listener.Addr().String() }

func (w *wall) accept() {
	for {
		from, err := w.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", w.server)
		if err != nil {
			_ = from.Close()
			continue
		}
		if !w.track(from, to) {
			continue
		}
		w.piping.Go(func() { w.pipe(from, to) })
		w.piping.Go(func() { w.pipe(to, from) })
	}
}

// track takes a pair of connections in, unless the wall is closed.
func (w *wall) track(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		if w.closed {
			_ = c.Close()
		} else {
			w.conns[c] = struct{}{}
		}
	}
	return !w.closed
}

func (w *wall) pipe(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	_, _ = from.Close(), to.Close()
}

func (w *wall) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for c := range w.conns {
		_ = c.Close()
	}
	clear(w.conns)
}

func (w *wall) open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = false
}
