package delivery_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
	"github.com/rotki/notification-bridge/bridge/session"
)

// page is a browser's: it keeps the cookie, answers pings, and knows nothing of resuming.
type page struct {
	*served
	header http.Header
	cookie string
}

func (s *served) page() *page {
	return &page{served: s, header: http.Header{"Origin": {"http://localhost:8080"}, "User-Agent": {"a browser"}}}
}

// connect returns a connection, and the cookie that its answer sets, if it does.
func (p *page) connect(t testing.TB, query string) (*websocket.Conn, *http.Cookie) {
	t.Helper()
	header := p.header.Clone()
	if p.cookie != "" {
		header.Set("Cookie", p.cookie)
	}
	conn, response, err := p.dialer().DialContext(t.Context(), p.url(query), header)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	for _, cookie := range response.Cookies() {
		p.cookie = cookie.Name + "=" + cookie.Value
		return conn, cookie
	}
	return conn, nil
}

// reset ends a connection with a reset.
func reset(conn *websocket.Conn) {
	tcp := transport(conn.NetConn())
	_ = tcp.SetLinger(0)
	_ = tcp.Close()
}

func serveSessions(t testing.TB, w wire, config delivery.Config, limits journal.MemoryConfig) *served {
	t.Helper()
	config.Sessions = session.New(session.Config{})
	return serveOn(t, w, config, limits)
}

// expect receives the numbers from first to last, which were published as data.
func expect(t testing.TB, conn *websocket.Conn, first, last int) {
	t.Helper()
	for i := first; i <= last; i++ {
		if got, want := receive(t, conn), envelopeOf("legacy", fmt.Sprint(i)); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

func (s *served) number(t testing.TB, first, last int) {
	t.Helper()
	for i := first; i <= last; i++ {
		s.publish(t, "legacy", fmt.Sprint(i))
	}
}

func TestSessionResumes(t *testing.T) { onEveryWire(t, testSessionResumes) }

func testSessionResumes(t *testing.T, w wire) {
	s := serveSessions(t, w, delivery.Config{}, journal.MemoryConfig{})
	s.number(t, 0, 0)
	p := s.page()
	conn, cookie := p.connect(t, "")
	if cookie == nil {
		t.Fatal("no cookie")
	}
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/ws" || cookie.Secure != w.tls || cookie.MaxAge != 0 {
		t.Errorf("the cookie is %v", cookie)
	}
	next := 1
	for range 5 {
		s.number(t, next, next+9)
		expect(t, conn, next, next+9)
		next += 10
		awaitConfirmed(t, s, conn)
		reset(conn)
		await(t, "the connection has ended", func() bool { return s.Connections() == 0 })
		s.number(t, next, next+4)
		conn, cookie = p.connect(t, "")
		if cookie != nil {
			t.Errorf("another cookie: %v", cookie)
		}
		s.number(t, next+5, next+9)
		expect(t, conn, next, next+9)
		next += 10
	}
}

// awaitConfirmed returns once the bridge knows what a connection has got, and that has answered whatever it was asked.
func awaitConfirmed(t testing.TB, s *served, conn *websocket.Conn) {
	t.Helper()
	reading := make(chan struct{})
	go func() { // answers pings
		defer close(reading)
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		_, _, _ = conn.ReadMessage()
	}()
	await(t, "everything is confirmed", func() bool { return s.Unconfirmed() == 0 })
	transportDeadline(conn)
	<-reading
}

// transportDeadline has whoever reads from a connection return.
func transportDeadline(conn *websocket.Conn) { _ = conn.NetConn().SetReadDeadline(time.Unix(1, 0)) }

// TestSessionRepeatsTheUnconfirmed: a client that took bytes in and confirmed nothing gets them again.
func TestSessionRepeatsTheUnconfirmed(t *testing.T) {
	s := serveSessions(t, wire{}, delivery.Config{}, journal.MemoryConfig{})
	p := s.page()
	conn, _ := p.connect(t, "")
	conn.SetPingHandler(func(string) error { return nil })
	s.number(t, 1, 5)
	expect(t, conn, 1, 5)
	reset(conn)
	await(t, "the connection has ended", func() bool { return s.Connections() == 0 })
	again, _ := p.connect(t, "")
	expect(t, again, 1, 5)
}

// TestSessionCleanClose: whoever says goodbye has missed nothing.
func TestSessionCleanClose(t *testing.T) {
	s := serveSessions(t, wire{}, delivery.Config{}, journal.MemoryConfig{})
	p := s.page()
	conn, _ := p.connect(t, "")
	_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, ""), time.Now().Add(patience))
	await(t, "the connection has ended", func() bool { return s.Connections() == 0 })
	s.number(t, 1, 3)
	again, _ := p.connect(t, "")
	s.number(t, 4, 4)
	expect(t, again, 4, 4)
}

