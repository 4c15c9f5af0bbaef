package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge"
)

// atWork is a bridge in this process.
type atWork struct {
	*bridge.Bridge
	stop func()
}

func (b atWork) url() string { return "ws://" + b.HTTPAddr() + "/ws/" }

// startBridge runs a bridge, on free ports unless config names some.
func startBridge(t *testing.T, config bridge.Config) atWork {
	t.Helper()
	for _, addr := range []*string{&config.HTTPAddr, &config.GRPCAddr, &config.AdminAddr, &config.AdminGRPCAddr} {
		if *addr == "" {
			*addr = "127.0.0.1:0"
		}
	}
	b, err := bridge.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the bridge ended with: %v", err)
		}
	})
	t.Cleanup(stop)
	return atWork{b, stop}
}

// screen is what a command writes, to be waited for.
type screen struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

func newScreen() *screen { return &screen{changed: make(chan struct{}, 1)} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await waits until the screen shows text n times.
func (s *screen) await(t *testing.T, text string, n int) {
	t.Helper()
	late := time.After(30 * time.Second)
	for strings.Count(s.String(), text) < n {
		select {
		case <-s.changed:
		case <-late:
			t.Fatalf("%q does not come %d times:\n%s", text, n, s)
		}
	}
}

// ran is a command line at work.
type ran struct {
	out, err *screen
	cancel   context.CancelFunc
	status   chan int
}

// begin runs a command line in the background.
func begin(t *testing.T, in io.Reader, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := ran{newScreen(), newScreen(), cancel, make(chan int, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.status <- run(ctx, args, stdio{In: in, Out: r.out, Err: r.err})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return r
}

// exit waits for the command's end and fails the test if it did not have that status.
func (r ran) exit(t *testing.T, status int) {
	t.Helper()
	select {
	case got := <-r.status:
		if got != status {
			t.Errorf("exit status %d, want %d; it said:\n%s", got, status, r.err)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("the command does not end; it said:\n%s", r.err)
	}
}

// subscribe opens a websocket, whose envelopes the returned function reads.
func (b atWork) subscribe(t *testing.T) func(n int) []string {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial(b.url(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return func(n int) []string {
		t.Helper()
		var envelopes []string
		for range n {
			_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
			_, text, err := conn.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			envelopes = append(envelopes, string(text))
		}
		return envelopes
	}
}

// warningLine is the envelope of a legacy warning.
func warningLine(text string) string {
	return fmt.Sprintf(`{"type":"legacy","data":{"verbosity":"warning","value":%q}}`, text)
}

func TestPublishSaysWhatWasRefused(t *testing.T) {
	b := startBridge(t, bridge.Config{})
	receive := b.subscribe(t)
	file := filepath.Join(t.TempDir(), "lines")
	text := strings.Join([]string{
		warningLine("1"),
		`{"legacy": {"verbosity": "VERBOSITY_ERROR", "value": "2"}}`,
		`{"loginStatus": {"startDbVersion": 26}}`,
		"",
		`{"type":"login_status","data":{"start_db_version":1,"target_db_version":2}}`,
		`{"type":"legacy",`,
		" \t\r",
		`{"legacy": {"verbosity": 1, "colour": "red"}}`,
		`{"type":"nonsense","data":{}}`,
		`{}`,
		`7`,
		warningLine("12") + "\r",
		warningLine("13"),
	}, "\n")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := begin(t, nil, "publish", "--grpc-addr", b.GRPCAddr(), file)
	r.exit(t, 1)
	said := strings.Split(strings.TrimSpace(r.err.String()), "\n")
	want := []string{
		"line 3: login_status.current_upgrade: is required",
		"line 5: login_status.current_upgrade: ",
		"line 6: not valid JSON at byte ",
		"line 8: (column 29): unknown field \"colour\"",
		"line 9: type: \"nonsense\" is no notification type",
		"line 10: payload: no notification type is set",
		"line 11: an envelope is a JSON object",
		"4 accepted, 7 refused, 0 duplicates",
		"rotki-bridge: lines refused: 7 of 11",
	}
	if !slices.EqualFunc(said, want, strings.HasPrefix) {
		t.Errorf("it said:\n%s\nwant:\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
	wantEnvelopes := []string{warningLine("1"), strings.Replace(warningLine("2"), "warning", "error", 1), warningLine("12"), warningLine("13")}
	if got := receive(4); !slices.Equal(got, wantEnvelopes) {
		t.Errorf("the subscriber got:\n%s", strings.Join(got, "\n"))
	}
}

func TestPublishFromStandardInput(t *testing.T) {
	b := startBridge(t, bridge.Config{})
	receive := b.subscribe(t)
	var want []string
	for i := range 5000 {
		want = append(want, warningLine(fmt.Sprint(i)))
	}
	r := begin(t, strings.NewReader(strings.Join(want, "\n")), "publish", "--grpc-addr", b.GRPCAddr())
	r.exit(t, 0)
	if said := r.err.String(); said != "5000 accepted, 0 refused, 0 duplicates\n" {
		t.Errorf("it said:\n%s", said)
	}
	if got := receive(5000); !slices.Equal(got, want) {
		t.Error("the subscriber got something else")
	}
	empty := begin(t, strings.NewReader("\n\n"), "publish", "--grpc-addr", b.GRPCAddr(), "-")
	empty.exit(t, 0)
}

func TestPublishRepeated(t *testing.T) {
	b := startBridge(t, bridge.Config{})
	receive := b.subscribe(t)
	args := []string{"publish", "--grpc-addr", b.GRPCAddr(), "--id-prefix", "run-1-line-"}
	half := begin(t, strings.NewReader(warningLine("1")+"\n\n"+warningLine("3")+"\n"), args...)
	half.exit(t, 0)
	whole := begin(t, strings.NewReader(warningLine("1")+"\n\n"+warningLine("3")+"\n"+warningLine("4")+"\n"), args...)
	whole.exit(t, 0)
	if said := whole.err.String(); said != "1 accepted, 0 refused, 2 duplicates\n" {
		t.Errorf("it said:\n%s", said)
	}
	if got := receive(3); !slices.Equal(got, []string{warningLine("1"), warningLine("3"), warningLine("4")}) {
		t.Errorf("the subscriber got:\n%s", strings.Join(got, "\n"))
	}
}

func TestPublishLongLines(t *testing.T) {
	b := startBridge(t, bridge.Config{})
	receive := b.subscribe(t)
	line := func(bytes int) io.Reader {
		return io.MultiReader(strings.NewReader(warningLine(strings.Repeat("x", bytes))), strings.NewReader("\n"))
	}
	r := begin(t, io.MultiReader(
		line(1), line(1<<20-100), line(2<<20), line(2), line(20<<20), line(3), line(maxLine), line(4),
	), "publish", "--grpc-addr", b.GRPCAddr())
	r.exit(t, 1)
	said := strings.Split(r.err.String(), "\n")
	want := []string{
		"line 3: the request has 2097",
		"line 5: the request has 2097",
		"line 7: the line has 671",
		"5 accepted, 3 refused, 0 duplicates",
	}
	if len(said) < len(want) || !slices.EqualFunc(said[:len(want)], want, strings.HasPrefix) {
		t.Errorf("it said:\n%s\nwant:\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
	for i, envelope := range receive(5) {
		if want := []int{1, 1<<20 - 100, 2, 3, 4}[i]; strings.Count(envelope, "x") != want {
			t.Errorf("envelope %d has %d bytes", i, len(envelope))
		}
	}
}

// freeAddr returns an address at which a bridge can be started, and none runs.
func freeAddr(t *testing.T) string {
	b := startBridge(t, bridge.Config{})
	b.stop()
	return b.GRPCAddr()
}

func TestPublishWaitsForTheBridge(t *testing.T) {
	addr := freeAddr(t)
	r := begin(t, strings.NewReader(warningLine("1")), "publish", "--grpc-addr", addr)
	r.err.await(t, "cannot reach the bridge at "+addr+", retrying: dial tcp "+addr, 1)
	startBridge(t, bridge.Config{GRPCAddr: addr})
	r.exit(t, 0)
	if n := strings.Count(r.err.String(), "retrying"); n != 1 {
		t.Errorf("it said %d times that it is retrying:\n%s", n, r.err)
	}
}

func TestPublishAcrossARestart(t *testing.T) {
	first := startBridge(t, bridge.Config{})
	receive := first.subscribe(t)
	in, lines := io.Pipe()
	r := begin(t, in, "publish", "--grpc-addr", first.GRPCAddr())
	fmt.Fprintln(lines, warningLine("1"))
	receive(1)
	first.stop()
	fmt.Fprintln(lines, warningLine("2"))
	r.err.await(t, "retrying", 1)
	startBridge(t, bridge.Config{GRPCAddr: first.GRPCAddr()})
	fmt.Fprintln(lines, warningLine("3"))
	lines.Close()
	r.exit(t, 0)
	if said := r.err.String(); !strings.HasSuffix(said, "3 accepted, 0 refused, 0 duplicates\n") {
		t.Errorf("it said:\n%s", said)
	}
}

func TestPublishGivesUp(t *testing.T) {
	addr := freeAddr(t)
	in, lines := io.Pipe()
	defer lines.Close()
	r := begin(t, in, "publish", "--grpc-addr", addr, "--timeout", "20ms")
	fmt.Fprintf(lines, "\n%s\n", warningLine("2"))
	r.exit(t, 1)
	for _, text := range []string{
		"0 accepted, 0 refused, 0 duplicates, 1 not acknowledged\n",
		"gave up: no bridge could be reached at " + addr + " for 20ms; check that",
		"lines not acknowledged: 1, from line 2 on",
	} {
		if !strings.Contains(r.err.String(), text) {
			t.Errorf("it did not say %q:\n%s", text, r.err)
		}
	}
}

func TestPublishInterrupted(t *testing.T) {
	b := startBridge(t, bridge.Config{})
	receive := b.subscribe(t)
	in, lines := io.Pipe()
	defer lines.Close()
	r := begin(t, in, "publish", "--grpc-addr", b.GRPCAddr())
	fmt.Fprintln(lines, warningLine("1"))
	receive(1)
	b.stop()
	fmt.Fprintf(lines, "nonsense\n%s\n", warningLine("3"))
	r.err.await(t, "retrying", 1)
	r.cancel()
	r.exit(t, 1)
	for _, text := range []string{
		"1 accepted, 1 refused, 0 duplicates, 1 not acknowledged\n",
		"interrupted before all was published; lines not acknowledged: 1, from line 3 on",
	} {
		if !strings.Contains(r.err.String(), text) {
			t.Errorf("it did not say %q:\n%s", text, r.err)
		}
	}
}

func TestPublishWithoutInput(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	r := begin(t, nil, "publish", missing)
	r.exit(t, 1)
	r.err.await(t, missing, 1)
	r = begin(t, nil, "publish", t.TempDir())
	r.exit(t, 1)
	r.err.await(t, "is a directory", 1)
}
