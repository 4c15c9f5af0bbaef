package bridge_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// transcript is all that a bridge logs, of every level. It is safe for concurrent use.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *transcript) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// line is one of the log's that says why somebody was refused.
type line struct {
	Msg, Level, Entrance, Peer, Why, Err string
}

// refusals returns the lines that say why.
func (l *transcript) refusals(t testing.TB) []line {
	t.Helper()
	var found []line
	for text := range strings.Lines(l.String()) {
		var one line
		if err := json.Unmarshal([]byte(text), &one); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if one.Why != "" || strings.HasSuffix(one.Msg, "handshake failed") {
			found = append(found, one)
		}
	}
	return found
}

// holdsNone fails the test if a token is in the log, or a part of one that is of use to somebody.
func (l *transcript) holdsNone(t testing.TB, tokens []string) {
	t.Helper()
	text := l.String()
	for _, token := range tokens {
		for _, part := range strings.Split(token, ".") {
			if len(part) > 8 && strings.Contains(text, part) {
				t.Errorf("the log holds a part of a token, %q", part)
			}
		}
	}
}
