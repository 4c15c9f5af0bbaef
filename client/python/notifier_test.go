// Package python_test drives the Python package against a real bridge.
package python_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rotki/notification-bridge/bridge"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// TestEveryType broadcasts every golden vector. What a subscriber gets is what rotki would have sent.
func TestEveryType(t *testing.T) {
	sent := vectors(t)
	missing := make(map[string]bool)
	payload := (*notificationsv1.Notification)(nil).ProtoReflect().Descriptor().Oneofs().ByName("payload").Fields()
	for i := range payload.Len() {
		missing[string(payload.Get(i).Name())] = true
	}
	b := start(t, bridge.Config{})
	s := subscribe(t, b)
	d := drive(t, b.GRPCAddr(), 1000)
	for i, v := range sent {
		d.broadcast(t, i, v)
		delete(missing, v.Type)
	}
	if len(missing) > 0 {
		t.Errorf("no vectors of %v", missing)
	}
	for i, e := range d.events(t, len(sent)) {
		if e.ID != i || !slices.Equal(e.Callbacks, []string{"success"}) || e.Subscribers != 1 || e.Error != "" {
			t.Errorf("vector %d: %+v", i, e)
		}
		if got := s.next(t); !reflect.DeepEqual(parse(t, got), parse(t, []byte(e.Wire))) {
			t.Errorf("received %s\nrotki sends %s", got, e.Wire)
		}
	}
	d.close(t)
}

func TestNobodyIsThere(t *testing.T) {
	b := start(t, bridge.Config{})
	d := drive(t, b.GRPCAddr(), 1000)
	d.broadcast(t, 0, warning("nobody hears this"))
	if e := d.events(t, 1)[0]; !slices.Equal(e.Callbacks, []string{"failure"}) || e.Error != "" || e.Position == "" || e.Subscribers != 0 {
		t.Errorf("without a subscriber: %+v", e)
	}
	s := subscribe(t, b)
	d.broadcast(t, 1, warning("somebody hears this"))
	if e := d.events(t, 1)[0]; !slices.Equal(e.Callbacks, []string{"success"}) {
		t.Errorf("with a subscriber: %+v", e)
	}
	if got := s.text(t); got != "somebody hears this" {
		t.Errorf("received %q", got)
	}
	d.close(t)
}

// TestRefused: what does not fit fails by itself, whether it is refused here or by the bridge.
func TestRefused(t *testing.T) {
	b := start(t, bridge.Config{MaxMessageBytes: 1000})
	s := subscribe(t, b)
	d := drive(t, b.GRPCAddr(), 1000)
	for i, tc := range []struct {
		text, err, path string
	}{
		{`{"type": "legacy", "data": {"verbosity": "loud", "value": "a"}}`, "ConversionError", "legacy.verbosity"},
		{
			`{"type": "login_status", "data": {"start_db_version": 1, "target_db_version": 2, "current_upgrade": {"from_db_version": 1}}}`,
			"ConversionError", "login_status.current_upgrade.total_steps",
		},
		{`{"type": "nonsense", "data": {}}`, "ConversionError", "type"},
		{string(warning(strings.Repeat("x", 1001)).line(t, 0)), "RejectedError", ""},
		{string(warning(strings.Repeat("x", 17<<20)).line(t, 0)), "RejectedError", ""},
	} {
		var bad message
		if err := json.Unmarshal([]byte(tc.text), &bad); err != nil {
			t.Fatal(err)
		}
		d.broadcast(t, i, bad)
		if e := d.events(t, 1)[0]; !slices.Equal(e.Callbacks, []string{"failure"}) || e.Error != tc.err || e.Path != tc.path || e.Message == "" {
			e.Wire = ""
			t.Errorf("case %d: %+v, want a %s for %q", i, e, tc.err, tc.path)
		}
		d.broadcast(t, i, warning(fmt.Sprint(i)))
		if e := d.events(t, 1)[0]; !slices.Equal(e.Callbacks, []string{"success"}) {
			t.Errorf("the one after case %d: %+v", i, e)
		}
		if got := s.text(t); got != fmt.Sprint(i) {
			t.Errorf("received %q after case %d", got, i)
		}
	}
	d.close(t)
}

// TestBufferFull: what finds no room fails at once, and what found some is delivered when the bridge comes.
func TestBufferFull(t *testing.T) {
	free := start(t, bridge.Config{})
	free.stop()
	d := drive(t, free.GRPCAddr(), 3)
	for i := range 5 {
		d.broadcast(t, i, warning(fmt.Sprint(i)))
	}
	for i, e := range d.events(t, 2) {
		if e.ID != 3+i || !slices.Equal(e.Callbacks, []string{"failure"}) || e.Error != "BufferFullError" {
			t.Errorf("number %d that finds no room: %+v", i, e)
		}
	}
	start(t, bridge.Config{GRPCAddr: free.GRPCAddr()})
	for i, e := range d.events(t, 3) {
		if e.ID != i || e.Error != "" || e.Position == "" {
			t.Errorf("number %d that found room: %+v", i, e)
		}
	}
	d.close(t)
}

