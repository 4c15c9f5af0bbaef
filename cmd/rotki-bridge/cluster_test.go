package main_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestKilledReplicas kills one of three bridges on a cluster of three NATS servers, or the server that leads the
// stream, at random moments, under a publisher and a subscriber that reach the bridges through a load balancer.
func TestKilledReplicas(t *testing.T) {
	cluster := startCluster(t)
	flags := []string{"--nats-url", strings.Join(cluster.urls, ","), "--stream-replicas", "3"}
	bridges := make([]*process, 3)
	ports := make([][]string, len(bridges))
	for i := range bridges {
		ports[i] = append(fixedPorts(t), flags...)
		bridges[i] = startProcess(t, ports[i]...)
	}
	grpc, websocket := startBalancer(t), startBalancer(t)
	for _, b := range bridges {
		grpc.add(b.grpc)
		websocket.add(b.websocket)
	}
	run := stream(t, grpc.addr, websocket.addr, nil)
	leaders := 0
	for kill := range *kills {
		run.awaitProgress()
		time.Sleep(rand.N(300 * time.Millisecond)) // nothing is waited for: the moment is to be random
		if kill%2 == 0 {
			i := rand.N(len(bridges))
			bridges[i].kill()
			bridges[i] = startProcess(t, ports[i]...)
		} else {
			leaders++
			cluster.restart(cluster.leader())
		}
		if (kill+1)%10 == 0 {
			t.Logf("%d kills: %v", kill+1, run)
		}
	}
	run.awaitProgress()
	run.finish()
	t.Logf("killed %d bridges and %d leading NATS servers: %v", *kills-leaders, leaders, run)
}

// cluster is three nats-server processes.
type cluster struct {
	t       *testing.T
	urls    []string
	names   []string
	args    [][]string
	servers []*exec.Cmd
}

// natsServer builds nats-server, in the version of go.mod.
var natsServer = sync.OnceValues(func() (string, error) {
	if _, err := program(); err != nil { // makes the directory
		return "", err
	}
	path := filepath.Join(scratch, "nats-server")
	if output, err := exec.Command("go", "build", "-o", path, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build nats-server: %w:\n%s", err, output)
	}
	return path, nil
})

func startCluster(t *testing.T) *cluster {
	t.Helper()
	path, err := natsServer()
	if err != nil {
		t.Fatal(err)
	}
	const size = 3
	c := &cluster{t: t, servers: make([]*exec.Cmd, size)}
	routes := make([]string, size)
	for i := range size {
		c.names = append(c.names, fmt.Sprintf("n%d", i))
		c.urls = append(c.urls, "nats://"+freeAddr(t))
		routes[i] = "nats://" + freeAddr(t)
	}
	for i := range size {
		config := filepath.Join(t.TempDir(), "nats.conf")
		text := fmt.Sprintf("server_name: %s\nlisten: %q\nmax_payload: 8MB\njetstream { store_dir: %q }\ncluster { name: c, listen: %q, routes: [%s] }\n",
			c.names[i], strings.TrimPrefix(c.urls[i], "nats://"), t.TempDir(), strings.TrimPrefix(routes[i], "nats://"), `"`+strings.Join(routes, `", "`)+`"`)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c.args = append(c.args, []string{path, "-c", config})
		c.start(i)
	}
	t.Cleanup(func() {
		for i := range c.servers {
			c.kill(i)
		}
	})
	return c
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (c *cluster) start(i int) {
	c.t.Helper()
	c.servers[i] = exec.Command(c.args[i][0], c.args[i][1:]...)
	if err := c.servers[i].Start(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) kill(i int) {
	_ = c.servers[i].Process.Kill()
	_ = c.servers[i].Wait()
}

// restart kills a server, and starts it again once another leads.
func (c *cluster) restart(i int) {
	c.t.Helper()
	c.kill(i)
	await(c.t, "another server leads", func() bool {
		leader, err := c.ask()
		return err == nil && leader != i
	})
	c.start(i)
	await(c.t, "the server is back", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.urls[i], "nats://"))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// leader returns the server that leads the stream.
func (c *cluster) leader() int {
	c.t.Helper()
	leader := 0
	await(c.t, "the stream has a leader", func() bool {
		var err error
		leader, err = c.ask()
		return err == nil
	})
	return leader
}

func (c *cluster) ask() (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := nats.Connect(strings.Join(c.urls, ","), nats.Timeout(time.Second))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return 0, err
	}
	s, err := js.Stream(ctx, "rotki-notifications")
	if err != nil {
		return 0, err
	}
	if info := s.CachedInfo(); info.Cluster != nil {
		if i := slices.Index(c.names, info.Cluster.Leader); i >= 0 {
			return i, nil
		}
	}
	return 0, fmt.Errorf("the stream has no leader")
}

// balancer is a TCP proxy that passes each connection on to one of several addresses, the next one that answers.
type balancer struct {
	addr string

	mu      sync.Mutex
	targets []string
	turn    int
}

func startBalancer(t *testing.T) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{addr: l.Addr().String()}
	var open sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	open.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { b.pass(ctx, in) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		open.Wait()
	})
	return b
}

func (b *balancer) add(target string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.targets = append(b.targets, target)
}

// pass passes bytes on in both directions until either side ends or ctx is done.
func (b *balancer) pass(ctx context.Context, in net.Conn) {
	defer in.Close()
	out := b.dial()
	if out == nil {
		return
	}
	defer out.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		_ = in.Close()
		_ = out.Close()
	})
	defer stop()
	var back sync.WaitGroup
	back.Go(func() {
		defer cancel()
		_, _ = io.Copy(in, out)
	})
	_, _ = io.Copy(out, in)
	cancel()
	back.Wait()
}

func (b *balancer) dial() net.Conn {
	b.mu.Lock()
	targets := slices.Clone(b.targets)
	b.turn++
	turn := b.turn
	b.mu.Unlock()
	for i := range targets {
		if conn, err := net.Dial("tcp", targets[(turn+i)%len(targets)]); err == nil {
			return conn
		}
	}
	return nil
}
