// Package examples_test runs the publishers in other languages against a real bridge.
package examples_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge"
)

// documented are the envelopes of rotki's API document, in the order in which the examples publish them.
var documented = []string{
	`{"type": "legacy", "data": {"verbosity": "warning", "value": "A warning"}}`,
	`{"type": "balance_snapshot_error", "data": {"location": "poloniex", "error": "Could not connect to poloniex"}}`,
	`{"type": "login_status", "data": {"start_db_version": 26, "target_db_version": 35,
		"current_upgrade": {"from_db_version": 30, "total_steps": 8, "current_step": 5}}}`,
	`{"type": "evm_address_migration", "data": [
		{"evm_chain": "optimism", "address": "0x2B888954421b424C5D3D9Ce9bB67c9bD47537d12"},
		{"evm_chain": "optimism", "address": "0xFeebabE6b0418eC13b30aAdF129F5DcDd4f70CeA"}]}`,
	`{"type": "new_evm_token_detected", "data": [{"token_identifier": "eip155:1/erc20:0x76dc5F01A1977F37b483F2C5b06618ed8FcA898C"}]}`,
}

func TestPython(t *testing.T) {
	python := findPython(t)
	runExample(t, func(addr string) *exec.Cmd {
		command := exec.CommandContext(t.Context(), python, "publish.py", addr)
		command.Dir = "python"
		command.Env = append(os.Environ(), "PYTHONPATH="+absolute(t, filepath.Join("..", "..", "gen", "python")), "PYTHONDONTWRITEBYTECODE=1")
		return command
	})
}

func TestNode(t *testing.T) {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, tool+" is missing: install Node.js 20 or later with npm")
		}
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	install.Dir = "node"
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	runExample(t, func(addr string) *exec.Cmd {
		command := exec.CommandContext(t.Context(), "node", "publish.mjs", addr)
		command.Dir = "node"
		return command
	})
}

// runExample starts a bridge and holds what a subscriber gets from a publisher against the API document.
func runExample(t *testing.T, command func(addr string) *exec.Cmd) {
	t.Helper()
	b, err := bridge.New(bridge.Config{HTTPAddr: "127.0.0.1:0", GRPCAddr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0", AdminGRPCAddr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the bridge ended with: %v", err)
		}
	}()
	subscriber, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+b.HTTPAddr()+"/ws/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer subscriber.Close()

	out, err := command(b.GRPCAddr()).CombinedOutput()
	t.Logf("it printed:\n%s", out)
	if err != nil {
		t.Fatalf("the publisher failed: %v", err)
	}
	if got := strings.Count(string(out), "accepted"); got != len(documented) {
		t.Errorf("it printed %d acks, want %d", got, len(documented))
	}
	for _, want := range documented {
		if err := subscriber.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, got, err := subscriber.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(parse(t, got), parse(t, []byte(want))) {
			t.Errorf("received %s, want %s", got, want)
		}
	}
}

func parse(t *testing.T, text []byte) any {
	t.Helper()
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}

// findPython returns a Python that has grpcio: Debian's, or whatever is active.
func findPython(t *testing.T) string {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), python, "-c", "import grpc, google.protobuf").Run() == nil {
			return python
		}
	}
	missing(t, "no python3 with grpcio and protobuf: install Debian's python3-grpcio and python3-protobuf")
	return ""
}

// missing skips on a developer's machine and fails in CI.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}
