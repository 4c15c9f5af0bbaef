//go:build linux

package load

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a server that sends each subscriber these messages, and compresses them for who offers that.
func serve(t *testing.T, numbers ...int) (addr string) {
	upgrader := websocket.Upgrader{EnableCompression: true}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for _, number := range numbers {
			text := Prefix + string(AppendValue(nil, time.Now(), number, 2000)) + Suffix
			_ = conn.WriteMessage(websocket.TextMessage, []byte(text))
		}
		_, _, _ = conn.NextReader() // until the subscriber closes
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestCrowd(t *testing.T) {
	for name, deflate := range map[string]bool{"plain": false, "deflate": true} {
		t.Run(name, func(t *testing.T) {
			crowd, err := Connect(t.Context(), Config{Addrs: []string{serve(t, 5, 6, 7)}, Path: "/", Count: 300, First: 5, Deflate: deflate})
			if err != nil {
				t.Fatal(err)
			}
			defer crowd.Close()
			if err := crowd.Await(t.Context(), 8); err != nil {
				t.Fatal(err)
			}
			tally, err := crowd.Finish(8)
			if err != nil {
				t.Fatal(err)
			}
			if tally.Messages != 900 || crowd.Compressed() != deflate || (tally.Bytes > 900*1000) == deflate {
				t.Errorf("%d messages of %d bytes came, compressed: %v", tally.Messages, tally.Bytes, crowd.Compressed())
			}
		})
	}
}

// Each server gets the same share, and each subscriber must get all that it sends.
func TestCrowdOfSeveralServers(t *testing.T) {
	addrs := []string{serve(t, 0, 1), serve(t, 0, 1), serve(t, 0, 1)}
	crowd, err := Connect(t.Context(), Config{Addrs: addrs, Path: "/", Count: 30})
	if err != nil {
		t.Fatal(err)
	}
	defer crowd.Close()
	if err := crowd.Await(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if _, err := crowd.Finish(2); err != nil {
		t.Fatal(err)
	}
	served := make(map[string]int)
	for _, r := range crowd.receivers {
		for _, s := range r.subscribers {
			peer, err := syscall.Getpeername(s.fd)
			if err != nil {
				t.Fatal(err)
			}
			served[fmt.Sprintf("127.0.0.1:%d", peer.(*syscall.SockaddrInet4).Port)]++
		}
	}
	for _, addr := range addrs {
		if served[addr] != 10 {
			t.Errorf("%s has %d subscribers, want 10", addr, served[addr])
		}
	}
}

func TestCrowdNoticesWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		sent []int
		next int
		err  string
	}{
		"too many":     {[]int{0, 1, 2}, 2, "came, only 6 were published"},
		"a gap":        {[]int{0, 2}, 2, "message 2 came, want 1"},
		"one missing":  {[]int{0}, 2, "3 of 6 messages have come"},
		"another one":  {[]int{7, 8}, 2, "message 7 came, want 0"},
		"out of order": {[]int{1, 0}, 2, "message 1 came, want 0"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			crowd, err := Connect(ctx, Config{Addrs: []string{serve(t, test.sent...)}, Path: "/", Count: 3})
			if err == nil { // it may be noticed while others connect
				defer crowd.Close()
				time.Sleep(50 * time.Millisecond) // all of it has come
				err = crowd.Await(ctx, test.next)
			}
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("the error is %v, want %q", err, test.err)
			}
		})
	}
}

func TestRefusedConnection(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, err := Connect(t.Context(), Config{Addrs: []string{strings.TrimPrefix(server.URL, "http://")}, Path: "/", Count: 2})
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("the error is %v", err)
	}
	if _, err := Connect(t.Context(), Config{Addrs: []string{"127.0.0.1:1"}, Path: "/", Count: 2}); err == nil {
		t.Error("nobody listens there")
	}
}

func TestSilentCrowd(t *testing.T) {
	crowd, err := Connect(t.Context(), Config{Addrs: []string{serve(t, 7)}, Path: "/", Count: 2, Silent: true, ReceiveBuffer: 4096})
	if err != nil {
		return // the message came with the handshake's answer, and was read
	}
	defer crowd.Close()
	time.Sleep(50 * time.Millisecond)
	if n := crowd.received(); n != 0 {
		t.Errorf("it has read %d messages", n)
	}
}
