package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge"
)

// publishLines publishes through the real command, which must accept all.
func (b atWork) publishLines(t *testing.T, lines ...string) {
	t.Helper()
	r := begin(t, strings.NewReader(strings.Join(lines, "\n")), "publish", "--grpc-addr", b.GRPCAddr())
	r.exit(t, 0)
}

func TestListenPrintsEnvelopes(t *testing.T) {
	b := startBridge(t, bridge.Config{})
	tokens := `{"type":"new_evm_token_detected","data":[{"token_identifier":"<é🚀>"}]}`
	plain := begin(t, nil, "listen", "--url", b.url(), "--count", "2")
	pretty := begin(t, nil, "listen", "--url", b.url(), "--count", "1", "--pretty", "--types", "evm_address_migration,new_evm_token_detected")
	plain.err.await(t, "subscribed to "+b.url()+"\n", 1)
	pretty.err.await(t, "subscribed to "+b.url()+"\n", 1)
	b.publishLines(t, warningLine("1"), tokens, warningLine("3"))
	plain.exit(t, 0)
	pretty.exit(t, 0)
	if want := warningLine("1") + "\n" + tokens + "\n"; plain.out.String() != want {
		t.Errorf("it printed:\n%s", plain.out)
	}
	want := `{
  "type": "new_evm_token_detected",
  "data": [
    {
      "token_identifier": "<é🚀>"
    }
  ]
}
`
	if pretty.out.String() != want {
		t.Errorf("with --pretty it printed:\n%s", pretty.out)
	}
}

func TestListenComesBack(t *testing.T) {
	first := startBridge(t, bridge.Config{})
	r := begin(t, nil, "listen", "--url", first.url())
	r.err.await(t, "subscribed to ", 1)
	first.publishLines(t, warningLine("before"))
	first.stop()
	r.err.await(t, "retrying: ", 1)
	second := startBridge(t, bridge.Config{HTTPAddr: first.HTTPAddr()})
	r.err.await(t, "subscribed to ", 2)
	second.publishLines(t, warningLine("after"))
	r.out.await(t, "after", 1)
	r.cancel()
	r.exit(t, 0)
	if want := warningLine("before") + "\n" + warningLine("after") + "\n"; r.out.String() != want {
		t.Errorf("it printed:\n%s", r.out)
	}
	if n := strings.Count(r.err.String(), "retrying: "); n != 1 {
		t.Errorf("it said %d times that it is retrying:\n%s", n, r.err)
	}
}

// TestListenPrintsUnknownTypes: a bridge may be newer than this program.
func TestListenPrintsUnknownTypes(t *testing.T) {
	const envelope = `{"type": "newer", "data": {"a": [1, 2.50]}}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.WriteMessage(websocket.TextMessage, []byte(envelope))
		_, _, _ = conn.ReadMessage()
	}))
	defer server.Close()
	r := begin(t, nil, "listen", "--count", "1", "--url", "ws"+strings.TrimPrefix(server.URL, "http"))
	r.exit(t, 0)
	if r.out.String() != envelope+"\n" {
		t.Errorf("it printed:\n%s", r.out)
	}
}

func TestListenFails(t *testing.T) {
	b := startBridge(t, bridge.Config{})
	r := begin(t, nil, "listen", "--url", b.url(), "--types", "nonsense")
	r.exit(t, 1)
	r.err.await(t, "status 400: types: \"nonsense\" is no notification type", 1)

	r = begin(t, nil, "listen", "--url", "http://"+b.HTTPAddr())
	r.exit(t, 1)
	r.err.await(t, "is not a ws or wss URL", 1)

	r = begin(t, nil, "listen", "--url", b.url(), "--count", "3")
	r.err.await(t, "subscribed to ", 1)
	b.publishLines(t, warningLine("1"))
	r.out.await(t, "\n", 1)
	r.cancel()
	r.exit(t, 1)
	r.err.await(t, "interrupted after 1 of 3 envelopes", 1)
}

func TestListenWithoutReader(t *testing.T) {
	b := startBridge(t, bridge.Config{})
	said := newScreen()
	ended := make(chan error, 1)
	go func() {
		ended <- (&listenCommand{URL: b.url()}).Run(context.Background(), stdio{Out: full{}, Err: said})
	}()
	said.await(t, "subscribed to ", 1)
	b.publishLines(t, warningLine("1"))
	if err := <-ended; !errors.Is(err, errFull) {
		t.Errorf("ended with %v", err)
	}
}

var errFull = errors.New("disk full")

// full is a file on a full disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
