package main_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// A publisher is killed while it streams, twice, and run again with the same ids: every message is accepted once,
// and every subscriber that was there all the time gets each once, in order.
func TestPublisherKilled(t *testing.T) {
	const messages, subscribers = 60_000, 3
	bridge := startProcess(t)
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	for i := range messages {
		fmt.Fprintf(&lines, "%s\n", warningEnvelope(fmt.Sprint(i)))
	}
	file := filepath.Join(t.TempDir(), "messages.ndjson")
	if err := os.WriteFile(file, lines.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	received := make(chan error, subscribers)
	for range subscribers {
		conn := bridge.subscribe(t, websocket.DefaultDialer, "")
		go func() {
			for i := range messages {
				_, text, err := conn.ReadMessage()
				if err != nil || string(text) != warningEnvelope(fmt.Sprint(i)) {
					received <- fmt.Errorf("message %d: %q, %w", i, text, err)
					return
				}
			}
			received <- nil
		}()
	}
	publish := func() (*exec.Cmd, *bytes.Buffer) {
		said := new(bytes.Buffer)
		command := exec.Command(path, "publish", "--grpc-addr", bridge.grpc, "--id-prefix", "run-", file)
		command.Stderr = said
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		return command, said
	}
	count := func(result string) float64 { return bridge.metric(t, `bridge_publishes_total{result="`+result+`"}`) }

	for _, after := range []float64{1000, 5000} {
		command, _ := publish()
		await(t, "publishing is under way", func() bool { return count("accepted") >= after })
		if err := command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = command.Wait()
		t.Logf("killed when %v messages were accepted", count("accepted"))
	}
	command, said := publish()
	if err := command.Wait(); err != nil {
		t.Fatalf("the last run: %v\n%s", err, said)
	}
	t.Logf("the last run said: %s", strings.TrimSpace(said.String()))
	for range subscribers {
		if err := <-received; err != nil {
			t.Error(err)
		}
	}
	if got := count("accepted"); got != messages {
		t.Errorf("%v messages were accepted, want %d", got, messages)
	}
	if count("duplicate") == 0 {
		t.Error("no message was published again: no run was killed in the middle")
	}
}
