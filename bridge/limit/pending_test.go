package limit_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rotki/notification-bridge/bridge/limit"
	"github.com/rotki/notification-bridge/bridge/testcert"
)

// patience bounds how long a test waits for what must come; none expects it to pass.
const patience = 20 * time.Second

// server is a real http.Server with a Pending. It answers /hijack by hijacking the connection and everything else as
// usual.
type server struct {
	addr     string
	roots    *testcert.CA
	registry *prometheus.Registry
	changed  chan http.ConnState // what Pending has dealt with
}

func serve(t *testing.T, config limit.PendingConfig, encrypted bool, headerTimeout time.Duration) *server {
	t.Helper()
	s := &server{
		roots: testcert.NewCA(t, "one"), registry: prometheus.NewRegistry(), changed: make(chan http.ConnState, 10_000),
	}
	config.Registerer = s.registry
	pending := limit.NewPending(config)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	if encrypted {
		listener = tls.NewListener(listener, &tls.Config{
			Certificates: []tls.Certificate{s.roots.Certificate(t, testcert.Options{})},
		})
	}
	var hijacked sync.WaitGroup
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/hijack" {
				return
			}
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			hijacked.Go(func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
				_, _ = io.Copy(io.Discard, conn)
			})
		}),
		ConnState: func(conn net.Conn, state http.ConnState) {
			pending.ConnState(conn, state)
			s.changed <- state
		},
		ReadHeaderTimeout: headerTimeout,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		hijacked.Wait()
	})
	return s
}

func (s *server) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", s.addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// ask sends a request and returns the status.
func ask(conn net.Conn, path string) (int, error) {
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// await waits until the server has reported a state so many times more.
func (s *server) await(t *testing.T, state http.ConnState, times int) {
	t.Helper()
	timeout := time.After(patience)
	for times > 0 {
		select {
		case got := <-s.changed:
			if got == state {
				times--
			}
		case <-timeout:
			t.Fatalf("%d connections more should have come to be %v", times, state)
		}
	}
}

// holds compares the metrics.
func (s *server) holds(t *testing.T, pending, refused, refusedPerAddress float64) {
	t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += "/" + label.GetValue()
			}
			got[name] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	for name, value := range map[string]float64{
		"bridge_pending_connections":                           pending,
		"bridge_connections_refused_total/pending":             refused,
		"bridge_connections_refused_total/pending_per_address": refusedPerAddress,
	} {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s is %v, want %v; there are %v", name, v, value, got)
		}
	}
}