// TestSessionFilter: what a client wants is what its new handshake says.
func TestSessionFilter(t *testing.T) {
	s := serveSessions(t, wire{}, delivery.Config{}, journal.MemoryConfig{})
	p := s.page()
	conn, _ := p.connect(t, "?types=legacy")
	reset(conn)
	await(t, "the connection has ended", func() bool { return s.Connections() == 0 })
	s.publish(t, "legacy", "1")
	s.publish(t, "other", "2")
	again, _ := p.connect(t, "?types=other&data=string")
	if got, want := receive(t, again), envelopeOf("other", `"2"`); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestSessionPassesOver: a client for which there was nothing has missed nothing.
func TestSessionPassesOver(t *testing.T) {
	s := serveSessions(t, wire{}, delivery.Config{}, journal.MemoryConfig{Messages: 10})
	p := s.page()
	conn, _ := p.connect(t, "?types=other")
	s.publish(t, "other", "0")
	if got := receive(t, conn); got != envelopeOf("other", "0") {
		t.Fatalf("got %s", got)
	}
	witness := s.dial(t, "") // is walked past later
	for i := range 100 {
		s.number(t, i, i)
		expect(t, witness, i, i)
	}
	awaitConfirmed(t, s, conn)
	reset(conn)
	await(t, "the connection has ended", func() bool { return s.Connections() == 1 })
	again, _ := p.connect(t, "")
	s.number(t, 100, 100)
	if got := receive(t, again); got != envelopeOf("legacy", "100") {
		t.Errorf("got %s", got)
	}
	if n := s.metric(t, "bridge_session_lost_total", ""); n != 0 {
		t.Errorf("%v lost", n)
	}
}

// TestSessionLost: what the journal no longer has is counted, and the rest comes.
func TestSessionLost(t *testing.T) {
	s := serveSessions(t, wire{}, delivery.Config{}, journal.MemoryConfig{Messages: 10})
	p := s.page()
	conn, _ := p.connect(t, "")
	reset(conn)
	await(t, "the connection has ended", func() bool { return s.Connections() == 0 })
	s.number(t, 1, 25)
	again, _ := p.connect(t, "")
	expect(t, again, 16, 25)
	if n := s.metric(t, "bridge_session_lost_total", ""); n != 15 {
		t.Errorf("%v lost, want 15", n)
	}
}

// TestSessionLostAgainAndAgain: a client that confirms nothing, and comes back all the time, does not fill the log.
func TestSessionLostAgainAndAgain(t *testing.T) {
	var log bytes.Buffer // of slog's handler, which writes one line at a time
	logger := slog.New(slog.NewTextHandler(&log, nil))
	s := serveSessions(t, wire{}, delivery.Config{Logger: logger}, journal.MemoryConfig{Messages: 10})
	p := s.page()
	p.connect(t, "") // and never reads, so that it answers no ping
	s.number(t, 1, 25)
	const handshakes = 50
	for range handshakes {
		p.connect(t, "")
	}
	if n := s.metric(t, "bridge_session_lost_total", ""); n != 15*handshakes {
		t.Errorf("%v lost, want %d", n, 15*handshakes)
	}
	s.stop()
	if lines := strings.Count(log.String(), "no longer held"); lines == 0 || lines == handshakes {
		t.Errorf("the log has %d lines", lines)
	}
}

// TestSessionForNobody: those who keep no cookies get none, and neither does anybody where sessions are off.
func TestSessionForNobody(t *testing.T) {
	on := serveSessions(t, wire{}, delivery.Config{}, journal.MemoryConfig{})
	off := serve(t, delivery.Config{}, journal.MemoryConfig{})
	for name, tc := range map[string]struct {
		server *served
		origin bool
		query  string
	}{
		"no browser":          {on, false, ""},
		"resumes by itself":   {on, true, "?since=now"},
		"switched off":        {off, true, ""},
		"resumes by position": {on, true, fmt.Sprintf("?since=%v", journal.Position{Epoch: on.journal.Epoch()})},
	} {
		p := tc.server.page()
		if !tc.origin {
			p.header.Del("Origin")
		}
		if _, cookie := p.connect(t, tc.query); cookie != nil {
			t.Errorf("%s: got %v", name, cookie)
		}
	}
}

// TestSessionByOrigin: a client on this machine to which no cookie comes back is known by its origin and user agent.
func TestSessionByOrigin(t *testing.T) {
	for name, tc := range map[string]struct {
		on      bool
		change  func(*page)
		resumes bool
	}{
		"the same":        {on: true, change: func(*page) {}, resumes: true},
		"switched off":    {change: func(*page) {}},
		"another browser": {on: true, change: func(p *page) { p.header.Set("User-Agent", "another") }},
		"another page":    {on: true, change: func(p *page) { p.header.Set("Origin", "http://localhost:8081") }},
		"behind a proxy":  {on: true, change: func(p *page) { p.header.Set("X-Forwarded-For", "192.0.2.1") }},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveSessions(t, wire{}, delivery.Config{SessionsByOrigin: tc.on}, journal.MemoryConfig{})
			p := s.page()
			conn, _ := p.connect(t, "")
			s.number(t, 1, 2)
			expect(t, conn, 1, 2)
			awaitConfirmed(t, s, conn)
			reset(conn)
			await(t, "the connection has ended", func() bool { return s.Connections() == 0 })
			s.number(t, 3, 3)
			p.cookie = ""
			tc.change(p)
			again, _ := p.connect(t, "")
			s.number(t, 4, 4)
			if tc.resumes {
				expect(t, again, 3, 4)
			} else {
				expect(t, again, 4, 4)
			}
		})
	}
}

