//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The baselines that a test starts are this program again: with the race detector if the test has it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "baseline" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// Every scenario can be measured, at a size that says nothing.
func TestAllScenarios(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	dir := t.TempDir()
	bridge, file := filepath.Join(dir, "rotki-bridge"), filepath.Join(dir, "bench.json")
	if output, err := exec.Command("go", "build", "-buildvcs=false", "-o", bridge, "../rotki-bridge").CombinedOutput(); err != nil {
		t.Fatalf("build the bridge: %v:\n%s", err, output)
	}
	stores := filepath.Join(dir, "stores")
	if err := os.Mkdir(stores, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", stores)
	var table, log bytes.Buffer
	arguments := []string{"run", "--bridge", bridge, "--rounds", "1", "--scale", "0.004", "--json", file}
	if status := execute(t.Context(), arguments, stdio{&table, &log}); status != 0 {
		t.Fatalf("exit status %d:\n%s\n%s", status, &log, &table)
	}
	if left, err := os.ReadDir(stores); err != nil || len(left) > 0 {
		t.Errorf("what is left of the NATS servers: %v, %v", left, err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	result := new(report)
	if err := json.Unmarshal(text, result); err != nil {
		t.Fatal(err)
	}
	all := scenarios(0.004, 20_000)
	if len(result.Scenarios) != len(all) {
		t.Fatalf("%d scenarios were measured, want %d", len(result.Scenarios), len(all))
	}
	for i, s := range all {
		checkScenario(t, s, result.Scenarios[i])
		if !strings.Contains(table.String(), "\n"+s.name+": ") {
			t.Errorf("the table has no %s", s.name)
		}
	}
	if m := result.Machine; m.CPU == "" || m.Cores == 0 || m.Kernel == "" || m.Go == "" {
		t.Errorf("the machine is %+v", m)
	}
}

// checkScenario checks that each run has all figures, once, and each target a ratio.
func checkScenario(t *testing.T, want scenario, got scenarioReport) {
	t.Helper()
	if got.Name != want.name || len(got.Runs) != len(want.runs) || len(got.Ratios) != len(want.targets) {
		t.Errorf("%s: %d runs and %d ratios, want %s: %d and %d",
			got.Name, len(got.Runs), len(got.Ratios), want.name, len(want.runs), len(want.targets))
		return
	}
	for _, run := range got.Runs {
		for _, f := range want.figures {
			values, spread := run.Rounds.values(f), run.Spreads[f]
			if len(values) != 1 || math.IsNaN(values[0]) || spread.Median != values[0] {
				t.Errorf("%s, %s: %s is %v, %v", got.Name, run.Name, f, values, spread)
			}
			if strings.HasPrefix(string(f), "cpu_") && values[0] <= 0 {
				t.Errorf("%s, %s: %s is %v", got.Name, run.Name, f, values)
			}
		}
	}
	for _, r := range got.Ratios {
		if len(r.Values) != 1 || r.Spread == nil || r.Verdict == unmeasured || (r.Target == "") != (r.Verdict == information) {
			t.Errorf("%s: %+v", got.Name, r)
		}
	}
}

// What has no time is named, and the exit status says that it is missing.
func TestBudget(t *testing.T) {
	var table, log bytes.Buffer
	arguments := []string{"run", "--bridge", "bench_test.go", "--budget", "1ns", "--only", "storm,publish", "--rounds", "1"}
	if status := execute(t.Context(), arguments, stdio{&table, &log}); status != 1 {
		t.Errorf("exit status %d, want 1:\n%s", status, &log)
	}
	for _, want := range []string{"storm, bridge, round 1 of 1: the budget of 1ns is used up", "publish, echo, 1 stream", "not measured"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &table)
		}
	}
}

// A durable journal's bridge that does not come up leaves nothing of its NATS servers.
func TestFailureOnACluster(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{bridge: "/bin/false", self: self}
	_, err = durable{bridge, cluster, 1, time.Second}.measure(t.Context(), l)
	if err == nil || !strings.Contains(err.Error(), "did not say where it listens") {
		t.Errorf("the error is %v", err)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("what is left of the NATS servers: %v, %v", left, err)
	}
}

// A server that does not come up fails its run, and the others are made.
func TestFailure(t *testing.T) {
	bridge := filepath.Join(t.TempDir(), "bridge")
	if err := os.WriteFile(bridge, []byte("#!/bin/sh\necho no bridge today >&2\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	var table, log bytes.Buffer
	arguments := []string{"run", "--bridge", bridge, "--only", "storm", "--rounds", "1", "--scale", "0.001"}
	if status := execute(t.Context(), arguments, stdio{&table, &log}); status != 1 {
		t.Errorf("exit status %d, want 1:\n%s", status, &log)
	}
	for _, want := range []string{"storm, bridge, round 1 of 1: start bridge", "no bridge today"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &table)
		}
	}
	if strings.Contains(table.String(), "storm, upgrade, round 1 of 1: ") {
		t.Errorf("the baseline was not measured:\n%s", &table)
	}
}

func TestUsage(t *testing.T) {
	for name, test := range map[string]struct {
		arguments []string
		status    int
		says      string
	}{
		"no bridge":     {[]string{"run", "--bridge", "none"}, 1, "no bridge to measure"},
		"no scenario":   {[]string{"run", "--bridge", "bench_test.go", "--only", "x"}, 1, `no scenario "x"`},
		"no rounds":     {[]string{"run", "--rounds", "0"}, 1, "--rounds"},
		"too large":     {[]string{"run", "--scale", "2"}, 1, "--scale"},
		"unknown flag":  {[]string{"run", "--nonsense"}, 2, "--nonsense"},
		"no baseline":   {[]string{"baseline", "x"}, 1, `no baseline "x"`},
		"asks for help": {[]string{"run", "--help"}, 0, "paced-10000"},
	} {
		var out bytes.Buffer
		if status := execute(t.Context(), test.arguments, stdio{&out, &out}); status != test.status || !strings.Contains(out.String(), test.says) {
			t.Errorf("%s: exit status %d, want %d:\n%s", name, status, test.status, &out)
		}
	}
}
