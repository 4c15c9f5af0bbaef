// Package proto_test holds the contract to its promise: what is released does not change under its readers.
package proto_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// edit replaces the one occurrence of old in a .proto file of the contract.
type edit struct{ file, old, new string }

var addedType = []edit{
	{
		"notification.proto",
		"    NewEvmTokenDetected new_evm_token_detected = 5;\n",
		"    NewEvmTokenDetected new_evm_token_detected = 5;\n" +
			"    // The premium database was synchronised.\n    PremiumSync premium_sync = 500;\n",
	},
	{
		"errors.proto",
		"// Verbosity is how bad",
		"// PremiumSync tells that the premium database was synchronised.\nmessage PremiumSync {\n" +
			"  // Name of the database. Example: \"yabirgb\".\n  string name = 1;\n}\n\n// Verbosity is how bad",
	},
}

var renamedType = []edit{{"notification.proto", "Legacy legacy = 1;", "Legacy legacy_message = 1;"}}

func TestBreakingRefuses(t *testing.T) {
	requireBuf(t)
	tests := []struct {
		name  string
		edits []edit
		want  []string // what the output must name
	}{
		{"renamed oneof field", renamedType, []string{`"legacy_message"`, `"legacy"`, "notification.proto"}},
		{
			"renamed JSON field",
			[]edit{{"errors.proto", "string location = 1;", "string place = 1;"}},
			[]string{`"place"`, `"location"`, "errors.proto"},
		},
		{
			"renumbered field",
			[]edit{{"errors.proto", "string location = 1;", "string location = 3;"}},
			[]string{`"1"`, `"location"`, `"BalanceSnapshotError"`},
		},
		{
			"removed enum value",
			[]edit{{"errors.proto", "  // Something failed: \"error\" on the wire.\n  VERBOSITY_ERROR = 2;\n", ""}},
			[]string{`enum value "2"`, `"Verbosity"`, "errors.proto"}, // buf names a value by its number
		},
		{
			"removed type",
			[]edit{{
				"notification.proto",
				"    // A migration added addresses for a new EVM chain.\n    EvmAddressMigration evm_address_migration = 4;\n", "",
			}},
			[]string{`"evm_address_migration"`, `"Notification"`},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			output, err := runMake(t, checkout(t, test.edits...), "breaking")
			if err == nil {
				t.Fatalf("make breaking let it pass:\n%s", output)
			}
			for _, want := range test.want {
				if !strings.Contains(output, want) {
					t.Errorf("make breaking does not name %s:\n%s", want, output)
				}
			}
		})
	}
}

func TestBreakingPasses(t *testing.T) {
	requireBuf(t)
	tests := []struct {
		name  string
		edits []edit
	}{
		{"unchanged", nil},
		{"added type", addedType},
		{"added field", []edit{{
			"errors.proto",
			"  string error = 2;\n",
			"  string error = 2;\n  // How often it was tried. Example: 3.\n  uint32 attempts = 3;\n",
		}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := checkout(t, test.edits...)
			for _, target := range []string{"breaking", "lint"} {
				if output, err := runMake(t, dir, target); err != nil {
					t.Errorf("make %s: %v:\n%s", target, err, output)
				}
			}
		})
	}
}

func TestLintRefusesFieldWithoutComment(t *testing.T) {
	requireBuf(t)
	t.Parallel()
	dir := checkout(t, edit{"errors.proto", "  string error = 2;\n", "  string error = 2;\n\n  string hint = 3;\n"})
	output, err := runMake(t, dir, "lint")
	if err == nil || !strings.Contains(output, `Field "hint"`) {
		t.Errorf("make lint: %v, want it to fail and name the field \"hint\":\n%s", err, output)
	}
}

func TestReleaseContract(t *testing.T) {
	requireBuf(t)
	t.Parallel()

	refused := checkout(t, renamedType...)
	if output, err := runMake(t, refused, "release-contract"); err == nil {
		t.Errorf("make release-contract released a breaking change:\n%s", output)
	}
	requireReleased(t, refused)

	dir := checkout(t, addedType...)
	if output, err := runMake(t, dir, "release-contract"); err != nil {
		t.Fatalf("make release-contract: %v:\n%s", err, output)
	}
	apply(t, dir, edit{"notification.proto", "PremiumSync premium_sync", "PremiumSync premium_synced"})
	output, err := runMake(t, dir, "breaking")
	if err == nil || !strings.Contains(output, `"premium_sync"`) {
		t.Errorf("make breaking: %v, want it to hold on to the newly released \"premium_sync\":\n%s", err, output)
	}
}

// requireReleased fails if the released contract of a checkout is not the repository's any more.
func requireReleased(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"released.binpb", "released.schema.json"} {
		before, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(filepath.Join(dir, "proto", name))
		if err != nil || !bytes.Equal(after, before) {
			t.Errorf("%s changed although the release was refused: %v", name, err)
		}
	}
}

// checkout copies what the contract's targets need into a new directory, and applies the edits there.
func checkout(t *testing.T, edits ...edit) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "proto"), os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{
		"Makefile", "buf.yaml", "go.mod", "go.sum", "gen/go/rotki/notifications/v1/*.go",
		"bridge/envelope/*.go", "bridge/schema/*.go", "cmd/contract-diff/*", "cmd/protoc-gen-rotki-contract/*",
	} {
		files, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			target := filepath.Join(dir, strings.TrimPrefix(file, ".."))
			if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(target, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, e := range edits {
		apply(t, dir, e)
	}
	return dir
}

func apply(t *testing.T, dir string, e edit) {
	t.Helper()
	path := filepath.Join(dir, "proto", "rotki", "notifications", "v1", e.file)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), e.old); n != 1 {
		t.Fatalf("%s has %d occurrences of %q, want 1: bring this test up to date", e.file, n, e.old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), e.old, e.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// runMake runs one target as a developer's shell would, even when the test itself was started by make.
func runMake(t *testing.T, dir, target string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "make", target)
	command.Dir = dir
	command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "MAKE") || strings.HasPrefix(variable, "MFLAGS=")
	})
	output, err := command.CombinedOutput()
	return string(output), err
}

var bufOnce = sync.OnceValues(func() ([]byte, error) {
	return exec.Command("make", "-C", "..", "tools").CombinedOutput()
})

// requireBuf skips the test where buf cannot be had, but never in CI.
func requireBuf(t *testing.T) {
	t.Helper()
	output, err := bufOnce()
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("buf cannot be run: %v:\n%s", err, output)
	}
	t.Skip("buf cannot be run: install make, and run `make tools` once where the Go module proxy can be reached")
}
