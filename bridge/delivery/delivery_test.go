package delivery_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds how long a test waits for what must come; none expects it to pass.
const patience = 30 * time.Second

// served is an engine behind a real HTTP server.
type served struct {
	*delivery.Engine
	wire    wire
	journal *journal.Memory
	metrics *prometheus.Registry
	trust   *tls.Config // for clients
	addr    string
	stop    func()
}

func serve(t testing.TB, config delivery.Config, limits journal.MemoryConfig) *served {
	t.Helper()
	return serveOn(t, wire{}, config, limits)
}

func serveOn(t testing.TB, w wire, config delivery.Config, limits journal.MemoryConfig) *served {
	t.Helper()
	s := &served{wire: w, journal: journal.NewMemory(limits), metrics: prometheus.NewRegistry()}
	if config.Log == nil {
		config.Log = s.journal
	}
	config.Registerer = s.metrics
	config.Types = func() []string { return []string{"legacy", "other"} }
	engine := delivery.New(config)
	s.Engine = engine
	server := s.listen()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx) }()
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		server.Close()
	}
	t.Cleanup(s.stop)
	return s
}

func (s *served) dial(t testing.TB, query string) *websocket.Conn {
	t.Helper()
	return s.dialWith(t, s.dialer(), query)
}

func (s *served) dialWith(t testing.TB, dialer *websocket.Dialer, query string) *websocket.Conn {
	t.Helper()
	conn, _, err := dialer.DialContext(t.Context(), s.url(query), nil)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// dialSlow connects with a receive buffer so small that the bridge's writes come out short.
func (s *served) dialSlow(t testing.TB, query string) *websocket.Conn {
	t.Helper()
	dialer := s.dialer()
	dialer.NetDialContext = dialSmall
	return s.dialWith(t, dialer, query)
}

func dialSmall(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		err = conn.(*net.TCPConn).SetReadBuffer(16 << 10)
	}
	return conn, err
}

func (s *served) publish(t testing.TB, typ, data string) {
	t.Helper()
	if _, err := s.journal.Append(t.Context(), journal.Entry{Type: typ, Data: []byte(data)}); err != nil {
		t.Fatal(err)
	}
}

func receive(t testing.TB, conn *websocket.Conn) string {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, text, err := conn.ReadMessage()
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	return string(text)
}

// closeCode reads until the connection ends and returns the close code, 0 when it ended without a close frame.
func closeCode(t testing.TB, conn *websocket.Conn) int {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	for {
		_, _, err := conn.ReadMessage()
		if err == nil {
			continue
		}
		if closed := (*websocket.CloseError)(nil); errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure {
			return closed.Code
		}
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			t.Fatal("the connection did not end")
		}
		return 0
	}
}

// metric returns a counter or gauge, by name and label value.
func (s *served) metric(t testing.TB, name, label string) float64 {
	t.Helper()
	families, err := s.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if label == "" || m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s{%s}", name, label)
	return 0
}

// await returns once the condition holds.
func await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it did not come to this: %s", what)
		}
	}
}

func envelopeOf(typ, data string) string { return fmt.Sprintf(`{"type":%q,"data":%s}`, typ, data) }

func TestEveryoneGetsAllInOrder(t *testing.T) { onEveryWire(t, testEveryoneGetsAllInOrder) }

func testEveryoneGetsAllInOrder(t *testing.T, w wire) {
	s := serveOn(t, w, delivery.Config{Shards: 3}, journal.MemoryConfig{})
	s.publish(t, "legacy", `"before"`)
	plain, other, text := s.dial(t, ""), s.dial(t, "?types=other"), s.dial(t, "?data=string&types=other,legacy&types=legacy")
	if got := s.Count("legacy", nil); got != 2 {
		t.Errorf("legacy is for %d subscribers, want 2", got)
	}
	if got := s.Count("other", []string{"somebody"}); got != 0 {
		t.Errorf("what names recipients is for %d subscribers", got)
	}
	const n = 500
	for i := range n {
		s.publish(t, "legacy", fmt.Sprint(i))
		s.publish(t, "other", fmt.Sprint(i))
	}
	for i := range n {
		for _, want := range []string{envelopeOf("legacy", fmt.Sprint(i)), envelopeOf("other", fmt.Sprint(i))} {
			if got := receive(t, plain); got != want {
				t.Fatalf("plain got %s, want %s", got, want)
			}
		}
		if got, want := receive(t, other), envelopeOf("other", fmt.Sprint(i)); got != want {
			t.Fatalf("types=other got %s, want %s", got, want)
		}
		for _, typ := range []string{"legacy", "other"} {
			if got, want := receive(t, text), envelopeOf(typ, fmt.Sprintf("%q", fmt.Sprint(i))); got != want {
				t.Fatalf("data=string got %s, want %s", got, want)
			}
		}
	}
	await(t, "all frames are counted", func() bool { return s.metric(t, "bridge_delivered_frames_total", "") == 5*n })
}

// TestTornFrames: with full sockets, writes are cut anywhere, and frames of all sizes arrive whole and in order, pongs
// between them.
func TestTornFrames(t *testing.T) { onEveryWire(t, testTornFrames) }

