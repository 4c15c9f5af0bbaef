package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// settingsOf returns what `serve --print-config` prints, and its exit status.
func settingsOf(t *testing.T, args ...string) (status int, out, errors string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = run(t.Context(), append([]string{"serve", "--print-config"}, args...), stdio{strings.NewReader(""), &stdout, &stderr})
	return status, stdout.String(), stderr.String()
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bridge.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestPrecedence: the command line wins over the environment, and the environment over the file.
func TestPrecedence(t *testing.T) {
	file := write(t, `
http-addr = "127.0.0.1:1"
grpc-addr = "127.0.0.1:1"
admin-addr = "127.0.0.1:1"
allowed-origins = ["https://a.example.org", "https://b.example.org"]
data-as-string = true
send-buffer = 1000
drain-timeout = "3s"
`)
	t.Setenv("ROTKI_BRIDGE_GRPC_ADDR", "127.0.0.1:2")
	t.Setenv("ROTKI_BRIDGE_ADMIN_ADDR", "127.0.0.1:2")
	t.Setenv("ROTKI_BRIDGE_PING_INTERVAL", "7s")
	t.Setenv("ROTKI_BRIDGE_UPSTREAM", "") // as good as unset
	status, out, errors := settingsOf(t, "--config", file, "--admin-addr", "127.0.0.1:3")
	if status != 0 {
		t.Fatalf("exit status %d: %s", status, errors)
	}
	for _, want := range []string{
		`http-addr = "127.0.0.1:1"`, `grpc-addr = "127.0.0.1:2"`, `admin-addr = "127.0.0.1:3"`,
		`allowed-origins = ["https://a.example.org", "https://b.example.org"]`, "data-as-string = true",
		"send-buffer = 1000", `drain-timeout = "3s"`, `ping-interval = "7s"`, `write-timeout = "30s"`, `upstream = ""`,
	} {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("no line %s in\n%s", want, out)
		}
	}
}

// TestPrintedConfigCanBeRead: what --print-config prints means the same as --config, from a pipe too.
func TestPrintedConfigCanBeRead(t *testing.T) {
	_, printed, _ := settingsOf(t, "--http-addr", "127.0.0.1:1", "--grpc-addr", "127.0.0.1:2", "--journal-age", "1m", "--allowed-origins", "https://a.example.org")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		_, _ = w.WriteString(printed)
		_ = w.Close()
	}()
	piped := fmt.Sprintf("/dev/fd/%d", r.Fd())
	if _, err := os.Stat(piped); err != nil {
		t.Skipf("this system has no %s", piped)
	}
	for name, file := range map[string]string{"file": write(t, printed), "pipe": piped} {
		if status, again, errors := settingsOf(t, "--config", file); status != 0 || again != printed {
			t.Errorf("%s: exit status %d, %s\n%s", name, status, errors, again)
		}
	}
}

func TestRefusedCommandLines(t *testing.T) {
	for _, tc := range []struct {
		name, file string
		args       []string
		sentence   string
	}{
		{"no such file", "", []string{"--config", "/nowhere.toml"}, "--config /nowhere.toml: open"},
		{"no TOML", "http-addr", nil, "--config "},
		{"unknown setting", `http-address = "x"`, nil, `there is no setting "http-address"`},
		{"config in a config", `config = "x"`, nil, `there is no setting "config"`},
		{"a table", "[http-addr]", nil, "http-addr must be"},
		{"a list for one", `http-addr = ["127.0.0.1:1"]`, nil, "http-addr must be"},
		{"numbers for texts", `allowed-origins = [1]`, nil, "allowed-origins must be"},
		{"a float", `send-buffer = 1.5`, nil, "send-buffer must be"},
		{"bad duration in the file", `ping-interval = "soon"`, nil, "ping-interval"},
		{"bad duration", "", []string{"--ping-interval", "soon"}, "--ping-interval"},
		{"zero", "", []string{"--journal-messages", "0"}, "--journal-messages must be greater than 0"},
		{"negative", "", []string{"--drain-timeout=-1s"}, "--drain-timeout must be longer than 0"},
		{"bad level", "", []string{"--log-level", "loud"}, "--log-level"},
		{"unknown flag", "", []string{"--nonsense"}, "--nonsense"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := tc.args
			if tc.file != "" {
				args = append(args, "--config", write(t, tc.file))
			}
			status, _, errors := settingsOf(t, args...)
			if status != 2 || !strings.Contains(errors, tc.sentence) {
				t.Errorf("exit status %d: %s", status, errors)
			}
		})
	}
}

// FuzzConfig: whatever a file holds is read or refused with a sentence that names it.
func FuzzConfig(f *testing.F) {
	for _, text := range []string{"", `http-addr = "x"`, "allowed-origins = []", "send-buffer = -1", "a.b = 1", "log-level = 3"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		status, out, errors := settingsOf(t, "--config", write(t, text))
		if (status == 0) != (out != "") || (status != 0) != (errors != "") {
			t.Errorf("exit status %d\n%s\n%s", status, out, errors)
		}
	})
}
