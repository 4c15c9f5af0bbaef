//go:build unix

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/grpc/metadata"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// TestStoppedBridge: a bridge that stands still for longer than others wait for it delivers nothing, once it goes on,
// to those whose tokens were revoked meanwhile, and finds out what it was not told.
func TestStoppedBridge(t *testing.T) {
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		output, err := exec.Command(path, args...).CombinedOutput()
		return strings.TrimSpace(string(output)), err
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("0123456789abcdef", 2)), 0o600); err != nil {
		t.Fatal(err)
	}
	mint := func(args ...string) string {
		token, err := run(append([]string{"token", "mint", "--key-file", secret}, args...)...)
		if err != nil {
			t.Fatal(token)
		}
		return token
	}
	nats := freeAddr(t)
	a := startProcess(t, "--jwt-secret-file", secret, "--data-dir", t.TempDir(), "--nats-listen", nats)
	b := startProcess(t, "--jwt-secret-file", secret, "--nats-url", "nats://"+nats)
	subscriber := b.subscribe(t, websocket.DefaultDialer, "?token="+mint("--subject", "ann", "--token-id", "hers"))
	ctx, conn := a.dial(t)
	token := mint("--subject", "backend", "--scope", "publish")
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	publisher, err := notificationsv1.NewNotificationServiceClient(conn).Publish(ctx)
	if err != nil {
		t.Fatal(err)
	}

	signal := func(s os.Signal) {
		if err := b.command.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	await(t, "a token is revoked without a bridge that stands still", func() bool {
		_, err := run("token", "revoke", "hers", "--admin-grpc-addr", a.adminGRPC)
		return err == nil
	})
	if err := publisher.Send(warning("after")); err != nil {
		t.Fatal(err)
	}
	if _, err := accepted(publisher); err != nil {
		t.Fatal(err)
	}
	signal(syscall.SIGCONT)
	_ = subscriber.SetReadDeadline(time.Now().Add(patience))
	if _, text, err := subscriber.ReadMessage(); !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
		t.Errorf("%s, %v came, want a close with 1008", text, err)
	}
	await(t, "the bridge knows that it was overlooked", func() bool {
		return strings.Contains(b.log.tail(), "other bridges may overlook this one")
	})
}
