package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// patience is how long these tests wait for what must happen. Only one that fails takes so long.
const patience = time.Minute

// scratch is a directory for the whole run of the tests; it is there once the program is built.
var scratch string

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		if scratch != "" {
			_ = os.RemoveAll(scratch)
		}
		os.Exit(status)
	}))
}

// program builds the program, as it is shipped: without the race detector, whose memory would hide the bridge's.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rotki-bridge-test-")
	if err != nil {
		return "", err
	}
	scratch = dir
	return build(dir, ".")
})

// build builds the program whose source is in dir from, into dir.
func build(dir, from string) (string, error) {
	path := filepath.Join(dir, "rotki-bridge")
	command := exec.Command("go", "build", "-buildvcs=false", "-o", path, ".")
	command.Dir = from
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w:\n%s", err, output)
	}
	return path, nil
}

// process is `rotki-bridge serve` in a process of its own.
type process struct {
	websocket, grpc, admin, adminGRPC string // addresses

	command *exec.Cmd
	log     *processLog
	exited  chan struct{}
}

// startProcess builds the program, once, and runs it on free ports.
func startProcess(t *testing.T, flags ...string) *process {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return startProgram(t, path, flags...)
}

// startProgram runs a program that was built, on free ports; see launch.
func startProgram(t *testing.T, path string, flags ...string) *process {
	t.Helper()
	return launch(t, exec.Command(path, append([]string{
		"serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--admin-grpc-addr", "127.0.0.1:0", "--log-format", "json",
	}, flags...)...))
}

// launch runs a bridge that logs in JSON, and returns once it listens. It is killed at the end of the test, if it has not
// ended before.
func launch(t *testing.T, command *exec.Cmd) *process {
	t.Helper()
	log := &processLog{listening: make(chan listening, 1)}
	p := &process{command: command, log: log, exited: make(chan struct{})}
	p.command.Stderr = log
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		_ = p.command.Wait() // ProcessState says how it ended
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the end of the bridge's log (%v):\n%s", p.command.ProcessState, log.tail())
		}
	})
	select {
	case at := <-log.listening:
		p.websocket, p.grpc, p.admin, p.adminGRPC = at.Websocket, at.GRPC, at.Admin, at.AdminGRPC
	case <-p.exited:
		t.Fatalf("the bridge ended (%v) before it listened", p.command.ProcessState)
	case <-time.After(patience):
		t.Fatal("the bridge does not listen")
	}
	return p
}

// terminate asks the process to drain.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// kill ends the process at once, and returns when it is gone.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	<-p.exited
}

// exit waits for the process to end by itself, and returns its exit status.
func (p *process) exit(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(within):
		t.Fatalf("the bridge still runs after %v", within)
	}
	return p.command.ProcessState.ExitCode()
}

// get asks the process's admin address. The error says that there is no answer.
func (p *process) get(path string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+path, nil)
	if err != nil {
		return 0, "", err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// metric returns a metric that has no labels.
func (p *process) metric(t *testing.T, name string) float64 {
	t.Helper()
	status, body, err := p.get("/metrics")
	if err != nil || status != http.StatusOK {
		t.Fatalf("/metrics: %d, %v", status, err)
	}
	for line := range strings.Lines(body) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				t.Fatalf("/metrics: %s: %v", line, err)
			}
			return value
		}
	}
	t.Fatalf("/metrics has no %s", name)
	return 0
}

// await waits for a condition.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	late := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !condition() {
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("it does not come about that %s", what)
		}
	}
}

// subscribe opens a websocket; query is like "?types=legacy".
func (p *process) subscribe(t *testing.T, dialer *websocket.Dialer, query string) *websocket.Conn {
	t.Helper()
	conn, _, err := dialer.DialContext(t.Context(), "ws://"+p.websocket+"/ws/"+query, nil)
	if err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// dial opens a gRPC connection. The context is done at the end of the test.
func (p *process) dial(t *testing.T) (context.Context, *grpc.ClientConn) {
	t.Helper()
	conn, err := grpc.NewClient(p.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(func() {
		cancel()
		_ = conn.Close()
	})
	return ctx, conn
}

type publishStream = grpc.BidiStreamingClient[notificationsv1.PublishRequest, notificationsv1.PublishResponse]

// publisher opens a Publish stream.
func (p *process) publisher(t *testing.T) publishStream {
	t.Helper()
	ctx, conn := p.dial(t)
	stream, err := notificationsv1.NewNotificationServiceClient(conn).Publish(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// warning asks to publish a text, which reaches the subscribers as warningEnvelope. It must need no escaping.
func warning(text string) *notificationsv1.PublishRequest {
	return &notificationsv1.PublishRequest{Notification: &notificationsv1.Notification{
		Payload: &notificationsv1.Notification_Legacy{
			Legacy: &notificationsv1.Legacy{Verbosity: notificationsv1.Verbosity_VERBOSITY_WARNING, Value: text},
		},
	}}
}

func warningEnvelope(text string) string {
	return `{"type":"legacy","data":{"verbosity":"warning","value":"` + text + `"}}`
}

// accepted receives an answer, which must be an acceptance.
func accepted(stream publishStream) (*notificationsv1.Accepted, error) {
	response, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	if response.GetAccepted() == nil {
		return nil, fmt.Errorf("refused: %v", response.GetRejected())
	}
	return response.GetAccepted(), nil
}

// listening is where a bridge says that it listens.
type listening struct {
	Message   string `json:"msg"`
	Websocket string `json:"websocket"`
	GRPC      string `json:"grpc"`
	Admin     string `json:"admin"`
	AdminGRPC string `json:"admin_grpc"`
}

// processLog takes a process's log: it tells where the process listens, and keeps the last lines.
type processLog struct {
	listening chan listening

	mu   sync.Mutex
	kept []byte
	told bool
}

// Write implements io.Writer.
func (l *processLog) Write(p []byte) (int, error) {
	const keep = 16 << 10
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, p...)
	for line := range bytes.Lines(l.kept) {
		at := listening{}
		if !l.told && json.Unmarshal(line, &at) == nil && at.Message == "listening" {
			l.told = true
			l.listening <- at
		}
	}
	if len(l.kept) > 2*keep {
		l.kept = append(l.kept[:0], l.kept[len(l.kept)-keep:]...)
	}
	return len(p), nil
}

func (l *processLog) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.kept)
}

// skip skips a test that cannot be run here, but never in CI.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}
