package jetstream_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/journal"
	"github.com/rotki/notification-bridge/bridge/journal/jetstream"
)

// TestDamagedStore: whatever was acknowledged is still there, or the log says that it is lost and its position says
// so to whoever had got that far.
func TestDamagedStore(t *testing.T) {
	const n = 200
	garbage := bytes.Repeat([]byte{0xa5}, 100)
	harms := map[string]func(data []byte) []byte{
		"truncated":         func(data []byte) []byte { return data[:len(data)/2] },
		"its last byte":     func(data []byte) []byte { return data[:len(data)-1] },
		"garbled":           func(data []byte) []byte { copy(data[len(data)/2:], garbage); return data },
		"garbled beginning": func(data []byte) []byte { copy(data, garbage); return data },
		"empty":             func([]byte) []byte { return nil },
		"untouched":         func(data []byte) []byte { return data },
	}
	for name, harm := range harms {
		for _, files := range []string{".blk", ".blk index.db", "meta.inf"} {
			t.Run(name+" "+files, func(t *testing.T) {
				dir := t.TempDir()
				j := open(t, jetstream.Config{Server: embedded(t, jetstream.ServerConfig{Dir: dir})})
				epoch := j.Epoch()
				for i := range n {
					add(t, j, journal.Entry{ID: fmt.Sprintf("0-%d", i), Type: "0", Data: fmt.Append(nil, i)})
				}
				shut(t, j)
				spoil(t, dir, strings.Fields(files), harm)

				var said bytes.Buffer
				log := loggerTo(&said)
				s, err := jetstream.StartServer(t.Context(), jetstream.ServerConfig{Dir: dir, Logger: log})
				if err != nil {
					t.Logf("it does not start: %v", err)
					return
				}
				if j, err = jetstream.Open(t.Context(), jetstream.Config{Server: s, Logger: log}); err != nil {
					t.Logf("it is not opened: %v", err)
					return
				}
				defer shut(t, j)
				kept := 0
				buffer := make([]*journal.Record, n)
				if from, err := j.Since(t.Context(), time.Time{}); err != nil {
					t.Error(err)
				} else if kept, err = j.Recall(t.Context(), from, buffer); err != nil {
					t.Error(err)
				}
				t.Logf("%d of %d are there", kept, n)
				if kept == n && j.Epoch() == epoch {
					return
				}
				if !strings.Contains(said.String(), "level=ERROR") || !strings.Contains(said.String(), "lost") && !strings.Contains(said.String(), "missing") {
					t.Errorf("%d of %d are lost, and the log says only:\n%s", n-kept, n, &said)
				}
				r := add(t, j, journal.Entry{ID: "next", Type: "0", Data: fmt.Append(nil, n)})[0]
				if r.Position.Epoch == epoch && r.Position.Seq <= n {
					t.Errorf("position %v was given out before", r.Position)
				}
				awaitHead(t, j, r.Position.Seq+1)
				if _, err := j.Read(n, buffer); j.Epoch() == epoch && !errors.Is(err, journal.ErrLost) {
					t.Errorf("who has all but the last that was lost is not told: %v", err)
				}
			})
		}
	}
}

// spoil harms a store's files that end with one of the names.
func spoil(t *testing.T, dir string, names []string, harm func([]byte) []byte) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		for _, name := range names {
			if err == nil && strings.HasSuffix(path, name) && !strings.Contains(path, "obs") {
				var data []byte
				if data, err = os.ReadFile(path); err == nil {
					err = os.WriteFile(path, harm(data), 0o600)
				}
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestDirectoryInUse: two servers cannot share a directory.
func TestDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	open(t, jetstream.Config{Server: embedded(t, jetstream.ServerConfig{Dir: dir})})
	_, err := jetstream.StartServer(t.Context(), jetstream.ServerConfig{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), dir+" is in use by another process") {
		t.Error(err)
	}
}

// TestListenerInUse: a server that cannot have its address says so at once.
func TestListenerInUse(t *testing.T) {
	s := embedded(t, jetstream.ServerConfig{Listen: "127.0.0.1:0"})
	open(t, jetstream.Config{Server: s})
	_, err := jetstream.StartServer(t.Context(), jetstream.ServerConfig{Dir: t.TempDir(), Listen: s.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Error(err)
	}
}
