package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const released = "../../proto/released.schema.json"

func TestRun(t *testing.T) {
	schema, err := os.ReadFile(released)
	if err != nil {
		t.Fatal(err)
	}
	renamed := filepath.Join(t.TempDir(), "renamed.json")
	if err := os.WriteFile(renamed, bytes.Replace(schema, []byte(`"evm", "solana"`), []byte(`"EVM", "solana"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, old, current, want string
		broken                   bool
	}{
		{"the same", released, released, "", false},
		{"a renamed value", released, renamed, "new_token_detected.token_kind: the value \"evm\" is gone\n", true},
	} {
		var out strings.Builder
		broken, err := run(test.old, test.current, &out)
		if err != nil || broken != test.broken || out.String() != test.want {
			t.Errorf("%s: %v, %v, printed %q", test.name, broken, err, out.String())
		}
	}
}

func TestRunNamesTheFilesThatItCannotCompare(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, files := range [][2]string{{broken, released}, {released, broken}, {released, "missing.json"}, {"missing.json", released}} {
		bad := files[0]
		if bad == released {
			bad = files[1]
		}
		if _, err := run(files[0], files[1], new(strings.Builder)); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%v: %v", files, err)
		}
	}
}
