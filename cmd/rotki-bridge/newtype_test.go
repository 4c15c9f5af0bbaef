package main_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bufbuild/protocompile"
	"github.com/gorilla/websocket"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// Requests, and what becomes of them, of the type in testdata/newtype/scratch.proto.
const (
	scratchNotification = `{"phase": "SCRATCH_PHASE_HALF_WAY", "period": {"from": 1700000000, "to": 1700000060}, "chains": {"names": ["optimism", "base"]}, "query": {"service": "etherscan"}}`
	scratchEnvelope     = `{"type":"scratch_progress","data":{"phase":"half_way","total":null,"period":[1700000000,1700000060],"chains":["optimism","base"],"subtype":"query","service":"etherscan"}}`
	scratchLine         = `{"type":"scratch_progress","data":{"phase":"half_way","total":42,"hint":"<again>","period":[1,2],"chains":[],"subtype":"wait","seconds":3}}`
)

// A new type of notification is an edit of the .proto files and `make generate`: no line of Go changes.
func TestNewTypeNeedsNoGo(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the program anew")
	}
	dir := t.TempDir()
	copyCheckout(t, dir)
	before := goSources(t, dir)
	addScratchType(t, filepath.Join(dir, "proto", "rotki", "notifications", "v1"))
	generate(t, dir)
	if after := goSources(t, dir); !maps.Equal(before, after) {
		t.Fatal("make generate changed Go code outside gen/")
	}
	path, err := build(t.TempDir(), filepath.Join(dir, "cmd", "rotki-bridge"))
	if err != nil {
		t.Fatal(err)
	}

	bridge := startProgram(t, path)
	conn := bridge.subscribe(t, websocket.DefaultDialer, "?types=scratch_progress")
	publish := dynamicPublisher(t, bridge, filepath.Join(dir, "proto"))
	publish(`{"notification": {"scratchProgress": `+scratchNotification+`}}`, "")
	receive(t, conn, scratchEnvelope)
	for _, refused := range []struct{ name, old, new, field string }{
		{"no enum value", `"SCRATCH_PHASE_HALF_WAY"`, `"SCRATCH_PHASE_UNSPECIFIED"`, "scratch_progress.phase"},
		{"unknown enum value", `"SCRATCH_PHASE_HALF_WAY"`, `7`, "scratch_progress.phase"},
		{"number beyond JSON", `1700000060`, `"9007199254740992"`, "scratch_progress.period.to"},
		{"no message", `"chains": {"names": ["optimism", "base"]}, `, ``, "scratch_progress.chains"},
		{"no choice", `, "query": {"service": "etherscan"}`, ``, "scratch_progress.step"},
	} {
		t.Run(refused.name, func(t *testing.T) {
			publish(`{"notification": {"scratchProgress": `+strings.Replace(scratchNotification, refused.old, refused.new, 1)+`}}`, refused.field)
		})
	}
	publish(`{"notification": {"scratchProgress": `+scratchNotification+`}}`, "")
	receive(t, conn, scratchEnvelope)

	command := exec.CommandContext(t.Context(), path, "publish", "--grpc-addr", bridge.grpc)
	command.Stdin = strings.NewReader(scratchLine + "\n" + strings.Replace(scratchLine, "half_way", "half", 1) + "\n" + scratchEnvelope)
	output, err := command.CombinedOutput()
	if err == nil || !strings.Contains(string(output), "line 2: scratch_progress.phase: ") {
		t.Errorf("rotki-bridge publish: %v, want it to refuse line 2 for its phase:\n%s", err, output)
	}
	receive(t, conn, scratchLine)
	receive(t, conn, scratchEnvelope)
}