func testTornFrames(t *testing.T, w wire) {
	s := serveOn(t, w, delivery.Config{Shards: 2, SendBuffer: 1}, journal.MemoryConfig{})
	const n = 45
	sizes := []int{0, 1, 100, 125, 126, 1000, 20_000, 65535, 65536}
	data := func(i int) string { return fmt.Sprintf(`%d%s`, i, digits(sizes[i%len(sizes)])) }
	conns := make([]*websocket.Conn, 6)
	pongs := make([]int, len(conns))
	for i := range conns {
		conns[i] = s.dialSlow(t, []string{"", "?data=string", "?types=legacy"}[i%3])
		conns[i].SetPongHandler(func(string) error { pongs[i]++; return nil })
	}
	for i := range n {
		s.publish(t, "legacy", data(i))
	}
	var wg sync.WaitGroup
	for k, conn := range conns {
		wg.Go(func() {
			for i := range n {
				if err := conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(patience)); err != nil {
					t.Errorf("ping: %v", err)
				}
				want := envelopeOf("legacy", data(i))
				if k%3 == 1 {
					want = envelopeOf("legacy", `"`+data(i)+`"`)
				}
				if got := receive(t, conn); got != want {
					t.Errorf("subscriber %d: message %d is %d bytes long, want %d", k, i, len(got), len(want))
					return
				}
			}
		})
	}
	wg.Wait()
	if s.metric(t, "bridge_blocked_writes_total", "") == 0 {
		t.Error("no write was cut short: the test did not test what it should")
	}
	for k := range conns {
		if pongs[k] == 0 {
			t.Errorf("subscriber %d got no pong", k)
		}
	}
}

// TestPingTimeout: a peer that answers pings stays, one that does not is dropped.
func TestPingTimeout(t *testing.T) { onEveryWire(t, testPingTimeout) }

func testPingTimeout(t *testing.T, w wire) {
	t.Parallel() // it mostly waits
	s := serveOn(t, w, delivery.Config{PingInterval: time.Second}, journal.MemoryConfig{})
	dead, alive := s.dial(t, ""), s.dial(t, "")
	dead.SetPingHandler(func(string) error { return nil })
	pings := make(chan struct{}, 1000)
	answer := alive.PingHandler()
	alive.SetPingHandler(func(data string) error {
		pings <- struct{}{}
		return answer(data)
	})
	go func() { _, _, _ = alive.ReadMessage() }()
	if code := closeCode(t, dead); code != 0 {
		t.Errorf("the dead one was told %d", code)
	}
	await(t, "it is counted", func() bool { return s.metric(t, "bridge_disconnects_total", "ping_timeout") == 1 })
	for range 5 {
		<-pings
	}
	if s.Connections() != 1 {
		t.Error("the living one was dropped too")
	}
}

func TestDrain(t *testing.T) { onEveryWire(t, testDrain) }

func testDrain(t *testing.T, w wire) {
	t.Parallel() // it mostly waits
	s := serveOn(t, w, delivery.Config{SendBuffer: 1}, journal.MemoryConfig{})
	plain, codes, slow := s.dial(t, ""), s.dial(t, "?close=codes"), s.dialSlow(t, "")
	const n = 50
	data := "1" + digits(10_000)
	for range n {
		s.publish(t, "legacy", data)
	}
	drained := make(chan struct{})
	go func() {
		s.Drain(t.Context(), 20*time.Millisecond)
		close(drained)
	}()
	for name, conn := range map[string]*websocket.Conn{"plain": plain, "codes": codes, "slow": slow} {
		for i := range n {
			if got := receive(t, conn); got != envelopeOf("legacy", data) {
				t.Fatalf("%s: message %d: %d bytes", name, i, len(got))
			}
		}
	}
	if code := closeCode(t, plain); code != 0 {
		t.Errorf("plain was told %d, after which the frontend would not come back", code)
	}
	if code := closeCode(t, slow); code != 0 {
		t.Errorf("slow was told %d", code)
	}
	if code := closeCode(t, codes); code != websocket.CloseGoingAway {
		t.Errorf("close=codes was told %d", code)
	}
	<-drained
	_, response, err := s.dialer().Dial(s.url(""), nil)
	if err == nil || response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("a handshake while draining: %v, %v", response, err)
	}
	if got := s.metric(t, "bridge_disconnects_total", "shutdown"); got != 3 {
		t.Errorf("%v ended by the shutdown", got)
	}
}

// TestDrainDeadline: who does not take what is in the journal cannot hold up the end.
func TestDrainDeadline(t *testing.T) { onEveryWire(t, testDrainDeadline) }

func testDrainDeadline(t *testing.T, w wire) {
	s := serveOn(t, w, delivery.Config{SendBuffer: 1}, journal.MemoryConfig{})
	stalled := s.dialSlow(t, "")
	for range 2 {
		s.publish(t, "legacy", `"`+digits(1<<20)+`"`)
	}
	await(t, "it is blocked", func() bool { return s.metric(t, "bridge_blocked_writes_total", "") > 0 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Drain(ctx, 0)
	s.stop()
	if code := closeCode(t, stalled); code != 0 {
		t.Errorf("it was told %d", code)
	}
}

func TestSubscribersLeave(t *testing.T) { onEveryWire(t, testSubscribersLeave) }

func testSubscribersLeave(t *testing.T, w wire) {
	s := serveOn(t, w, delivery.Config{}, journal.MemoryConfig{})
	clean, cut := s.dial(t, "?types=legacy"), s.dial(t, "")
	if err := clean.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "bye"), time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if code := closeCode(t, clean); code != 1000 {
		t.Errorf("the close was answered with %d", code)
	}
	_ = cut.NetConn().Close()
	await(t, "both are counted out", func() bool {
		return s.metric(t, "bridge_disconnects_total", "client_closed") == 1 &&
			s.metric(t, "bridge_disconnects_total", "connection_lost") == 1 && s.Connections() == 0
	})
	if got := s.Count("legacy", nil); got != 0 {
		t.Errorf("legacy is still for %d", got)
	}
	if _, err := clean.NetConn().Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the server did not end TCP first: %v", err)
	}
}
