package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/proto"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/client"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

func TestSubscriberGetsTypedNotifications(t *testing.T) {
	b := start(t, bridge.Config{})
	all := listen(t, client.SubscriberConfig{URL: b.url()})
	asStrings := listen(t, client.SubscriberConfig{URL: b.url() + "?data=string"})
	some := listen(t, client.SubscriberConfig{
		URL: b.url() + "?data=json", Types: []string{"evm_address_migration", "new_evm_token_detected"},
	})
	p := newPublisher(t, client.PublisherConfig{Addr: b.GRPCAddr()})
	tokens := &notificationsv1.Notification{Payload: &notificationsv1.Notification_NewEvmTokenDetected{
		NewEvmTokenDetected: &notificationsv1.NewEvmTokenDetected{Tokens: []*notificationsv1.DetectedToken{{TokenIdentifier: "a"}}},
	}}
	for _, n := range []*notificationsv1.Notification{warning("<&>"), tokens} {
		if _, err := p.Publish(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	const envelope = `{"type":"legacy","data":{"verbosity":"warning","value":"<&>"}}`
	m := await(t, all.messages)
	if m.Type != "legacy" || string(m.Envelope) != envelope || !proto.Equal(m.Notification, warning("<&>")) {
		t.Errorf("got %s %s %v", m.Type, m.Envelope, m.Notification)
	}
	if m := await(t, asStrings.messages); !proto.Equal(m.Notification, warning("<&>")) {
		t.Errorf("with data=string: got %s %v", m.Envelope, m.Notification)
	}
	for _, l := range []listener{all, asStrings, some} {
		if m := await(t, l.messages); m.Type != "new_evm_token_detected" || !proto.Equal(m.Notification, tokens) {
			t.Errorf("got %s %v", m.Envelope, m.Notification)
		}
	}
}

// TestStopIsClean: leaving the loop ends the connection with a closing handshake.
func TestStopIsClean(t *testing.T) {
	for name, leave := range map[string]func(cancel context.CancelFunc) (goOn bool){
		"break":                   func(context.CancelFunc) bool { return false },
		"cancel in the loop":      func(cancel context.CancelFunc) bool { cancel(); return true },
		"cancel and then a break": func(cancel context.CancelFunc) bool { cancel(); return false },
	} {
		t.Run(name, func(t *testing.T) {
			closed := make(chan error, 1)
			url := websocketServer(t, func(conn *websocket.Conn) {
				for range 3 {
					_ = conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"legacy","data":{"verbosity":"error","value":""}}`))
				}
				_, _, err := conn.ReadMessage()
				closed <- err
			})
			s, err := client.NewSubscriber(client.SubscriberConfig{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			yielded, ended := 0, error(nil)
			for _, err := range s.Messages(ctx) {
				if err != nil {
					ended = err
					continue
				}
				if yielded++; !leave(cancel) {
					break
				}
			}
			if err := await(t, closed); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
				t.Errorf("the server saw: %v", err)
			}
			if wantErr := name == "cancel in the loop"; yielded != 1 || errors.Is(ended, context.Canceled) != wantErr {
				t.Errorf("%d messages, ended with %v", yielded, ended)
			}
		})
	}
}

// TestCancelWhileConnecting covers the places where there is no connection.
func TestCancelWhileConnecting(t *testing.T) {
	outage := make(chan error, 1)
	free := start(t, bridge.Config{})
	free.stop()
	s, err := client.NewSubscriber(client.SubscriberConfig{
		URL: free.url(), OnOutage: func(err error) { outage <- err },
		Backoff: client.Backoff{Min: time.Hour, Max: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		for _, err := range s.Messages(ctx) {
			ended <- err
		}
	}()
	if err := await(t, outage); err == nil {
		t.Error("no reason for the outage")
	}
	cancel()
	if err := await(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

// TestComesBack: after these ends the subscriber connects again and tells of the outage once.
func TestComesBack(t *testing.T) {
	closeWith := func(code int) func(http.ResponseWriter, *http.Request) {
		return upgraded(func(conn *websocket.Conn) {
			_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(time.Second))
		})
	}
	refuse := func(status int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "later", status) }
	}
	for name, first := range map[string]func(http.ResponseWriter, *http.Request){
		"abrupt end":     upgraded(func(*websocket.Conn) {}),
		"abrupt reset":   upgraded(func(conn *websocket.Conn) { _ = conn.NetConn().(interface{ SetLinger(int) error }).SetLinger(0) }),
		"silence":        upgraded(func(conn *websocket.Conn) { _, _, _ = conn.ReadMessage() }),
		"going away":     closeWith(websocket.CloseGoingAway),
		"try again":      closeWith(websocket.CloseTryAgainLater),
		"restart":        closeWith(websocket.CloseServiceRestart),
		"503":            refuse(http.StatusServiceUnavailable),
		"502":            refuse(http.StatusBadGateway),
		"429":            refuse(http.StatusTooManyRequests),
		"torn handshake": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			handshakes := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				handshakes++
				number := handshakes
				mu.Unlock()
				if number <= 3 {
					first(w, r)
					return
				}
				upgraded(func(conn *websocket.Conn) {
					_ = conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"from the future","data":{}}`))
					_, _, _ = conn.ReadMessage()
				})(w, r)
			}))
			defer server.Close()
			config := client.SubscriberConfig{URL: "ws" + strings.TrimPrefix(server.URL, "http"), Backoff: quick}
			outages := 0
			config.OnOutage = func(error) { outages++ }
			connects := 0
			config.OnConnect = func() { connects++ }
			if name == "silence" {
				config.Silence = 50 * time.Millisecond
			}
			s, err := client.NewSubscriber(config)
			if err != nil {
				t.Fatal(err)
			}
			for m, err := range s.Messages(t.Context()) {
				if err != nil || m.Type != "from the future" || m.Notification != nil {
					t.Errorf("got %+v, %v", m, err)
				}
				break
			}
			if wantOutages := max(connects-1, 1); outages != wantOutages {
				t.Errorf("%d outages told of, %d connections", outages, connects)
			}
		})
	}
}

