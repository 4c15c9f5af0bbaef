package auth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

// reread is how often the files are looked at.
const reread = time.Second

// keyFiles are the secret and the public keys that are in files.
type keyFiles struct {
	secret string
	public []string
	logger *slog.Logger
	keys   atomic.Pointer[[]key]

	// Of watch alone:
	seen   [sha256.Size]byte // the contents that were read last
	failed string            // why they could not be taken, as logged; empty if they could
}

func newKeyFiles(secret string, public []string, logger *slog.Logger) (*keyFiles, error) {
	f := &keyFiles{secret: secret, public: public, logger: logger}
	keys, seen, err := f.read()
	if err != nil {
		return nil, err
	}
	f.seen = seen
	f.keys.Store(&keys)
	f.warnOfReaders()
	return f, nil
}

// warnOfReaders warns of a secret that everybody on this machine can read, and so make tokens of any scope with; Windows
// tells nothing of that in a mode.
func (f *keyFiles) warnOfReaders() {
	info, err := os.Stat(f.secret)
	if f.secret == "" || err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o007 == 0 {
		return
	}
	f.logger.Warn("the secret can be read or changed by everybody on this machine; chmod 600 would do",
		"flag", "--jwt-secret-file", "file", f.secret, "mode", info.Mode().Perm().String())
}

// read returns the keys that are in the files now, and what stands for their contents.
func (f *keyFiles) read() ([]key, [sha256.Size]byte, error) {
	var keys []key
	var seen [sha256.Size]byte
	digest := sha256.New()
	take := func(name string) ([]byte, error) {
		content, err := os.ReadFile(name)
		sum := sha256.Sum256(content)
		digest.Write(sum[:])
		return content, err
	}
	if f.secret != "" {
		content, err := take(f.secret)
		if err != nil {
			return nil, seen, fmt.Errorf("--jwt-secret-file: %w", err)
		}
		secret, err := newSecret(content)
		if err != nil {
			return nil, seen, fmt.Errorf("--jwt-secret-file: %s holds %w", f.secret, err)
		}
		keys = append(keys, secret)
	}
	for _, name := range f.public {
		content, err := take(name)
		if err != nil {
			return nil, seen, fmt.Errorf("--jwt-key-files: %w", err)
		}
		public, err := parsePublic(content)
		if err != nil {
			return nil, seen, fmt.Errorf("--jwt-key-files: %s holds %w", name, err)
		}
		keys = append(keys, public...)
	}
	return keys, [sha256.Size]byte(digest.Sum(nil)), nil
}

// watch takes what the files hold whenever that has changed, until ctx is done.
//
// The contents are compared, and not the times of change: the files are small, and a file that is replaced twice within
// the resolution of its clock would be missed.
func (f *keyFiles) watch(ctx context.Context) {
	ticker := time.NewTicker(reread)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f.take()
		}
	}
}

// take takes what the files hold now. If that cannot be used, the keys from before stay.
func (f *keyFiles) take() {
	keys, seen, err := f.read()
	if err != nil {
		if f.failed != err.Error() {
			f.failed = err.Error()
			f.logger.Error("the keys of tokens have changed and cannot be read; those from before stay", "err", err)
		}
		return
	}
	f.failed = ""
	if seen == f.seen {
		return
	}
	f.seen = seen
	f.keys.Store(&keys)
	f.warnOfReaders()
	f.logger.Info("the keys of tokens have changed", "keys", len(keys))
}
