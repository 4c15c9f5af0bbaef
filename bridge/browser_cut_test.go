package bridge_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/internal/browsertest"
	"github.com/rotki/notification-bridge/client"
)

// cuts is how often the test below cuts the page's connection; `make kill` has it done 50 times.
var cuts = flag.Int("cuts", 6, "how often a browser's connection is cut in the test that does so")

// A page that knows nothing of resuming is cut off in three ways, again and again, while 200 messages a second flow: by a
// reset from a proxy in between, by a restart of the bridge, by a kill -9. What it gets has no gap.
func TestBrowserCut(t *testing.T) {
	const rate = 200
	bridge := buildBridge(t)
	bridge.start()
	proxy := startResetter(t, bridge.http)
	page := browsertest.Open(t, "ws://"+proxy.addr+"/ws/")

	publisher, err := client.NewPublisher(client.PublisherConfig{Addr: bridge.grpc, Backoff: client.Backoff{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	var published atomic.Int64
	publishing, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(time.Second / rate)
		defer tick.Stop()
		for publishing.Err() == nil {
			if _, err := publisher.PublishAsync(publishing, legacy(fmt.Sprint(published.Load()))); err == nil {
				published.Add(1)
			}
			<-tick.C
		}
	})
	t.Cleanup(func() {
		stop()
		done.Wait()
		expired, cancel := context.WithCancel(context.Background())
		cancel()
		_ = publisher.Close(expired)
	})

	kinds := []struct {
		name string
		cut  func()
	}{
		{"reset", proxy.reset},
		{"restart", func() { bridge.stop(syscall.SIGTERM); bridge.start() }},
		{"kill -9", func() { bridge.stop(syscall.SIGKILL); bridge.start() }},
	}
	cutBy := make([]string, 0, *cuts) // by which kind, in the order of the page's first close after each
	closes := 0
	var closedAt []int
	for i := range *cuts {
		before := page.State()
		page.Await("messages flow", fmt.Sprintf("page.messages.length > %d && socket.readyState === 1", before.Messages+rate/2))
		time.Sleep(rand.N(200 * time.Millisecond)) // nothing is waited for: the moment is to be random
		closes = len(page.State().Closes)
		kind := kinds[i%len(kinds)]
		kind.cut()
		page.Await("it was cut", fmt.Sprintf("page.closes.length > %d", closes))
		closedAt = append(closedAt, page.State().Closes[closes].After)
		cutBy = append(cutBy, kind.name)
		page.Await("it came back", "socket.readyState === 1")
	}
	before := page.State().Messages
	page.Await("messages flow", fmt.Sprintf("page.messages.length > %d", before+rate/2))
	stop()
	done.Wait()
	if err := publisher.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	last := legacyEnvelope(fmt.Sprint(published.Load() - 1))
	page.Await("the last has come", fmt.Sprintf("page.messages.at(-1) === `%s`", last))

	repeats := make(map[string]int)
	next, cut := 0, 0
	for i, text := range page.Messages() {
		for cut < len(closedAt) && closedAt[cut] <= i {
			cut++
		}
		number := -1
		if _, err := fmt.Sscanf(text, legacyScan, &number); err != nil {
			t.Fatalf("the page got %s: %v", text, err)
		}
		switch {
		case number > next:
			t.Fatalf("%d came, %d was next: a gap, after the cut by %s", number, next, cutBy[max(0, cut-1)])
		case number < next && cut == 0:
			t.Fatalf("%d came again before the first cut", number)
		case number < next:
			repeats[cutBy[cut-1]]++
		default:
			next++
		}
	}
	if int64(next) != published.Load() {
		t.Errorf("the page got %d of %d", next, published.Load())
	}
	each := *cuts / len(kinds)
	t.Logf("%d messages over %d cuts without a gap; repeats by what cut: %v", next, *cuts, repeats)
	if repeats["restart"] != 0 {
		t.Errorf("%d repeats after restarts, before which everything is confirmed", repeats["restart"])
	}
	if repeats["kill -9"] > (each+1)*2*rate {
		t.Errorf("%d repeats after %d kills: more than two seconds' worth each", repeats["kill -9"], each)
	}
}

const legacyScan = `{"type":"legacy","data":{"verbosity":"warning","value":"%d`

// program is the bridge in a process of its own, with its journal on disk.
type program struct {
	t                            *testing.T
	path, dir                    string
	http, grpc, admin, adminGRPC string
	command                      *exec.Cmd
}

func buildBridge(t *testing.T) *program {
	t.Helper()
	p := &program{t: t, path: filepath.Join(t.TempDir(), "rotki-bridge"), dir: t.TempDir()}
	if output, err := exec.Command("go", "build", "-buildvcs=false", "-o", p.path, "../cmd/rotki-bridge").CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v:\n%s", err, output)
	}
	for _, addr := range []*string{&p.http, &p.grpc, &p.admin, &p.adminGRPC} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		*addr = l.Addr().String()
	}
	t.Cleanup(func() {
		if p.command != nil {
			p.stop(syscall.SIGKILL)
		}
	})
	return p
}

// start runs the program, and returns once it is ready.
func (p *program) start() {
	p.t.Helper()
	p.command = exec.Command(p.path, "serve", "--http-addr", p.http, "--grpc-addr", p.grpc, "--admin-addr", p.admin,
		"--admin-grpc-addr", p.adminGRPC, "--data-dir", p.dir)
	p.command.Stderr = os.Stderr
	if err := p.command.Start(); err != nil {
		p.t.Fatal(err)
	}
	await(p.t, "the bridge is ready", func() bool {
		response, err := http.Get("http://" + p.admin + "/readyz")
		if err == nil {
			_ = response.Body.Close()
		}
		return err == nil && response.StatusCode == http.StatusOK
	})
}

// stop sends the process a signal and waits for it to end.
func (p *program) stop(signal syscall.Signal) {
	p.t.Helper()
	_ = p.command.Process.Signal(signal)
	_ = p.command.Wait()
	p.command = nil
}

// resetter is a TCP proxy that can reset all its connections, on both sides.
type resetter struct {
	addr string
	mu   sync.Mutex
	open map[net.Conn]struct{}
}

func startResetter(t *testing.T, target string) *resetter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &resetter{addr: l.Addr().String(), open: make(map[net.Conn]struct{})}
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				_ = in.Close()
				continue
			}
			r.mu.Lock()
			r.open[in], r.open[out] = struct{}{}, struct{}{}
			r.mu.Unlock()
			passing.Go(func() { r.pass(in, out) })
			passing.Go(func() { r.pass(out, in) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.reset()
		passing.Wait()
	})
	return r
}

// pass copies until one side ends, and then ends the other.
func (r *resetter) pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.(*net.TCPConn).CloseWrite()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, from)
	_ = from.Close()
}

func (r *resetter) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.open {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
	clear(r.open)
}
