package jetstream_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/rotki/notification-bridge/bridge/journal"
	"github.com/rotki/notification-bridge/bridge/journal/jetstream"
)

// accountOfReadme returns what README says to write into the configuration of NATS, for a key.
func accountOfReadme(t *testing.T, publicKey string) string {
	t.Helper()
	text, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(text), "<!-- nats-account:begin -->")
	shown, _, found := strings.Cut(shown, "<!-- nats-account:end -->")
	account := strings.Replace(shown, "PUBLIC_KEY_OF_THE_BRIDGES", publicKey, 1)
	if !found || account == shown {
		t.Fatal("README shows no account")
	}
	return account
}

// TestAccountOfReadme: with the account that README shows, bridges can do all they need, and who logs in to another account,
// or to none, can neither see nor do anything of theirs.
func TestAccountOfReadme(t *testing.T) {
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := key.Seed()
	if err != nil {
		t.Fatal(err)
	}
	publicKey, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	seedFile, file := filepath.Join(dir, "bridges.nk"), filepath.Join(dir, "nats.conf")
	accounts := strings.Replace(accountOfReadme(t, publicKey), "accounts {", `accounts {
		others { users: [{user: other, password: secret}] }`, 1)
	text := fmt.Sprintf("listen: 127.0.0.1:-1\njetstream { store_dir: %q }\n%s", dir, accounts)
	for name, content := range map[string][]byte{seedFile: seed, file: []byte(text)} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	options, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	options.NoSigs, options.NoLog, options.DisableJetStreamBanner = true, true, true
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("NATS does not start")
	}
	if nc, err := nats.Connect(s.ClientURL()); err == nil {
		nc.Close()
		t.Error("somebody without a credential is let in")
	}
	other, err := nats.Connect(s.ClientURL(), nats.UserInfo("other", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	stream := streamName()
	var sees []*nats.Subscription
	for _, subject := range []string{stream + ".>", "$KV.>"} {
		subscription, err := other.SubscribeSync(subject)
		if err != nil {
			t.Fatal(err)
		}
		sees = append(sees, subscription)
	}
	config := jetstream.Config{URLs: []string{s.ClientURL()}, NKey: seedFile, Stream: stream}
	j := open(t, config)
	a, b := join(t, j, "a", 0), join(t, open(t, config), "b", 0)
	add(t, j, journal.Entry{Type: "legacy", Data: []byte("1")})
	tokens := revoked(t, j)
	if err := tokens.Put(t.Context(), "t1", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, tokens); len(got) != 1 {
		t.Errorf("revoked are %v", got)
	}
	a.ask(t, patient, []string{"b"}, nil)
	asked := b.asked.Load()
	if answer, err := other.Request("_rotki."+stream+".control.b", nil, patient); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("a bridge can be asked: %v, %v", answer, err)
	}
	if _, err := other.Request("$JS.API.STREAM.DELETE."+stream, nil, patient); err != nil {
		t.Error(err)
	}
	add(t, j, journal.Entry{Type: "legacy", Data: []byte("2")}) // the stream is still there
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, subscription := range sees {
		if n, _, _ := subscription.Pending(); n > 0 {
			t.Errorf("another account sees %d messages of %s", n, subscription.Subject)
		}
	}
	if b.asked.Load() != asked {
		t.Error("a bridge did what another account asked for")
	}
}
