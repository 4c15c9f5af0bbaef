package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge"
)

// command runs a command line and returns its exit status and what it printed.
func command(t *testing.T, args ...string) (status int, out, errors string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = run(t.Context(), args, stdio{strings.NewReader(""), &stdout, &stderr})
	return status, stdout.String(), stderr.String()
}

// TestOperator: tokens are made, who is subscribed is listed and ended, and a token is revoked.
func TestOperator(t *testing.T) {
	file := func(name string) string { return filepath.Join(t.TempDir(), name) }
	secret := file("secret")
	if err := os.WriteFile(secret, []byte("0123456789abcdef0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := startBridge(t, bridge.Config{Access: bridge.AccessConfig{SecretFile: secret, AdminToken: true}})
	mint := func(args ...string) string {
		status, token, errors := command(t, append([]string{"token", "mint", "--key-file", secret}, args...)...)
		if status != 0 {
			t.Fatalf("token mint %q: %s", args, errors)
		}
		path := file("token")
		if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ann, bob := mint("--subject", "ann", "--token-id", "t1"), mint("--subject", "bob smith", "--types", "legacy")
	admin := []string{"--admin-grpc-addr", b.AdminGRPCAddr(), "--token-file", mint("--subject", "operator", "--scope", "admin")}
	operate := func(args ...string) (int, string, string) { return command(t, append(args, admin...)...) }

	listening := begin(t, nil, "listen", "--url", b.url(), "--token-file", ann)
	listening.err.await(t, "subscribed to", 1)
	other := begin(t, nil, "listen", "--url", b.url(), "--token-file", bob)
	other.err.await(t, "subscribed to", 1)

	if _, out, _ := operate("connections"); !strings.Contains(out, `"bob smith"`) || strings.Count(out, "\n") != 3 ||
		!strings.Contains(out, " t1 ") || !strings.Contains(out, "59m") && !strings.Contains(out, "1h0m") {
		t.Errorf("connections are listed as\n%s", out)
	}
	_, out, _ := operate("connections", "--json", "--subject", "bob smith")
	var connection struct {
		ID, Subject string
		Types       []string
	}
	if err := json.Unmarshal([]byte(out), &connection); err != nil || connection.Subject != "bob smith" || len(connection.Types) != 1 {
		t.Errorf("in JSON the connection is %s (%v)", out, err)
	}
	if _, out, errors := operate("connections", "--limit", "1"); strings.Count(out, "\n") != 2 || !strings.Contains(errors, "1 of 2 are listed; --limit lists more") {
		t.Errorf("with a limit it says\n%s%s", out, errors)
	}
	if status, out, errors := operate("disconnect", "--connection", connection.ID); status != 0 || out != "disconnected: 1\n" {
		t.Errorf("disconnect: %d, %s%s", status, out, errors)
	}
	other.exit(t, 1)
	if status, out, errors := operate("token", "revoke", "--token", ann); status != 0 || !strings.HasSuffix(out, "disconnected: 1\n") {
		t.Errorf("token revoke: %d, %s%s", status, out, errors)
	}
	listening.exit(t, 1)
	again := begin(t, nil, "listen", "--url", b.url(), "--token-file", ann)
	again.exit(t, 1)
	again.err.await(t, "the token was revoked; get a new one; --token-file names", 1)
}

// TestOperatorRefused: what is wrong with a command is said in a sentence.
func TestOperatorRefused(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("0123456789abcdef0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := startBridge(t, bridge.Config{Access: bridge.AccessConfig{SecretFile: secret, AdminToken: true}})
	_, subscriber, _ := command(t, "token", "mint", "--key-file", secret, "--subject", "ann", "--expires-in", (10 * time.Minute).String())
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte(subscriber), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := "--admin-grpc-addr=" + b.AdminGRPCAddr()
	for name, tc := range map[string]struct {
		args   []string
		status int
		want   string
	}{
		"no token":             {[]string{"connections", addr}, 1, "a token is required; --token-file"},
		"a subscriber's":       {[]string{"disconnect", addr, "--subject", "x", "--token-file", token}, 1, "scope admin"},
		"not AdminService":     {[]string{"connections", "--admin-grpc-addr=" + b.GRPCAddr()}, 1, "is no AdminService"},
		"token in plain text":  {[]string{"connections", "--admin-grpc-addr=192.0.2.1:1", "--token-file", token}, 1, "could read the token"},
		"below localhost":      {[]string{"connections", "--admin-grpc-addr=x.localhost:1", "--token-file", token}, 1, "could read the token"},
		"nobody there":         {[]string{"connections", "--admin-grpc-addr=127.0.0.1:1"}, 1, "check that `rotki-bridge serve` runs there"},
		"whom":                 {[]string{"disconnect", addr}, 2, "say whom"},
		"two of them":          {[]string{"disconnect", addr, "--subject", "x", "--session", "y"}, 2, "can't be used together"},
		"which token":          {[]string{"token", "revoke", addr}, 2, "say which token"},
		"a token without id":   {[]string{"token", "revoke", addr, "--token", token}, 1, "cannot be revoked"},
		"no token at all":      {[]string{"token", "revoke", addr, "--token", secret}, 1, "this is no token"},
		"no such key":          {[]string{"token", "mint", "--key-file", "/nowhere", "--subject", "x"}, 1, "--key-file: open /nowhere"},
		"a scope that is none": {[]string{"token", "mint", "--key-file", secret, "--subject", "x", "--scope", "root"}, 2, `"root" is not known`},
		"in the past":          {[]string{"token", "mint", "--key-file", secret, "--subject", "x", "--expires-in=-1h"}, 2, "longer than 0"},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, errors := command(t, tc.args...)
			if status != tc.status || !strings.Contains(errors, tc.want) {
				t.Errorf("exit status %d: %s", status, errors)
			}
		})
	}
}