// TestRestart drains a bridge and starts another on the same ports in the middle of the broadcasts.
func TestRestart(t *testing.T) {
	first := start(t, bridge.Config{})
	before := subscribe(t, first)
	d := drive(t, first.GRPCAddr(), 10_000)
	const restartAt, total = 1000, 3000
	var restarting sync.WaitGroup
	var second running
	var events []event
	for i := range total {
		if i == restartAt {
			events = d.events(t, restartAt/2)
			restarting.Go(func() {
				first.stop()
				second = start(t, bridge.Config{HTTPAddr: first.HTTPAddr(), GRPCAddr: first.GRPCAddr()})
			})
		}
		d.broadcast(t, i, warning(fmt.Sprint(i)))
	}
	restarting.Wait()
	after := subscribe(t, second)
	for i := range 100 {
		d.broadcast(t, total+i, warning(fmt.Sprint(total+i)))
	}

	positions := make(map[string]bool)
	acked := make(map[string][]string) // the texts by the epoch of the bridge that accepted them
	var epochs []string
	events = append(events, d.events(t, total+100-len(events))...)
	for i, e := range events {
		if e.ID != i || e.Error != "" || len(e.Callbacks) != 1 || positions[e.Position] {
			t.Fatalf("broadcast %d: %+v; position taken before: %v", i, e, positions[e.Position])
		}
		positions[e.Position] = true
		epoch, _, _ := strings.Cut(e.Position, "-")
		if acked[epoch] == nil {
			epochs = append(epochs, epoch)
		}
		acked[epoch] = append(acked[epoch], fmt.Sprint(i))
	}
	if len(epochs) != 2 {
		t.Fatalf("accepted by %d bridges, want 2", len(epochs))
	}
	t.Logf("%d were accepted by the first bridge, %d by the second", len(acked[epochs[0]]), len(acked[epochs[1]]))
	for _, want := range acked[epochs[0]] {
		if got := before.text(t); got != want {
			t.Fatalf("from the first bridge %q came in place of %q", got, want)
		}
	}
	// Whoever subscribes to the second bridge misses what it took before, and then gets everything once.
	rest := acked[epochs[1]]
	from := slices.Index(rest, after.text(t))
	if from < 0 || from > len(rest)-100 {
		t.Fatalf("the subscriber of the second bridge starts at %d of %d", from, len(rest))
	}
	for _, want := range rest[from+1:] {
		if got := after.text(t); got != want {
			t.Fatalf("from the second bridge %q came in place of %q", got, want)
		}
	}
	d.close(t)
}

// TestCutConnections breaks the connection again and again, under a bridge that stays: whatever was accepted but
// whose answer was lost is sent again, and delivered once.
func TestCutConnections(t *testing.T) {
	b := start(t, bridge.Config{})
	s := subscribe(t, b)
	proxy, cuts := cutting(t, b.GRPCAddr(), 10)
	d := drive(t, proxy, 10_000)
	const total = 5000
	for i := range total {
		d.broadcast(t, i, warning(fmt.Sprint(i)))
	}
	duplicates := 0
	for i, e := range d.events(t, total) {
		if e.ID != i || !slices.Equal(e.Callbacks, []string{"success"}) || e.Error != "" {
			t.Fatalf("broadcast %d: %+v", i, e)
		}
		if e.Duplicate {
			duplicates++
		}
		if got := s.text(t); got != fmt.Sprint(i) {
			t.Fatalf("received %q in place %d", got, i)
		}
	}
	d.close(t)
	if n := cuts(); n < 10 {
		t.Errorf("the connection was cut %d times, want 10", n)
	}
	t.Logf("%d were answered as duplicates", duplicates)
}

// TestUnits runs the package's own tests.
func TestUnits(t *testing.T) {
	command := python(t, "-m", "unittest", "discover", "--top-level-directory", ".", "--start-directory", "tests")
	out, err := command.CombinedOutput()
	t.Logf("%s", bytes.TrimSpace(out))
	if err != nil {
		t.Error(err)
	}
}

// TestInstalls installs a copy of the package, and converts with nothing but what was installed.
func TestInstalls(t *testing.T) {
	if out, err := python(t, "-c", "import setuptools, wheel, pip").CombinedOutput(); err != nil {
		missing(t, "no pip, setuptools and wheel for "+findPython(t)+": install Debian's python3-pip\n"+string(out))
	}
	source, target := filepath.Join(t.TempDir(), "source"), t.TempDir()
	copyTree(t, ".", source)
	install := python(t, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-index", "--no-deps",
		"--disable-pip-version-check", "--no-cache-dir", "--no-compile", "--root-user-action=ignore", "--target", target, source)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("pip install: %v\n%s", err, out)
	}
	for _, file := range []string{
		"rotki_bridge/py.typed", "rotki/notifications/v1/notification_pb2.pyi", "rotki/notifications/v1/notification_service_pb2_grpc.py",
	} {
		if _, err := os.Stat(filepath.Join(target, file)); err != nil {
			t.Errorf("not installed: %v", err)
		}
	}
	program := `import rotki_bridge
print(rotki_bridge.__file__, rotki_bridge.convert("legacy", {"verbosity": "error", "value": "x"}).legacy.value)`
	use := python(t, "-c", program)
	use.Dir = target
	use.Env = append(use.Env, "PYTHONPATH="+target)
	out, err := use.CombinedOutput()
	if want := filepath.Join(target, "rotki_bridge", "__init__.py") + " x\n"; err != nil || string(out) != want {
		t.Errorf("%v: printed %q, want %q", err, out, want)
	}
	for _, file := range []string{"build", "src/rotki_bridge.egg-info"} {
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s was left here", file)
		}
	}
}

// cutting is a TCP proxy that ends its first connections abruptly, each after some more bytes of answers.
func cutting(t *testing.T, target string, times int) (addr string, cuts func() int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{target: target, times: times}
	p.working.Go(func() { p.accept(l) })
	t.Cleanup(p.working.Wait)
	t.Cleanup(func() { l.Close() })
	return l.Addr().String(), func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.cuts
	}
}
