package control_test

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/rotki/notification-bridge/bridge/control"
	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal/jetstream"
	adminv1 "github.com/rotki/notification-bridge/gen/go/rotki/bridge/admin/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// subscribers are connections, as an engine has them.
type subscribers struct {
	mu       sync.Mutex // held by a test to let a bridge be silent
	list     []delivery.Connection
	rechecks int
}

func (s *subscribers) chosen(c delivery.Connection, by delivery.Selector) bool {
	return (by.Subject == "" || by.Subject == c.Subject) && (by.Session == "" || by.Session == c.Session) &&
		(by.Connection == "" || by.Connection == c.ID) && (by.TokenID == "" || by.TokenID == c.TokenID)
}

func (s *subscribers) List(by delivery.Selector) []delivery.Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	var chosen []delivery.Connection
	for _, c := range s.list {
		if s.chosen(c, by) {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

func (s *subscribers) Disconnect(by delivery.Selector, reason delivery.Disconnect) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !reason.StayAway {
		panic("whoever is disconnected must stay away")
	}
	before := len(s.list)
	s.list = slices.DeleteFunc(s.list, func(c delivery.Connection) bool { return s.chosen(c, by) })
	return before - len(s.list)
}

func (s *subscribers) Recheck() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rechecks++
}

func (s *subscribers) connect(connections ...delivery.Connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, connections...)
}

func (s *subscribers) ids() []string {
	ids := []string{}
	for _, c := range s.List(delivery.Selector{}) {
		ids = append(ids, c.ID)
	}
	return ids
}

// bridge is a bridge as far as control is concerned.
type bridge struct {
	*subscribers
	server      *control.Server
	revocations *control.Revocations
	admin       adminv1.AdminServiceClient
	conn        *grpc.ClientConn
	metrics     *prometheus.Registry
	holds       chan bool
	stop        func()
}

// start runs a bridge until stop is called; j is nil for one of its own.
func start(t *testing.T, j *jetstream.Journal, config control.Config) *bridge {
	t.Helper()
	b := &bridge{subscribers: new(subscribers), metrics: prometheus.NewRegistry(), holds: make(chan bool, 100)}
	revocations := control.RevocationsConfig{Logger: logger(t), Registerer: b.metrics}
	if j != nil {
		store, err := j.Revoked(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		bus, err := j.Bus(t.Context(), jetstream.BusConfig{Name: config.Name, Presence: presence})
		if err != nil {
			t.Fatal(err)
		}
		revocations.Store, config.Bus = store, bus
	}
	b.revocations = control.NewRevocations(revocations)
	config.Connections, config.Streams, config.Revocations = b.subscribers, b.subscribers, b.revocations
	config.Hold = func(hold bool) { b.holds <- hold }
	config.Registerer = b.metrics
	if config.Logger == nil {
		config.Logger = logger(t)
	}
	b.server = control.New(config)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.server.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() {
		if err := b.server.Serve(listener); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	b.conn = dial(t, listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	b.admin = adminv1.NewAdminServiceClient(b.conn)
	b.stop = sync.OnceFunc(func() {
		stopping, give := context.WithTimeout(context.Background(), 5*time.Second)
		defer give()
		b.server.Shutdown(stopping)
		cancel()
		running.Wait()
	})
	t.Cleanup(b.stop)
	ready, give := context.WithTimeout(t.Context(), 30*time.Second)
	defer give()
	if err := b.server.Ready(ready); err != nil {
		t.Fatal(err)
	}
	if j != nil { // until it is there; what a test awaits comes after
		awaitHold(t, b, true)
		awaitHold(t, b, false)
	}
	return b
}

// presence is how long bridges in tests are taken to be there.
const presence = 3 * time.Second

func dial(t *testing.T, addr string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// nats is a NATS server in a bridge's process, to which others connect.
type nats struct {
	dir, addr string
}

// open returns the journal of the bridge whose process it is in, and a function that ends both.
func (n *nats) open(t *testing.T) (*jetstream.Journal, func()) {
	t.Helper()
	if n.dir == "" {
		n.dir, n.addr = t.TempDir(), "127.0.0.1:0"
	}
	config := jetstream.ServerConfig{Dir: n.dir, Listen: n.addr, Logger: logger(t)}
	server, err := jetstream.StartServer(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	n.addr = server.Addr().String()
	return open(t, jetstream.Config{Server: server})
}

// join returns the journal of a bridge that connects to it.
func (n *nats) join(t *testing.T) *jetstream.Journal {
	t.Helper()
	j, _ := open(t, jetstream.Config{URLs: []string{"nats://" + n.addr}})
	return j
}

func open(t *testing.T, config jetstream.Config) (*jetstream.Journal, func()) {
	t.Helper()
	config.Logger = logger(t)
	j, err := jetstream.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	shut := func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := j.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	t.Cleanup(shut)
	return j, shut
}

// await returns once the condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it did not come to this: %s", what)
		}
	}
}

func logger(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// sample returns each series of a metric: its value by its labels' values, joined by spaces.
func (b *bridge) sample(t *testing.T, name string) map[string]float64 {
	t.Helper()
	families, err := b.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := make(map[string]float64)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, label := range m.GetLabel() {
				labels = append(labels, label.GetValue())
			}
			series[strings.Join(labels, " ")] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return series
}
