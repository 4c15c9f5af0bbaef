package bridge_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"google.golang.org/grpc"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/bridge/auth"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// replicas are two bridges on one stream. The first has the stream's server in it.
type replicas struct {
	p        *provider
	log      *transcript // of both
	operator string      // a token for both
	first    bridge.Config
	second   bridge.Config
	a, b     running
}

// startReplicas starts two bridges that ask everybody for a token.
func startReplicas(t *testing.T) *replicas {
	t.Helper()
	r := &replicas{p: newProvider(t), log: new(transcript)}
	r.operator = r.p.token(t, "operator", "operator-token", auth.ScopeAdmin)
	nats := freeAddrs(t)[0]
	common := bridge.Config{Access: r.p.access(), Logger: r.log.logger()}
	r.first, r.second = common, common
	r.first.Stream = bridge.StreamConfig{Dir: t.TempDir(), Listen: nats}
	r.second.Stream = bridge.StreamConfig{URLs: []string{"nats://" + nats}}
	r.a = start(t, r.first)
	r.b = start(t, r.second)
	return r
}

func (r *replicas) both() []running { return []running{r.a, r.b} }

// publish has a replica take a notification.
func (r *replicas) publish(t testing.TB, at running, text string, recipients ...string) {
	t.Helper()
	token := r.p.token(t, "publisher", "publisher-token", auth.ScopePublish)
	request := &notificationsv1.PublishRequest{Notification: legacy(text), Recipients: recipients}
	at.publisher(t, bearing(token)).accepted(t, request)
}

// page opens a websocket as a page of this machine's own does, whose browser has the cookies. It returns those that it
// has then.
func (b running) page(t testing.TB, cookies []*http.Cookie) (*websocket.Conn, []*http.Cookie) {
	t.Helper()
	conn, jar, err := b.dialPage(t.Context(), cookies)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, jar
}

func (b running) dialPage(ctx context.Context, cookies []*http.Cookie) (*websocket.Conn, []*http.Cookie, error) {
	r := &http.Request{Header: http.Header{"Origin": {"http://localhost:5173"}, "User-Agent": {"browser"}}}
	for _, cookie := range cookies {
		r.AddCookie(cookie)
	}
	conn, response, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+b.HTTPAddr()+"/ws/", r.Header)
	if err != nil {
		return nil, cookies, err
	}
	return conn, append(cookies[:len(cookies):len(cookies)], response.Cookies()...), nil
}

// loggedIn are the cookies of a browser that has a token and no session yet.
func loggedIn(token string) []*http.Cookie { return []*http.Cookie{{Name: tokenCookie, Value: token}} }

// websocketAs opens a websocket with a token.
func (b running) websocketAs(t testing.TB, token string) *websocket.Conn {
	t.Helper()
	r := newRequest(t, "ws://"+b.HTTPAddr()+"/ws/", visitor{token: token}, byHeader)
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), r.URL.String(), r.Header)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// reset ends a connection as a network does that fails: what was not read is lost, and the peer gets an RST.
func reset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// events are Server-Sent Events as they come.
type events struct {
	conn  net.Conn
	body  io.ReadCloser
	lines *bufio.Scanner
	last  string // the id of the last whole event
}

// openEvents asks for events; last is where to go on, empty for now. It returns once the bridge has said where that is.
func (b running) openEvents(ctx context.Context, token, last string) (*events, error) {
	e := new(events)
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		e.conn = conn
		return conn, err
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: dial}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.HTTPAddr()+"/events?token="+token, nil)
	if err != nil {
		return nil, err
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close()
		return nil, errors.New(response.Status)
	}
	e.body, e.lines = response.Body, bufio.NewScanner(response.Body)
	if data, err := e.next(); err != nil || data != "" {
		_ = e.body.Close()
		return nil, errors.Join(err, errors.New("it begins with "+data))
	}
	return e, nil
}

// next returns the data of the next event, which is empty for one that says no more than where it is.
func (e *events) next() (string, error) {
	var id, data string
	lost := false
	for e.lines.Scan() {
		line := e.lines.Text()
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case name == "id":
			id = value
		case name == "data":
			data = value
		case name == "event" && value == "lost":
			lost = true
		case line == "" && lost:
			return "", errors.New("lost: " + data)
		case line == "" && id != "":
			e.last = id
			return data, nil
		}
	}
	if err := e.lines.Err(); err != nil {
		return "", err
	}
	return "", io.EOF
}

// bearing has a call show a token; none if that is empty.
func bearing(token string) grpc.CallOption {
	if token == "" {
		return grpc.EmptyCallOption{}
	}
	return grpc.PerRPCCredentials(bearer(token))
}

// bearer is a token for one gRPC call. It implements credentials.PerRPCCredentials.
type bearer string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (bearer) RequireTransportSecurity() bool { return false }
