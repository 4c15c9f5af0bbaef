package main_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeRefusals: what the README shows of refused starts is what the program says.
func TestReadmeRefusals(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(text), "<!-- refusals:begin -->")
	shown, _, found := strings.Cut(shown, "<!-- refusals:end -->")
	examples := regexp.MustCompile(`(?m)^ +\$ rotki-bridge (.*)\n((?: .*\n)+)`).FindAllStringSubmatch(shown, -1)
	if !found || len(examples) < 5 {
		t.Fatalf("the README shows %d refusals", len(examples))
	}
	for _, listener := range []string{"HTTP", "GRPC", "ADMIN", "ADMIN_GRPC"} {
		t.Setenv("ROTKI_BRIDGE_"+listener+"_ADDR", "127.0.0.1:0")
	}
	for _, example := range examples {
		status, said := command(t, "", strings.Fields(example[1])...)
		if got, want := strings.Fields(said), strings.Fields(example[2]); status != 1 || strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s ends with status %d, and says:\n%s\nThe README has:\n%s", example[1], status, said, example[2])
		}
	}
}
