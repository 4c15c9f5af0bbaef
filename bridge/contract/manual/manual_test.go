package manual_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/bridge/contract"
	"github.com/rotki/notification-bridge/bridge/contract/contracttest"
	"github.com/rotki/notification-bridge/bridge/contract/manual"
)

var root = absolute(filepath.Join("..", "..", ".."))

func absolute(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		panic(err)
	}
	return abs
}

// entries returns all of the built-in contract's.
func entries(t *testing.T) []*manual.Entry {
	t.Helper()
	builtin, err := contract.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	c, err := contract.Load(builtin.Image())
	if err != nil {
		t.Fatal(err)
	}
	m, err := manual.New(c)
	if err != nil {
		t.Fatal(err)
	}
	var all []*manual.Entry
	for _, name := range c.Types() {
		e, err := m.Entry(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// TestProtoIsTheSource: what is printed of a type compiles to the same messages, comments and all.
func TestProtoIsTheSource(t *testing.T) {
	protos := contracttest.Read(t, filepath.Join(root, "proto"))
	for _, e := range entries(t) {
		for part := range strings.SplitSeq(strings.TrimSuffix(e.Proto, "\n"), "\n\n//") {
			found := false
			for _, text := range protos {
				found = found || strings.Contains(text, strings.TrimPrefix(part, "//"))
			}
			if !found {
				t.Errorf("%s: no .proto file has\n%s", e.Name, part)
			}
		}
	}
}

// published runs the examples of all types against a bridge, and holds what a subscriber gets against the envelopes in
// the manual.
func published(t *testing.T, run func(addr string, all []*manual.Entry)) {
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
	all := entries(t)
	run(b.GRPCAddr(), all)
	missing := make(map[string]bool)
	for _, e := range all {
		missing[string(e.Envelope)] = true
	}
	_ = subscriber.SetReadDeadline(time.Now().Add(30 * time.Second))
	for range all {
		_, got, err := subscriber.ReadMessage()
		if err != nil {
			t.Fatalf("%v; there did not come: %v", err, missing)
		}
		if !missing[string(got)] {
			t.Errorf("not in the manual: %s", got)
		}
		delete(missing, string(got))
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// output runs a command, which must succeed.
func output(t *testing.T, dir string, environment []string, name string, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir = dir
	command.Env = append(os.Environ(), environment...)
	if text, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v:\n%s", name, err, text)
	}
}

// TestGo vets each example, in a module of its own, and then runs all as one program.
func TestGo(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds programs")
	}
	published(t, func(addr string, all []*manual.Entry) {
		dir := t.TempDir()
		module := "github.com/rotki/notification-bridge"
		write(t, dir, "go.mod", strings.Replace(read(t, filepath.Join(root, "go.mod")), "module "+module, "module example", 1)+
			fmt.Sprintf("\nrequire %s v0.0.0\nreplace %s => %s\n", module, module, root))
		write(t, dir, "go.sum", read(t, filepath.Join(root, "go.sum")))
		main := "package main\n\nfunc main() {\n"
		for _, e := range all {
			if err := os.Mkdir(filepath.Join(dir, e.Name), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, e.Name), "main.go", e.Go)
			one := strings.NewReplacer("func main() {", "func "+e.Name+"() {", "127.0.0.1:5044", addr).Replace(e.Go)
			write(t, dir, e.Name+".go", one)
			main += "\t" + e.Name + "()\n"
		}
		write(t, dir, "all.go", main+"}\n")
		environment := []string{"GOFLAGS=-mod=mod", "GOWORK=off"}
		output(t, dir, environment, "go", "vet", "./...")
		output(t, dir, environment, "go", "run", ".")
	})
}

func TestPython(t *testing.T) {
	python := ""
	for _, candidate := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), candidate, "-c", "import grpc, google.protobuf").Run() == nil {
			python = candidate
			break
		}
	}
	if python == "" {
		skip(t, "no python3 with grpcio and protobuf: install Debian's python3-grpcio and python3-protobuf")
	}
	published(t, func(addr string, all []*manual.Entry) {
		dir := t.TempDir()
		for _, e := range all {
			write(t, dir, e.Name+".py", e.Python)
		}
		const each = "import glob, runpy\nfor name in glob.glob('*.py'): runpy.run_path(name)"
		output(t, dir, []string{"PYTHONPATH=" + filepath.Join(root, "gen", "python")}, python, "-c", each, addr)
	})
}

func TestNode(t *testing.T) {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			skip(t, tool+" is missing: install Node.js 20 or later with npm")
		}
	}
	published(t, func(addr string, all []*manual.Entry) {
		dir := t.TempDir()
		stubs := filepath.Join(dir, "es") // npm must not write into the checkout
		if err := os.CopyFS(stubs, os.DirFS(filepath.Join(root, "gen", "es"))); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{".npmrc", "package.json", "package-lock.json"} {
			text := read(t, filepath.Join(root, "client", "examples", "node", name))
			write(t, dir, name, strings.ReplaceAll(text, "file:../../../gen/es", "file:es"))
		}
		output(t, dir, nil, "npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error")
		main := ""
		for _, e := range all {
			write(t, dir, e.Name+".mjs", e.Node)
			main += fmt.Sprintf("await import(\"./%s.mjs\");\n", e.Name)
		}
		write(t, dir, "all.mjs", main)
		output(t, dir, nil, "node", "all.mjs", addr)
	})
}

func TestMarkdown(t *testing.T) {
	for _, e := range entries(t) {
		page := e.Markdown()
		for i, line := range strings.Split(page, "\n") {
			if strings.TrimRight(line, " \t") != line {
				t.Errorf("%s, line %d ends in a space: %q", e.Name, i+1, line)
			}
		}
		if strings.Count(page, "\n```\n") != 5 || !strings.Contains(page, "\n```json\n"+string(e.Envelope)+"\n```\n") {
			t.Errorf("%s: the page is\n%s", e.Name, page)
		}
	}
}

// skip skips a test that cannot be run here, but never in CI.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}
