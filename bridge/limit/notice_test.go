package limit_test

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rotki/notification-bridge/bridge/limit"
)

// newLog returns a logger whose lines have no time, and what it has written.
func newLog() (*slog.Logger, *strings.Builder) {
	var b strings.Builder
	return slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})), &b
}

func TestNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := newLog()
		full := limit.NewNotice(logger, slog.LevelWarn, "full")
		other := limit.NewNotice(logger, slog.LevelInfo, "other")
		nearly := time.Second - 1
		for i, pause := range []time.Duration{0, 0, nearly, 1, 0, time.Hour, time.Second} {
			time.Sleep(pause)
			full.Log(t.Context(), slog.Int("i", i))
		}
		other.Log(t.Context())
		want := "level=WARN msg=full i=0\nlevel=WARN msg=full i=3 suppressed=2\n" +
			"level=WARN msg=full i=5 suppressed=1\nlevel=WARN msg=full i=6\nlevel=INFO msg=other\n"
		if log.String() != want {
			t.Errorf("the log says\n%s\nwant\n%s", log, want)
		}
	})
}

func TestNoticeConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := newLog()
		full := limit.NewNotice(logger, slog.LevelWarn, "full")
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 1000 {
					full.Log(t.Context())
				}
			})
		}
		group.Wait()
		time.Sleep(time.Second)
		full.Log(t.Context())
		if want := "level=WARN msg=full\nlevel=WARN msg=full suppressed=7999\n"; log.String() != want {
			t.Errorf("the log says\n%s\nwant\n%s", log, want)
		}
	})
	limit.NewNotice(nil, slog.LevelWarn, "full").Log(t.Context())
}