// isRefused says whether a connection was closed before anything was said on it.
func isRefused(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func TestPending(t *testing.T) {
	logger, log := newLog()
	for name, test := range map[string]struct {
		config          limit.PendingConfig
		refused, perOne float64
		message         string
	}{
		"in all":      {limit.PendingConfig{Max: 3}, 1, 0, "too many are pending"},
		"per address": {limit.PendingConfig{Max: 9, PerAddress: 3}, 0, 1, "too many are pending from its address"},
	} {
		t.Run(name, func(t *testing.T) {
			log.Reset()
			test.config.Logger = logger
			s := serve(t, test.config, false, patience)
			s.holds(t, 0, 0, 0)
			silent, asked, hijacked := s.dial(t), s.dial(t), s.dial(t)
			if status, err := ask(asked, "/"); status != http.StatusOK {
				t.Fatal(status, err)
			}
			s.await(t, http.StateIdle, 1)
			if _, err := ask(s.dial(t), "/"); !isRefused(err) {
				t.Errorf("one more got %v", err)
			}
			s.await(t, http.StateClosed, 1) // of the one refused, which gives nothing back
			s.holds(t, 3, test.refused, test.perOne)
			want := "level=WARN msg=\"connection refused: " + test.message + "\" from=127.0.0.1\n"
			if log.String() != want {
				t.Errorf("the log says %q, want %q", log, want)
			}

			if status, err := ask(hijacked, "/hijack"); status != http.StatusSwitchingProtocols {
				t.Fatal(status, err)
			}
			s.holds(t, 2, test.refused, test.perOne)
			hijacked.Close() // and gives nothing back a second time
			if status, err := ask(asked, "/"); status != http.StatusOK {
				t.Error(status, err)
			}
			silent.Close()
			s.await(t, http.StateClosed, 1)
			for range 2 {
				if status, err := ask(s.dial(t), "/"); status != http.StatusOK {
					t.Error(status, err)
				}
			}
			s.holds(t, 3, test.refused, test.perOne)
		})
	}
}

func TestPendingTrusted(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s := serve(t, limit.PendingConfig{Max: 3, PerAddress: 1, Trusted: proxies}, false, patience)
	for range 3 {
		if status, err := ask(s.dial(t), "/"); status != http.StatusOK {
			t.Error(status, err)
		}
	}
	if _, err := ask(s.dial(t), "/"); !isRefused(err) {
		t.Errorf("one more got %v", err)
	}
	s.await(t, http.StateClosed, 1)
	s.holds(t, 3, 1, 0)
}

func TestPendingHandshakes(t *testing.T) {
	s := serve(t, limit.PendingConfig{Max: 2}, true, patience)
	half := s.dial(t)
	if _, err := half.Write([]byte{22, 3, 1}); err != nil { // the beginning of a handshake
		t.Fatal(err)
	}
	client := &tls.Config{RootCAs: s.roots.Pool(), ServerName: "localhost"}
	good := tls.Client(s.dial(t), client)
	if status, err := ask(good, "/"); status != http.StatusOK {
		t.Fatal(status, err)
	}
	refused := tls.Client(s.dial(t), client)
	if err := refused.Handshake(); !isRefused(err) {
		t.Errorf("one more got %v", err)
	}
	s.await(t, http.StateClosed, 1)
	s.holds(t, 2, 1, 0)
	if status, err := ask(good, "/hijack"); status != http.StatusSwitchingProtocols {
		t.Fatal(status, err)
	}
	half.Close()
	s.await(t, http.StateClosed, 1)
	s.holds(t, 0, 1, 0)
}

// Those that say little and slowly lose their place when their time is up, and others get it.
func TestPendingSlowLoris(t *testing.T) {
	const most = 5
	for name, test := range map[string]struct {
		said      string
		encrypted bool
	}{
		"nothing":              {"", false},
		"part of a head":       {"GET / HTTP/1.1\r\nHost: x\r\n", false},
		"part of a handshake":  {"\x16\x03\x01", true},
		"nothing of one":       {"", true},
		"what is no handshake": {"GET / HTTP/1.1\r\n\r\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, limit.PendingConfig{Max: most}, test.encrypted, 50*time.Millisecond)
			for range 2 {
				for range most {
					if _, err := io.WriteString(s.dial(t), test.said); err != nil {
						t.Error(err)
					}
				}
				s.await(t, http.StateClosed, most)
			}
			s.holds(t, 0, 0, 0)
		})
	}
}

// Whatever comes at once, no more are served than may be, and none is left when all are gone.
func TestPendingConcurrently(t *testing.T) {
	const most, clients = 5, 100
	s := serve(t, limit.PendingConfig{Max: most}, false, patience)
	var group sync.WaitGroup
	conns := make(chan net.Conn, clients)
	for range clients {
		group.Go(func() {
			conn, err := net.DialTimeout("tcp", s.addr, patience)
			if err != nil {
				t.Error(err)
				return
			}
			conns <- conn
			_ = conn.SetDeadline(time.Now().Add(patience))
			if status, err := ask(conn, "/"); status != http.StatusOK && !isRefused(err) {
				t.Error(status, err)
			}
		})
	}
	group.Wait()
	close(conns)
	s.holds(t, most, clients-most, 0)
	for conn := range conns {
		conn.Close()
	}
	s.await(t, http.StateClosed, clients)
	s.holds(t, 0, clients-most, 0)
}

func TestPendingWithoutLimits(t *testing.T) {
	s := serve(t, limit.PendingConfig{}, false, patience)
	for i := range 20 {
		if status, err := ask(s.dial(t), "/"); status != http.StatusOK {
			t.Error(i, status, err)
		}
	}
	s.holds(t, 20, 0, 0)
}
