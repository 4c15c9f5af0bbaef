package python_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge"
)

// long is a time that only a failing test needs.
const long = 60 * time.Second

// running is a bridge.
type running struct {
	*bridge.Bridge
	stop func() // drains it
}

// start runs a bridge, on free ports unless config names some.
func start(t *testing.T, config bridge.Config) running {
	t.Helper()
	for _, addr := range []*string{&config.HTTPAddr, &config.GRPCAddr, &config.AdminAddr, &config.AdminGRPCAddr} {
		if *addr == "" {
			*addr = "127.0.0.1:0"
		}
	}
	b, err := bridge.New(config)
	if err != nil {
		t.Error(err)
		return running{stop: func() {}}
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
	return running{b, stop}
}

// subscriber is a websocket, as rotki's frontend opens it.
type subscriber struct {
	envelopes <-chan []byte // closed when the connection has ended
}

func subscribe(t *testing.T, b running) subscriber {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+b.HTTPAddr()+"/ws/", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	envelopes := make(chan []byte, 100_000)
	go func() {
		defer close(envelopes)
		defer conn.Close()
		for {
			_, envelope, err := conn.ReadMessage()
			if err != nil {
				return
			}
			envelopes <- envelope
		}
	}()
	return subscriber{envelopes}
}

// next returns the next envelope.
func (s subscriber) next(t *testing.T) []byte {
	t.Helper()
	select {
	case envelope, ok := <-s.envelopes:
		if !ok {
			t.Fatal("the subscriber's connection has ended")
		}
		return envelope
	case <-time.After(long):
		t.Fatal("the subscriber got nothing")
	}
	return nil
}

// text returns the text of the next envelope, which is a warning's.
func (s subscriber) text(t *testing.T) string {
	t.Helper()
	var envelope struct{ Data struct{ Value string } }
	if err := json.Unmarshal(s.next(t), &envelope); err != nil {
		t.Fatal(err)
	}
	return envelope.Data.Value
}

// message is what rotki's backend broadcasts.
type message struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// line is what the driver reads.
func (m message) line(t *testing.T, id int) []byte {
	t.Helper()
	line, err := json.Marshal(struct {
		ID int `json:"id"`
		message
	}{id, m})
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func warning(text string) message {
	data, _ := json.Marshal(map[string]string{"verbosity": "warning", "value": text})
	return message{"legacy", data}
}

// vectors returns the golden envelopes.
func vectors(t *testing.T) []message {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "bridge", "envelope", "testdata", "vectors", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	var all []message
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var vector struct{ Envelope message }
		if err := json.Unmarshal(text, &vector); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, vector.Envelope)
	}
	return all
}

// event is a line that the driver writes.
type event struct {
	ID          int
	Callbacks   []string
	Wire        string
	Error       string
	Path        string
	Message     string
	Position    string
	Subscribers int
	Duplicate   bool
	Closed      *bool
}

// driver is tests/driver.py at work.
type driver struct {
	in     io.WriteCloser
	events func(t *testing.T, n int) []event // the next n
}

// drive starts a Python program with a Notifier.
func drive(t *testing.T, addr string, capacity int) driver {
	t.Helper()
	limit, _ := json.Marshal(capacity)
	command := python(t, "-m", "tests.driver", addr, string(limit))
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	events := make(chan event, 100_000)
	go func() {
		defer close(events)
		for lines := bufio.NewReader(out); ; {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return
			}
			var e event
			if json.Unmarshal(line, &e) == nil {
				events <- e
			}
		}
	}()
	t.Cleanup(func() {
		_ = in.Close()
		hangs := time.AfterFunc(long, func() { _ = command.Process.Kill() })
		defer hangs.Stop()
		for range events {
		}
		if err := command.Wait(); err != nil {
			t.Errorf("the driver ended with: %v", err)
		}
		if t.Failed() {
			t.Logf("the driver's log:\n%s", stderr.Bytes())
		}
	})
	return driver{in, func(t *testing.T, n int) []event {
		t.Helper()
		var got []event
		for len(got) < n {
			select {
			case e, ok := <-events:
				if !ok {
					t.Fatalf("the driver ended after %d of %d events", len(got), n)
				}
				got = append(got, e)
			case <-time.After(long):
				t.Fatalf("%d of %d events came", len(got), n)
			}
		}
		return got
	}}
}

func (d driver) broadcast(t *testing.T, id int, m message) {
	t.Helper()
	if _, err := d.in.Write(append(m.line(t, id), '\n')); err != nil {
		t.Fatal(err)
	}
}

// close ends the driver, which flushes.
func (d driver) close(t *testing.T) {
	t.Helper()
	if err := d.in.Close(); err != nil {
		t.Fatal(err)
	}
	if e := d.events(t, 1)[0]; e.Closed == nil || !*e.Closed {
		t.Errorf("closing: %+v", e)
	}
}

// parse keeps numbers as they are written.
func parse(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}
