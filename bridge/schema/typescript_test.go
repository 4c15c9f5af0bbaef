package schema_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rotki/notification-bridge/bridge/envelope"
	"github.com/rotki/notification-bridge/bridge/schema"
)

// TestTypeScriptSwitch compiles a program that switches over all types and all their variants, and then the same
// program with one case less, which must not compile.
func TestTypeScriptSwitch(t *testing.T) {
	requireTypeScript(t)
	for name, c := range map[string]*envelope.Contract{"rotki": rotkiContract(t), "rules": rulesContract(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if output, err := compileTypeScript(t, c, switchProgram(c, "")); err != nil {
				t.Errorf("tsc: %v\n%s", err, output)
			}
		})
	}
	c := rotkiContract(t)
	for _, missing := range []string{"login_status", "evm_address_migration", "protocol_cache_updates", "encrypting"} {
		t.Run("without "+missing, func(t *testing.T) {
			t.Parallel()
			output, err := compileTypeScript(t, c, switchProgram(c, missing))
			if err == nil || !strings.Contains(output, "not assignable to parameter of type 'never'") {
				t.Errorf("tsc: %v, want an error because there is no case %s:\n%s", err, missing, output)
			}
		})
	}
}

// TestTypeScriptVectors compiles the golden envelopes as constants, and their mutants as such that must not compile.
func TestTypeScriptVectors(t *testing.T) {
	requireTypeScript(t)
	t.Parallel()
	c := rotkiContract(t)
	// TypeScript has no integers, and tells neither their range nor one string from another.
	refused := regexp.MustCompile(`: (dropped|renamed|misspelt|extra key|is null|too short|too long|is true|is map.*)$`)
	program := []string{`import type { RotkiNotification } from "./rotki-notifications";`}
	constant := func(text []byte) {
		program = append(program, fmt.Sprintf("export const value%d: RotkiNotification = %s;", len(program), text))
	}
	golden := vectors(t)
	wrong := 0
	for _, name := range slices.Sorted(maps.Keys(golden)) {
		good := value(t, golden[name]).(map[string]any)
		text, err := json.Marshal(good) // on one line
		if err != nil {
			t.Fatal(err)
		}
		constant(text)
		member, _ := c.Type(good["type"].(string))
		for _, m := range envelopeMutants(member, good) {
			if !refused.MatchString(m.what) {
				continue
			}
			if text, err = json.Marshal(m.value); err != nil {
				t.Fatal(err)
			}
			program = append(program, "// @ts-expect-error "+name+" with "+m.what)
			constant(text)
			wrong++
		}
	}
	if output, err := compileTypeScript(t, c, strings.Join(program, "\n")); err != nil {
		t.Errorf("tsc: %v\n%s", err, output)
	}
	t.Logf("%d constants compile, %d do not", len(golden), wrong)
}

// switchProgram is a program that handles every type and every variant, but the missing one. It reads all members.
func switchProgram(c *envelope.Contract, missing string) string {
	var b strings.Builder
	b.WriteString("import type { RotkiNotification, RotkiNotificationType } from \"./rotki-notifications\";\n" +
		"function unreachable(value: never): never { throw new Error(`unknown: ${JSON.stringify(value)}`); }\n" +
		"export function read(notification: RotkiNotification): unknown[] {\n  switch (notification.type) {\n")
	for _, typ := range c.Types() {
		if typ == missing {
			continue
		}
		member, _ := c.Type(typ)
		fmt.Fprintf(&b, "    case %q: {\n      const data = notification.data;\n", typ)
		if len(member.Shape.Choices) == 0 {
			fmt.Fprintf(&b, "      return %s;\n    }\n", readMembers(member.Shape))
			continue
		}
		choice := member.Shape.Choices[0]
		fmt.Fprintf(&b, "      switch (data.%s) {\n", choice.Key)
		for _, variant := range choice.Variants {
			if variant.Name != missing {
				fmt.Fprintf(&b, "        case %q: return [...%s, ...%s];\n", variant.Name, readMembers(member.Shape), readMembers(variant.Shape))
			}
		}
		b.WriteString("        default: return unreachable(data);\n      }\n    }\n")
	}
	b.WriteString("    default: return unreachable(notification);\n  }\n}\n" +
		"export const types: RotkiNotificationType[] = [")
	for _, typ := range c.Types() {
		fmt.Fprintf(&b, "%q, ", typ)
	}
	return b.String() + "];\n"
}

func readMembers(s *envelope.Shape) string {
	switch s.Kind {
	case envelope.KindObject:
		var members []string
		for _, m := range s.Members {
			members = append(members, "data."+m.Key)
		}
		return "[" + strings.Join(members, ", ") + "]"
	default:
		return "[...data]" // a list or a tuple
	}
}

// compileTypeScript runs tsc --strict on a program beside the contract's declarations.
func compileTypeScript(t *testing.T, c *envelope.Contract, program string) (output string, err error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string][]byte{
		"rotki-notifications.d.ts": schema.TypeScript(c, ""), "program.ts": []byte(program),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	compiler, err := filepath.Abs(filepath.Join("testdata", "typescript", "node_modules", "typescript", "bin", "tsc"))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "node", compiler, "--strict", "--noEmit", "--exactOptionalPropertyTypes",
		"--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler", "program.ts")
	command.Dir = dir
	raw, err := command.CombinedOutput()
	return string(raw), err
}

var installTypeScript = sync.OnceValue(func() error {
	if _, err := exec.LookPath("node"); err != nil {
		return err
	}
	dir := filepath.Join("testdata", "typescript")
	if wanted, err := packageVersion(filepath.Join(dir, "package-lock.json")); err != nil {
		return err
	} else if installed, err := packageVersion(filepath.Join(dir, "node_modules", ".package-lock.json")); err == nil && installed == wanted {
		return nil
	}
	command := exec.Command("npm", "ci", "--no-audit", "--no-fund")
	command.Dir = dir
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, output)
	}
	return nil
})

// packageVersion reads which TypeScript a lock file holds.
func packageVersion(lock string) (string, error) {
	raw, err := os.ReadFile(lock)
	if err != nil {
		return "", err
	}
	var file struct {
		Packages map[string]struct{ Version string }
	}
	err = json.Unmarshal(raw, &file)
	return file.Packages["node_modules/typescript"].Version, err
}

// requireTypeScript skips the test where tsc cannot be had, but never in CI.
func requireTypeScript(t *testing.T) {
	t.Helper()
	const hint = "TypeScript cannot be run: install npm with Node.js 20 or later, and run npm ci once in " +
		"bridge/schema/testdata/typescript where the npm registry can be reached"
	if err := installTypeScript(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s: %v", hint, err)
		}
		t.Skip(hint)
	}
}