// copyCheckout copies what git knows or would add, whether or not it is committed.
func copyCheckout(t *testing.T, to string) {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	from := filepath.Join("..", "..")
	list.Dir = from
	output, err := list.Output()
	if err != nil {
		skip(t, "the files of the checkout cannot be listed: run the tests in a git clone, with git installed")
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(output), "\x00"), "\x00") {
		if err := os.MkdirAll(filepath.Join(to, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if target, err := os.Readlink(filepath.Join(from, name)); err == nil {
			if err := os.Symlink(target, filepath.Join(to, name)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		text, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed, and git was not told yet
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// goSources returns the sums of all Go code that is not generated, and of the module files.
func goSources(t *testing.T, dir string) map[string][sha256.Size]byte {
	t.Helper()
	sums := make(map[string][sha256.Size]byte)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name == "gen":
			return fs.SkipDir
		case filepath.Ext(name) != ".go" && name != "go.mod" && name != "go.sum":
			return nil
		}
		text, err := os.ReadFile(path)
		sums[name] = sha256.Sum256(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// addScratchType makes testdata/newtype/scratch.proto a further type of the contract.
func addScratchType(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "notification.proto")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	edited := string(text)
	for _, edit := range []struct{ before, insert string }{
		{"\noption go_package", "import \"rotki/notifications/v1/scratch.proto\";\n"},
		{"    // A warning or an error for the user, as text.\n", "    // Something goes on.\n    ScratchProgress scratch_progress = 1000;\n"},
	} {
		if strings.Count(edited, edit.before) != 1 {
			t.Fatalf("notification.proto does not have %q once: bring this test up to date", edit.before)
		}
		edited = strings.Replace(edited, edit.before, edit.insert+edit.before, 1)
	}
	if err := os.WriteFile(path, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "newtype"))); err != nil {
		t.Fatal(err)
	}
}

// generate makes the stubs of all languages whose generators are installed, and skips the test without Go's.
func generate(t *testing.T, dir string) {
	t.Helper()
	if output, err := runMake(t.Context(), dir, "tools"); err != nil {
		skip(t, "buf cannot be run: install make, and run `make tools` once where the Go module proxy can be reached\n"+output)
	}
	target := "generate"
	for _, generator := range []string{"protoc", "grpc_python_plugin", "npm"} {
		if _, err := exec.LookPath(generator); err != nil {
			target = "generate-go"
		}
	}
	if output, err := runMake(t.Context(), dir, target); err != nil {
		t.Fatalf("make %s: %v:\n%s", target, err, output)
	}
	t.Logf("make %s", target)
}

// runMake runs one target as a developer's shell would, even when the test itself was started by make.
func runMake(ctx context.Context, dir, target string) (string, error) {
	command := exec.CommandContext(ctx, "make", target)
	command.Dir = dir
	command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "MAKE") || strings.HasPrefix(variable, "MFLAGS=")
	})
	output, err := command.CombinedOutput()
	return string(output), err
}

// dynamicPublisher opens a Publish stream whose requests are made from the .proto files alone. The function that it
// returns publishes a request in protobuf's JSON, which must be accepted, or refused for a field.
func dynamicPublisher(t *testing.T, bridge *process, protos string) func(request, refusedFor string) {
	t.Helper()
	publish := dynamicStream(t, bridge, protos)
	return func(text, refusedFor string) {
		t.Helper()
		response := publish(text)
		switch {
		case refusedFor == "" && response.GetAccepted().GetSubscribers() != 1:
			t.Fatalf("%s was answered with %v, want it accepted for 1 subscriber", text, response)
		case response.GetRejected().GetField() != refusedFor:
			t.Errorf("%s was answered with %v, want it refused for %q", text, response, refusedFor)
		}
	}
}

// dynamicStream is dynamicPublisher for any answer.
func dynamicStream(t *testing.T, bridge *process, protos string) func(request string) *notificationsv1.PublishResponse {
	t.Helper()
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{protos}}),
	}
	files, err := compiler.Compile(t.Context(), "rotki/notifications/v1/notification_service.proto")
	if err != nil {
		t.Fatal(err)
	}
	method := files[0].Services().ByName("NotificationService").Methods().ByName("Publish")
	ctx, conn := bridge.dial(t)
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
		"/"+string(method.Parent().FullName())+"/"+string(method.Name()))
	if err != nil {
		t.Fatal(err)
	}
	return func(text string) *notificationsv1.PublishResponse {
		t.Helper()
		request := dynamic(t, method.Input(), text)
		if err := stream.SendMsg(request); err != nil {
			t.Fatal(err)
		}
		response := new(notificationsv1.PublishResponse)
		if err := stream.RecvMsg(response); err != nil {
			t.Fatal(err)
		}
		return response
	}
}

func dynamic(t *testing.T, descriptor protoreflect.MessageDescriptor, text string) proto.Message {
	t.Helper()
	m := dynamicpb.NewMessage(descriptor)
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatalf("the test's request: %v", err)
	}
	return m
}

// receive reads the next envelope.
func receive(t *testing.T, conn *websocket.Conn, want string) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, text, err := conn.ReadMessage()
	if err != nil {
		t.Fatalf("receive: %v; want %s", err, want)
	}
	if string(text) != want {
		t.Errorf("received\n%s, want\n%s", text, want)
	}
}
