package limit

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// noticeInterval is the least time between two lines of a Notice.
const noticeInterval = time.Second

// Notice is a line in the log that is written at most once a second, however often there is reason to.
type Notice struct {
	log     *slog.Logger
	level   slog.Level
	message string

	mu         sync.Mutex
	last       time.Time
	suppressed int
}

// NewNotice returns a notice of that level and message. A nil logger discards it.
func NewNotice(logger *slog.Logger, level slog.Level, message string) *Notice {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Notice{log: logger, level: level, message: message}
}

// Log writes the line, unless the last one is less than a second old. The next one that is written then says how many
// were not, as "suppressed"; of those after the last line nothing is said until there is another.
func (n *Notice) Log(ctx context.Context, attrs ...slog.Attr) {
	suppressed, due := n.due(time.Now())
	if !due {
		return
	}
	if suppressed > 0 {
		attrs = append(attrs[:len(attrs):len(attrs)], slog.Int("suppressed", suppressed))
	}
	n.log.LogAttrs(ctx, n.level, n.message, attrs...)
}

func (n *Notice) due(now time.Time) (suppressed int, due bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.last.IsZero() && now.Sub(n.last) < noticeInterval {
		n.suppressed++
		return 0, false
	}
	suppressed, n.suppressed, n.last = n.suppressed, 0, now
	return suppressed, true
}
