package delivery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
)

const conformance = "testdata/conformance"

// TestConformance has Node's ws, a client that is strict about what it gets, send what a client may send and what it
// may not to an engine that echoes.
func TestConformance(t *testing.T) {
	requireWS(t)
	if _, err := os.ReadDir(conformance); err != nil { // go test's cache must know of the scripts
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		config  delivery.Config
		secure  bool
		deflate string // see conformance.mjs
	}{
		{name: "plain", deflate: "none"},
		{name: "deflate", config: delivery.Config{CompressFrom: 1}, deflate: "agreed"},
		{name: "deflate refused", config: delivery.Config{CompressFrom: -1}, deflate: "offered"},
		{name: "TLS", secure: true, deflate: "none"},
		{name: "TLS with deflate", secure: true, deflate: "agreed"},
		{name: "small buffers", config: delivery.Config{SendBuffer: 1}, deflate: "none"},
		{name: "small buffers with deflate", config: delivery.Config{SendBuffer: 1, CompressFrom: 1}, deflate: "agreed"},
		{name: "small buffers with TLS", config: delivery.Config{SendBuffer: 1}, secure: true, deflate: "none"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			url, engine := serveEcho(t, tc.config, tc.secure)
			command := exec.CommandContext(t.Context(), "node", "conformance.mjs", url, tc.deflate)
			command.Dir = conformance
			var complaints bytes.Buffer
			command.Stderr = &complaints
			out, err := command.Output()
			if err != nil {
				t.Errorf("node: %v\n%s", err, complaints.String())
			}
			report(t, out)
			await(t, "nobody is left", func() bool { return engine.Connections() == 0 })
		})
	}
}

// report makes a test of each of the script's lines.
func report(t *testing.T, out []byte) {
	t.Helper()
	lines := json.NewDecoder(bytes.NewReader(out))
	for n := 0; ; n++ {
		var result struct {
			Name   string
			OK     bool
			Detail string
		}
		switch err := lines.Decode(&result); {
		case errors.Is(err, io.EOF) && n > 0:
			return
		case err != nil:
			t.Fatalf("after %d lines: %v\n%s", n, err, out)
		}
		t.Run(result.Name, func(t *testing.T) {
			if !result.OK {
				t.Error(result.Detail)
			}
		})
	}
}

// serveEcho starts an engine that echoes, and returns its URL.
func serveEcho(t *testing.T, config delivery.Config, secure bool) (url string, engine *delivery.Engine) {
	t.Helper()
	config.Log = journal.NewMemory(journal.MemoryConfig{})
	engine = delivery.NewEcho(config)
	server := httptest.NewUnstartedServer(engine)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	start := server.Start
	if secure {
		start = server.StartTLS
	}
	start()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		server.Close()
	})
	return strings.Replace(server.URL, "http", "ws", 1) + "/ws/", engine
}

// requireWS installs ws. It skips the test where that cannot be had, but never in CI.
func requireWS(t *testing.T) {
	t.Helper()
	const hint = "Node's ws cannot be run: install npm with Node.js 20 or later, and run npm ci once in bridge/delivery/" +
		conformance + " where the npm registry can be reached"
	if err := installWS(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s: %v", hint, err)
		}
		t.Skip(hint)
	}
}

var installWS = sync.OnceValue(func() error {
	if _, err := exec.LookPath("node"); err != nil {
		return err
	}
	wanted, err := versionOfWS("package-lock.json")
	if err != nil {
		return err
	}
	if installed, err := versionOfWS(filepath.Join("node_modules", ".package-lock.json")); err == nil && installed == wanted {
		return nil
	}
	command := exec.Command("npm", "ci", "--no-audit", "--no-fund")
	command.Dir = conformance
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, output)
	}
	return nil
})

// versionOfWS reads which ws a lock file holds.
func versionOfWS(lock string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(conformance, lock))
	if err != nil {
		return "", err
	}
	var file struct {
		Packages map[string]struct{ Version string }
	}
	err = json.Unmarshal(raw, &file)
	return file.Packages["node_modules/ws"].Version, err
}
