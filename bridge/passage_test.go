package bridge

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// logged keeps what is logged, from any goroutine.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// brief is how long clients may do nothing: long enough for those that do something, on a machine that is busy.
const brief = 300 * time.Millisecond

// pass serves what a handler answers, passed on by a bridge.
func pass(t *testing.T, upstream http.HandlerFunc, atMost int, patience time.Duration) (addr string, log *logged) {
	t.Helper()
	behind := httptest.NewServer(upstream)
	t.Cleanup(behind.Close)
	target, err := url.Parse(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	log = new(logged)
	logger := slog.New(slog.NewTextHandler(log, nil))
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	passage := newPassage(newUpstream(target, transport, nil, "", logger), atMost, logger, prometheus.NewRegistry())
	passage.patience = patience
	server := httptest.NewUnstartedServer(passage)
	server.Config = newHTTPServer(passage, logger)
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), log
}

// say opens a connection and says something on it.
func say(t *testing.T, addr, what string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, what); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestBodyThatStalls: who does not send what he has announced is told, and the connection ends; nobody blames the
// upstream.
func TestBodyThatStalls(t *testing.T) {
	addr, log := pass(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}, 0, brief)
	conn := say(t, addr, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf")
	answer, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection is held open")
	}
	if !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") {
		t.Errorf("it is told %q, %v", answer, err)
	}
	if text := log.String(); text != "" {
		t.Errorf("the log says %s", text)
	}
}

// TestAnswerThatIsNotTaken: who does not take the upstream's answer in holds neither of the two connections.
func TestAnswerThatIsNotTaken(t *testing.T) {
	ended := make(chan struct{})
	addr, _ := pass(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		for piece := make([]byte, 64<<10); r.Context().Err() == nil; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}, 0, brief)
	say(t, addr, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the upstream's connection is held open")
	}
}

// TestAnswerThatTakesItsTime: an upstream may think, and pause, for longer than a client may.
func TestAnswerThatTakesItsTime(t *testing.T) {
	addr, _ := pass(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(2 * brief)
		_, _ = io.WriteString(w, "first ")
		_ = http.NewResponseController(w).Flush()
		time.Sleep(2 * brief)
		_, _ = io.WriteString(w, "second")
		_ = http.NewResponseController(w).Flush()
		time.Sleep(2 * brief)
	}, 0, brief)
	for range 2 { // on one connection
		response, err := http.Get("http://" + addr)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || string(body) != "first second" {
			t.Errorf("%q, %v", body, err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestTooManyPassedOn: a connection that speaks another protocol counts for as long as it does.
func TestTooManyPassedOn(t *testing.T) {
	addr, log := pass(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(conn, conn)
	}, 1, time.Minute)
	const upgrade = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
	status := func(conn net.Conn) string {
		t.Helper()
		b := make([]byte, len("HTTP/1.1 101"))
		if _, err := io.ReadFull(conn, b); err != nil {
			t.Fatal(err)
		}
		return string(b[len("HTTP/1.1 "):])
	}
	first := say(t, addr, upgrade)
	if got := status(first); got != "101" {
		t.Fatalf("the first gets %s", got)
	}
	if got := status(say(t, addr, upgrade)); got != "503" {
		t.Errorf("the second gets %s", got)
	}
	_ = first.Close()
	for status(say(t, addr, upgrade)) != "101" { // there is room as soon as the bridge has seen that the first is gone
		time.Sleep(10 * time.Millisecond)
	}
	if !strings.Contains(log.String(), "there are too many") {
		t.Errorf("the log says %s", log)
	}
}

// TestBodyThatNobodyWants: it does not hold the connection, which is answered long before.
func TestBodyThatNobodyWants(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config = newHTTPServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	server.Start()
	defer server.Close()
	conn := say(t, server.Listener.Addr().String(), "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf")
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is held open")
	}
}