// TestStaysAway: after these ends the iteration is over, with an error that says why.
func TestStaysAway(t *testing.T) {
	b := start(t, bridge.Config{})
	ended := func(config client.SubscriberConfig) error {
		config.OnOutage = func(err error) { t.Errorf("an outage: %v", err) }
		s, err := client.NewSubscriber(config)
		if err != nil {
			t.Fatal(err)
		}
		var last error
		n := 0
		for _, err := range s.Messages(t.Context()) {
			last = err
			n++
		}
		if n != 1 {
			t.Errorf("%d pairs, want the error alone", n)
		}
		return last
	}
	t.Run("unknown type", func(t *testing.T) {
		var refused *client.HandshakeError
		err := ended(client.SubscriberConfig{URL: b.url(), Types: []string{"legacy", "nonsense"}})
		if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest || !strings.Contains(err.Error(), "nonsense") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("foreign origin", func(t *testing.T) {
		var refused *client.HandshakeError
		err := ended(client.SubscriberConfig{URL: b.url(), Header: http.Header{"Origin": {"https://example.org"}}})
		if !errors.As(err, &refused) || refused.Status != http.StatusForbidden {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no bridge", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		defer server.Close()
		var refused *client.HandshakeError
		err := ended(client.SubscriberConfig{URL: "ws" + strings.TrimPrefix(server.URL, "http")})
		if !errors.As(err, &refused) || refused.Status != http.StatusOK {
			t.Errorf("got %v", err)
		}
	})
	for _, code := range []int{
		websocket.CloseNormalClosure, websocket.CloseProtocolError, websocket.CloseInvalidFramePayloadData,
		websocket.ClosePolicyViolation, websocket.CloseMessageTooBig,
	} {
		t.Run(fmt.Sprint("close code ", code), func(t *testing.T) {
			url := websocketServer(t, func(conn *websocket.Conn) {
				_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, "so it is"), time.Now().Add(time.Second))
				_, _, _ = conn.ReadMessage()
			})
			var closed *client.ClosedError
			err := ended(client.SubscriberConfig{URL: url})
			if !errors.As(err, &closed) || closed.Code != code || !strings.Contains(err.Error(), "so it is") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestOddMessages: what is no envelope is passed over, what is newer than this client is handed on.
func TestOddMessages(t *testing.T) {
	pinged := make(chan string, 1)
	url := websocketServer(t, func(conn *websocket.Conn) {
		conn.SetPongHandler(func(data string) error {
			pinged <- data
			return nil
		})
		_ = conn.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(time.Second))
		for _, text := range []string{
			``, `[]`, `null`, `{"data":{}}`, `{"type":7,"data":{}}`, `{"type":"legacy","data":{}`,
			`{"type":"legacy","data":{"verbosity":"warning","value":"a","color":"red"},"id":"1-2"}`,
			`{"type":"legacy","data":{"verbosity":"deafening","value":"b"}}`,
			`{"type":"newer","data":[1]}`,
		} {
			_ = conn.WriteMessage(websocket.TextMessage, []byte(text))
		}
		_, _, _ = conn.ReadMessage()
	})
	l := listen(t, client.SubscriberConfig{URL: url})
	if m := await(t, l.messages); m.Notification.GetLegacy().GetValue() != "a" {
		t.Errorf("a known type with unknown keys: got %s %v", m.Envelope, m.Notification)
	}
	if m := await(t, l.messages); m.Type != "legacy" || m.Notification != nil || !strings.Contains(string(m.Envelope), "deafening") {
		t.Errorf("a known type with an unknown value: got %s %v", m.Envelope, m.Notification)
	}
	if m := await(t, l.messages); m.Type != "newer" || m.Notification != nil || string(m.Envelope) != `{"type":"newer","data":[1]}` {
		t.Errorf("an unknown type: got %s %v", m.Envelope, m.Notification)
	}
	if data := await(t, pinged); data != "are you there" {
		t.Errorf("the ping was answered with %q", data)
	}
}

func TestSubscriberConfig(t *testing.T) {
	for _, config := range []client.SubscriberConfig{
		{URL: "http://127.0.0.1:5043/ws/"},
		{URL: "ws:///ws/"},
		{URL: "ws://%"},
		{Silence: -1},
		{Backoff: client.Backoff{Min: -1}},
	} {
		if _, err := client.NewSubscriber(config); err == nil {
			t.Errorf("%+v was taken", config)
		}
	}
}

// websocketServer runs a server that does with each connection what a bridge would not, and returns its URL.
func websocketServer(t *testing.T, script func(conn *websocket.Conn)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(upgraded(script)))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// upgraded runs script on the websocket and then ends TCP.
func upgraded(script func(conn *websocket.Conn)) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		script(conn)
	}
}
