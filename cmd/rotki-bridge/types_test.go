package main_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// runTypes runs `rotki-bridge types`.
func runTypes(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), path, append([]string{"types"}, args...)...)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	_ = command.Run() // the status says it
	return out.String(), errs.String(), command.ProcessState.ExitCode()
}

func TestTypes(t *testing.T) {
	text, errs, status := runTypes(t)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if status != 0 || len(lines) < 30 || !strings.HasPrefix(lines[0], "legacy ") || !strings.HasSuffix(lines[0], "  A warning or an error for the user, as text.") {
		t.Errorf("it printed, with status %d:\n%s%s", status, text, errs)
	}
	for _, line := range lines {
		if !strings.HasSuffix(line, ".") {
			t.Errorf("no sentence: %s", line)
		}
	}
	if again, _, _ := runTypes(t, "list"); again != text {
		t.Errorf("types list printed:\n%s", again)
	}
}

func TestTypesOfAFile(t *testing.T) {
	_, protos := scratchProtos(t)
	file := filepath.Join(t.TempDir(), "newer.binpb")
	writeFile(t, file, protos.Image(t))
	if text, errs, status := runTypes(t, "--contract", file); status != 0 || !strings.Contains(text, "\nscratch_progress ") && !strings.HasPrefix(text, "scratch_progress ") {
		t.Errorf("it printed, with status %d:\n%s%s", status, text, errs)
	}
	text, errs, status := runTypes(t, "show", "scratch_progress", "--contract", file)
	for _, want := range []string{
		"\nmessage ScratchProgress {\n", "  optional int64 total = 2 [(nullable) = true];\n", "    option (discriminator) = \"subtype\";\n",
		"\nmessage ScratchPeriod {\n  option (shape) = SHAPE_TUPLE;\n\n  // Its begin. Example: 1700000000.\n",
		"Total: proto.Int64(42),", "Hint:  proto.String(\"again\"),", "Phase: notificationsv1.ScratchPhase_SCRATCH_PHASE_HALF_WAY,",
		`period=ScratchPeriod(to=1700000060, **{"from": 1700000000}),`, "total: 42n,",
		`{"type":"scratch_progress","data":{"phase":"half_way","total":42,"hint":"again","period":[1700000000,1700000060],"chains":["optimism"],"subtype":"query","service":"etherscan"}}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not print %q", want)
		}
	}
	if t.Failed() {
		t.Logf("status %d\n%s%s", status, text, errs)
	}
}

func TestTypesRefuse(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"show", "legasy"}, `"legasy" is no notification type; do you mean legacy?`},
		{[]string{"show", "login"}, "do you mean login_status?"},
		{[]string{"show", "x"}, "`rotki-bridge types` lists them"},
		{[]string{"show", "login_status", "--contract", "nowhere.binpb"}, "--contract: open nowhere.binpb"},
		{[]string{"markdown", "types.go"}, "has no line"},
	} {
		if text, errs, status := runTypes(t, tc.args...); status != 1 || !strings.Contains(errs, tc.want) || text != "" {
			t.Errorf("%q: status %d, %s%s, want %s", tc.args, status, text, errs, tc.want)
		}
	}
}

// TestReadmeIsUpToDate: the README's table of the messages is what the contract says.
func TestReadmeIsUpToDate(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "README.md")
	writeFile(t, file, readme)
	if _, errs, status := runTypes(t, "markdown", file); status != 0 {
		t.Fatal(errs)
	}
	after, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(readme, after) {
		t.Error("README.md's table of the messages is out of date: run 'make generate'")
	}
	table, _, _ := runTypes(t, "markdown")
	if table == "" || !strings.Contains(string(after), table) {
		t.Errorf("the README does not hold the table:\n%s", table)
	}
}
