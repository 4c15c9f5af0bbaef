package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// serverLog passes on what a server in this process logs. Its everyday news are of no interest to the bridge's
// operator.
type serverLog struct {
	log *slog.Logger

	mu   sync.Mutex
	last string // the last error
	died bool   // it was one after which the server does not go on
}

func (l *serverLog) Noticef(format string, v ...any) { l.write(slog.LevelDebug, format, v) }
func (l *serverLog) Debugf(format string, v ...any)  { l.write(slog.LevelDebug, format, v) }
func (l *serverLog) Tracef(format string, v ...any)  { l.write(slog.LevelDebug, format, v) }
func (l *serverLog) Warnf(format string, v ...any)   { l.write(slog.LevelWarn, format, v) }
func (l *serverLog) Errorf(format string, v ...any)  { l.fail(format, v) }

// Fatalf does not end the process: StartServer finds that the server does not run, and returns the reason.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.fail(format, v)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.died = true
}

func (l *serverLog) isFatal() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.died
}

func (l *serverLog) fail(format string, v []any) {
	l.write(slog.LevelError, format, v)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = text(format, v)
}

func (l *serverLog) write(level slog.Level, format string, v []any) {
	l.log.Log(context.Background(), level, "nats-server", "says", text(format, v))
}

func text(format string, v []any) string { return strings.TrimSpace(fmt.Sprintf(format, v...)) }

// lastError returns the last error that the server logged.
func (l *serverLog) lastError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == "" {
		return errors.New("its log says more")
	}
	return errors.New(l.last)
}
