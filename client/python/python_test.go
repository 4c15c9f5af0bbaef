package python_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// python is a Python that finds the package where it is, and leaves nothing behind.
func python(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	command := exec.Command(findPython(t), args...)
	source, err := filepath.Abs("src")
	if err != nil {
		t.Fatal(err)
	}
	command.Env = append(os.Environ(), "PYTHONPATH="+source, "PYTHONDONTWRITEBYTECODE=1")
	return command
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

// copyTree copies a folder and what its links lead to.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		source, target := filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())
		info, err := os.Stat(source)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			copyTree(t, source, target)
			continue
		}
		content, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
