//go:build unix

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/contract"
	"github.com/rotki/notification-bridge/bridge/contract/contracttest"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

const scratchRequest = `{"notification": {"scratchProgress": ` + scratchNotification + `}}`

// scratchProtos are the .proto files with testdata/newtype's further type, in a directory of their own.
func scratchProtos(t *testing.T) (dir string, protos contracttest.Protos) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "proto")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "proto"))); err != nil {
		t.Fatal(err)
	}
	addScratchType(t, filepath.Join(dir, "rotki", "notifications", "v1"))
	return dir, contracttest.Read(t, dir)
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func builtinImage(t *testing.T) []byte {
	t.Helper()
	builtin, err := contract.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return builtin.Image()
}

// incompatible renames a field of the contract.
func incompatible(t *testing.T, protos contracttest.Protos) []byte {
	t.Helper()
	protos.Edit(t, "errors.proto", "  string value = 2;\n", "  string text = 2;\n")
	return protos.Image(t)
}

const renamed = "is no compatible extension of the contract that this bridge was built with: Legacy.value: its name was value, and is text"

// awaitLog waits for a line of the log that holds all parts.
func (p *process) awaitLog(t *testing.T, parts ...string) {
	t.Helper()
	await(t, "the log says "+strings.Join(parts, " … "), func() bool {
	lines:
		for line := range strings.Lines(p.log.tail()) {
			for _, part := range parts {
				if !strings.Contains(line, part) {
					continue lines
				}
			}
			return true
		}
		return false
	})
}

// A bridge built before a type existed refuses it, and learns it through --contract.
func TestContractTeachesType(t *testing.T) {
	dir, protos := scratchProtos(t)
	file := filepath.Join(t.TempDir(), "newer.binpb")
	writeFile(t, file, protos.Image(t))

	old := startProcess(t)
	rejected := dynamicStream(t, old, dir)(scratchRequest).GetRejected()
	if rejected.GetReason() != notificationsv1.Reason_REASON_UNKNOWN_TO_CONTRACT ||
		!strings.Contains(rejected.GetMessage(), "field number 1000 of rotki.notifications.v1.Notification") ||
		!strings.Contains(rejected.GetMessage(), "update the bridge, or load a newer contract with --contract") {
		t.Errorf("without --contract it was answered with %v", rejected)
	}

	taught := startProcess(t, "--contract", file)
	taught.awaitLog(t, "contract loaded", file, "scratch_progress")
	conn := taught.subscribe(t, websocket.DefaultDialer, "?types=scratch_progress")
	publish := dynamicPublisher(t, taught, dir)
	publish(scratchRequest, "")
	receive(t, conn, scratchEnvelope)
	publish(strings.Replace(scratchRequest, `"SCRATCH_PHASE_HALF_WAY"`, `"SCRATCH_PHASE_UNSPECIFIED"`, 1), "scratch_progress.phase")
	publish(scratchRequest, "")
	receive(t, conn, scratchEnvelope)
}

// A bridge in service learns a type on SIGHUP: its connections and streams stay. It does not unlearn what it knows.
func TestHangupReloadsContract(t *testing.T) {
	dir, protos := scratchProtos(t)
	file := filepath.Join(t.TempDir(), "contract.binpb")
	writeFile(t, file, builtinImage(t))
	bridge := startProcess(t, "--contract", file)
	hangUp := func() {
		t.Helper()
		if err := bridge.command.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	conn := bridge.subscribe(t, websocket.DefaultDialer, "")
	publish := dynamicStream(t, bridge, dir)
	if response := publish(scratchRequest); response.GetRejected() == nil {
		t.Fatalf("it knows the type before it was taught: %v", response)
	}

	writeFile(t, file, protos.Image(t))
	hangUp()
	bridge.awaitLog(t, "contract loaded", "scratch_progress")
	accepts := func() {
		t.Helper()
		if response := publish(scratchRequest); response.GetAccepted().GetSubscribers() != 1 {
			t.Fatalf("it was answered with %v, want it accepted for 1 subscriber", response)
		}
		receive(t, conn, scratchEnvelope)
	}
	accepts()

	writeFile(t, file, incompatible(t, protos))
	hangUp()
	bridge.awaitLog(t, "not reloaded", renamed)
	accepts()
	writeFile(t, file, []byte("{}"))
	hangUp()
	bridge.awaitLog(t, "not reloaded", "is no descriptor image")
	accepts()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	hangUp()
	bridge.awaitLog(t, "not reloaded", "no such file")
	accepts()
	bridge.terminate(t)
	if code := bridge.exit(t, patience); code != 0 {
		t.Errorf("the exit status is %d", code)
	}
}

func TestContractRefusedAtStart(t *testing.T) {
	_, protos := scratchProtos(t)
	other := contracttest.Protos{"a.proto": `syntax = "proto3"; package a; message Notification {}`}
	for _, tc := range []struct {
		name    string
		content []byte // nil for no file
		want    string
	}{
		{"no file", nil, "no such file or directory"},
		{"no image", []byte("http-addr = \"127.0.0.1:5043\"\n"), "is no descriptor image: make one with `buf build"},
		{"another contract", other.Image(t), "has no message rotki.notifications.v1.Notification"},
		{"an incompatible one", incompatible(t, protos), renamed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "contract.binpb")
			if tc.content != nil {
				writeFile(t, file, tc.content)
			}
			path, err := program()
			if err != nil {
				t.Fatal(err)
			}
			command := exec.CommandContext(t.Context(), path, "serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--admin-grpc-addr", "127.0.0.1:0")
			command.Env = append(os.Environ(), "ROTKI_BRIDGE_CONTRACT="+file)
			output, err := command.CombinedOutput()
			if err == nil || command.ProcessState.ExitCode() != 1 {
				t.Errorf("it ended with %v", err)
			}
			if text := string(output); !strings.Contains(text, "--contract: ") || !strings.Contains(text, file) || !strings.Contains(text, tc.want) {
				t.Errorf("it says\n%s, want %s", text, tc.want)
			}
		})
	}
}
