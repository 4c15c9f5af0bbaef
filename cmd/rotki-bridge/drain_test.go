//go:build unix

package main_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// drainSlack is what stopping may take beyond the drain timeout on a machine that is busy.
const drainSlack = 20 * time.Second

// The bridge is told to stop while a publisher sends as fast as it can: what was accepted has reached every
// subscriber, nothing else has, and everyone knows that it is time to go elsewhere.
func TestDrainUnderLoad(t *testing.T) {
	const subscribers, drainTimeout = 20, 20 * time.Second
	bridge := startProcess(t, "--drain-timeout", drainTimeout.String())
	var readers []*reader
	for range subscribers {
		readers = append(readers, bridge.read(t))
	}
	load := publishForEver(bridge.publisher(t))
	await(t, "publishing is under way", func() bool { return load.answered.Load() > 100 })

	bridge.terminate(t)
	start := time.Now()
	answered, err := load.end()
	if status.Code(err) != codes.Unavailable || !strings.Contains(status.Convert(err).Message(), "under the same id") {
		t.Errorf("the stream ended with %v; want UNAVAILABLE, and to be told what was accepted", err)
	}
	if code := bridge.exit(t, drainTimeout+drainSlack); code != 0 {
		t.Errorf("the exit status is %d", code)
	}
	t.Logf("%d messages were accepted; it took %v to drain", answered, time.Since(start).Round(time.Millisecond))
	for i, r := range readers {
		r.check(t, fmt.Sprint("subscriber ", i), answered)
	}
}

// A subscriber that never reads holds the bridge no longer than the drain timeout, and takes nothing from those
// who read. Meanwhile the bridge says that it is alive and takes nothing new.
func TestDrainWithSilentSubscriber(t *testing.T) {
	const drainTimeout = 3 * time.Second
	// Nothing but the drain timeout is to end the silent one.
	bridge := startProcess(t, "--drain-timeout", drainTimeout.String(), "--ping-interval", "1h", "--write-timeout", "1h")
	reads := bridge.read(t)
	silent := bridge.subscribe(t, &websocket.Dialer{
		NetDialContext: (&net.Dialer{Control: limitReceiveBuffer(4 << 10)}).DialContext,
	}, "")
	load := publishForEver(bridge.publisher(t))
	await(t, "the silent subscriber is blocked", func() bool {
		// What the kernel holds for it is far less than a hundred messages.
		return bridge.metric(t, "bridge_blocked_writes_total") > 0 && load.answered.Load() > 100
	})

	bridge.terminate(t)
	start := time.Now()
	var body string
	await(t, "/readyz turns 503", func() bool {
		code, text, err := bridge.get("/readyz")
		if err != nil {
			t.Fatalf("/readyz: %v", err)
		}
		body = text
		return code == http.StatusServiceUnavailable
	})
	if code, _, err := bridge.get("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz while it drains (%s): %d, %v; want 200", strings.TrimSpace(body), code, err)
	}
	answered, err := load.end()
	if status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v, want UNAVAILABLE", err)
	}
	if code := bridge.exit(t, drainTimeout+drainSlack); code != 0 {
		t.Errorf("the exit status is %d", code)
	}
	t.Logf("%d messages were accepted; it took %v to drain", answered, time.Since(start).Round(time.Millisecond))
	reads.check(t, "the subscriber that reads", answered)

	late := begin(silent)
	<-late.ended
	if late.got >= answered {
		t.Error("the silent subscriber was to be blocked, and was not")
	}
	if late.wrong != nil || !endedWithoutClose(late.err) {
		t.Errorf("the silent subscriber's connection ended with %v (%v), want the end of TCP alone", late.err, late.wrong)
	}
}

// reader reads numbered messages until its connection ends.
type reader struct {
	ended chan struct{}
	got   int
	wrong error // the first message that was not the next
	err   error // why it ended
}

// read subscribes and reads.
func (p *process) read(t *testing.T) *reader {
	t.Helper()
	return begin(p.subscribe(t, websocket.DefaultDialer, ""))
}

func begin(conn *websocket.Conn) *reader {
	r := &reader{ended: make(chan struct{})}
	_ = conn.SetReadDeadline(time.Now().Add(2 * patience))
	go func() {
		defer close(r.ended)
		for {
			_, text, err := conn.ReadMessage()
			if err != nil {
				r.err = err
				return
			}
			if r.wrong == nil && string(text) != warningEnvelope(numbered(r.got)) {
				r.wrong = fmt.Errorf("message %d is %.100s", r.got, text)
			}
			r.got++
		}
	}()
	return r
}

// check waits for the end, without a close frame, before which exactly what was accepted must have come.
func (r *reader) check(t *testing.T, who string, want int) {
	t.Helper()
	<-r.ended
	if r.wrong != nil {
		t.Errorf("%s: %v", who, r.wrong)
	}
	if r.got != want {
		t.Errorf("%s got %d messages, %d were accepted", who, r.got, want)
	}
	if !endedWithoutClose(r.err) {
		t.Errorf("%s: the connection ended with %v, want the end of TCP alone", who, r.err)
	}
}

// numbered is the text of a message, long enough that a hundred of them fill every buffer of the kernel.
func numbered(i int) string { return strconv.Itoa(i) + padding }

var padding = strings.Repeat(".", 8<<10)

// load is a publisher at work.
type load struct {
	answered atomic.Int32
	err      error // why the stream ended
	ended    sync.WaitGroup
}

// publishForEver publishes numbered messages, and reads the answers, until the stream ends.
func publishForEver(stream publishStream) *load {
	l := new(load)
	l.ended.Go(func() {
		for i := 0; stream.Send(warning(numbered(i))) == nil; i++ {
		}
	})
	l.ended.Go(func() {
		for l.err == nil {
			if _, l.err = accepted(stream); l.err == nil {
				l.answered.Add(1)
			}
		}
	})
	return l
}

// end waits for the stream to end, and returns how many messages were accepted.
func (l *load) end() (answered int, err error) {
	l.ended.Wait()
	return int(l.answered.Load()), l.err
}

// endedWithoutClose reports whether a websocket ended by TCP alone. gorilla/websocket says 1006, which no close frame
// can hold, for FIN.
func endedWithoutClose(err error) bool {
	return websocket.IsCloseError(err, websocket.CloseAbnormalClosure) || errors.Is(err, syscall.ECONNRESET)
}

// limitReceiveBuffer returns a net.Dialer's Control that limits what the kernel takes in, if bytes is not 0.
func limitReceiveBuffer(bytes int) func(network, address string, conn syscall.RawConn) error {
	if bytes == 0 {
		return nil
	}
	return func(_, _ string, conn syscall.RawConn) error {
		var err error
		if control := conn.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, bytes)
		}); control != nil {
			return control
		}
		return err
	}
}
