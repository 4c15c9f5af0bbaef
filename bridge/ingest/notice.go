package ingest

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// notice is a kind of line of which the log gets one a second at the most.
type notice struct {
	logger *slog.Logger
	next   atomic.Int64 // when, in Unix nanoseconds
}

func (n *notice) warn(ctx context.Context, message string, args ...any) {
	now, next := time.Now().UnixNano(), n.next.Load()
	if now >= next && n.next.CompareAndSwap(next, now+int64(time.Second)) {
		n.logger.WarnContext(ctx, message, args...)
	}
}