// TestSessionModel cuts a page's connections at random places, on either side and by the bridge: what it gets has no gap,
// and repeats only what it had not confirmed.
func TestSessionModel(t *testing.T) { onEveryWire(t, testSessionModel) }

func testSessionModel(t *testing.T, w wire) {
	const total, cuts = 3000, 30
	s := serveSessions(t, w, delivery.Config{SendBuffer: 1, Shards: 2}, journal.MemoryConfig{})
	p := s.page()
	conn, _ := p.connect(t, "")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	published := make(chan struct{})
	ahead := make(chan struct{}, 100) // has those that are published and not received, so that all connections get some
	go func() {
		defer close(published)
		for i := range total {
			select {
			case ahead <- struct{}{}:
			case <-ctx.Done():
				return
			}
			s.publish(t, "legacy", fmt.Sprintf(`"%d %s"`, i, strings.Repeat("x", rand.IntN(300))))
		}
	}()
	next, repeats := 0, 0
	for connection := 0; next < total; connection++ {
		if connection > 0 {
			conn, _ = p.connect(t, "")
		}
		limit, last := rand.IntN(2*total/cuts)+1, -1
		if connection >= cuts {
			limit = total
		}
		for got := 0; got < limit && next < total; got++ {
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			_, text, err := conn.ReadMessage()
			if err != nil {
				t.Fatalf("after %d: %v", next, err)
			}
			number := -1
			if _, err := fmt.Sscanf(string(text), `{"type":"legacy","data":"%d`, &number); err != nil {
				t.Fatalf("got %s: %v", text, err)
			}
			if last >= 0 && number != last+1 || number > next {
				t.Fatalf("%d came after %d, %d was next", number, last, next)
			}
			if last = number; number < next {
				repeats++
				limit++
			} else {
				next++
				<-ahead
			}
		}
		switch connection % 3 {
		case 0:
			reset(conn)
		case 1:
			_ = conn.Close() // the bridge sees the end of TCP
		default:
			s.Disconnect(delivery.Selector{}, delivery.Dismissed) // the bridge ends it
			_, _ = io.Copy(io.Discard, conn.NetConn())
		}
		await(t, "the connection has ended", func() bool { return s.Connections() == 0 })
	}
	stop()
	<-published
	t.Logf("%d repeats", repeats)
}

// TestSessionFailedHandshakes: handshakes that come to nothing take nobody's place away.
func TestSessionFailedHandshakes(t *testing.T) {
	config := delivery.Config{Sessions: session.New(session.Config{Limit: 10})}
	s := serveOn(t, wire{}, config, journal.MemoryConfig{})
	p := s.page()
	conn, _ := p.connect(t, "")
	reset(conn)
	await(t, "the connection has ended", func() bool { return s.Connections() == 0 })
	s.number(t, 1, 2)
	for range 20 {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+"/ws/", nil)
		request.Header.Set("Connection", "Upgrade")
		request.Header.Set("Upgrade", "websocket")
		request.Header.Set("Origin", "http://localhost")
		response, err := http.DefaultClient.Do(request) // without a key
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusBadRequest {
			t.Fatalf("got %s", response.Status)
		}
	}
	again, _ := p.connect(t, "")
	expect(t, again, 1, 2)
}
