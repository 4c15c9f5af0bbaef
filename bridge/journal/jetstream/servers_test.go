package jetstream_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/rotki/notification-bridge/bridge/journal"
	"github.com/rotki/notification-bridge/bridge/journal/jetstream"
)

// open returns a journal that is closed when the test ends.
func open(t testing.TB, config jetstream.Config) *jetstream.Journal {
	t.Helper()
	config.Logger = logger(t)
	j, err := jetstream.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, j) })
	return j
}

func shut(t testing.TB, j *jetstream.Journal) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // the test's is done when it cleans up
	defer cancel()
	if err := j.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

// embedded starts a server in this process, which the journal that gets it ends.
func embedded(t testing.TB, config jetstream.ServerConfig) *jetstream.Server {
	t.Helper()
	if config.Dir == "" {
		config.Dir = t.TempDir()
	}
	config.Logger = logger(t)
	s, err := jetstream.StartServer(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// await returns once the condition holds.
func await(t testing.TB, what string, condition func() bool) {
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

func logger(t testing.TB) *slog.Logger { return loggerTo(t.Output()) }

func loggerTo(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// add appends entries one after the other and waits for all.
func add(t testing.TB, j journal.Journal, entries ...journal.Entry) []journal.Receipt {
	t.Helper()
	var pendings []journal.Pending
	for _, e := range entries {
		p, err := j.Append(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		pendings = append(pendings, p)
	}
	var receipts []journal.Receipt
	for _, p := range pendings {
		r, err := p.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, r)
	}
	return receipts
}

// cluster is NATS servers in this process that know each other over TCP.
type cluster struct {
	dir     string
	options []*server.Options
	servers []*server.Server
}

// startCluster starts n servers and waits until they are one. One alone is no cluster.
func startCluster(name string, n int) (*cluster, error) {
	dir, err := os.MkdirTemp("", name)
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir}
	var routes []string
	for i := range n {
		o := &server.Options{
			ServerName: fmt.Sprintf("%s-%d", name, i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: filepath.Join(dir, fmt.Sprint(i)), DisableJetStreamBanner: true,
		}
		if n > 1 {
			o.Cluster = server.ClusterOpts{Name: name, Host: "127.0.0.1", Port: server.RANDOM_PORT, PoolSize: -1}
			o.Routes = server.RoutesFromStr(strings.Join(routes, ","))
		}
		s, err := server.NewServer(o.Clone())
		if err != nil {
			return nil, err
		}
		s.Start()
		if !s.ReadyForConnections(10 * time.Second) {
			return nil, fmt.Errorf("server %d does not start", i)
		}
		o.Port = clientPort(s)
		c.options, c.servers = append(c.options, o), append(c.servers, s)
		if n > 1 {
			o.Cluster.Port = s.ClusterAddr().Port
			routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", o.Cluster.Port))
		}
	}
	if n == 1 {
		return c, nil
	}
	for _, o := range c.options {
		o.Routes = server.RoutesFromStr(strings.Join(routes, ","))
	}
	return c, c.await()
}

// await waits until the servers have a leader for JetStream and all know what it knows.
func (c *cluster) await() error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		leaders, current := 0, 0
		for _, s := range c.servers {
			if s.JetStreamIsLeader() {
				leaders++
			}
			if s.JetStreamIsCurrent() {
				current++
			}
		}
		if leaders == 1 && current == len(c.servers) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the cluster has %d leaders, and %d servers are up to date", leaders, current)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (c *cluster) urls() []string {
	var urls []string
	for _, o := range c.options {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", o.Port))
	}
	return urls
}

// restart starts a server again that was shut down.
func (c *cluster) restart(i int) error {
	s, err := server.NewServer(c.options[i].Clone())
	if err != nil {
		return err
	}
	s.Start()
	c.servers[i] = s
	return nil
}

func (c *cluster) stop() {
	for _, s := range c.servers {
		s.Shutdown()
		s.WaitForShutdown()
	}
	_ = os.RemoveAll(c.dir)
}

// shared is the cluster of all tests that do it no harm: it takes a while to start.
var shared struct {
	once    sync.Once
	cluster *cluster
	err     error
}

func sharedCluster(t testing.TB) *cluster {
	t.Helper()
	shared.once.Do(func() { shared.cluster, shared.err = startCluster("shared", 3) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cluster
}

func stopShared() {
	if shared.cluster != nil {
		shared.cluster.stop()
	}
}

func clientPort(s *server.Server) int { return s.Addr().(*net.TCPAddr).Port }
