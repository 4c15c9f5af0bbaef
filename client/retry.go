package client

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// retryInfo returns how long the bridge asks a publisher to stay away that went beyond a limit; false when it does not.
func retryInfo(err error) (time.Duration, bool) {
	s := status.Convert(err)
	if s.Code() != codes.ResourceExhausted {
		return 0, false
	}
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration(), true
		}
	}
	return 0, false
}

// laterError is the answer of a server that says when to come back.
type laterError struct {
	error
	after time.Duration
}

// Unwrap returns the answer.
func (e *laterError) Unwrap() error { return e.error }

// later adds to an error what the server's answer says about coming back.
func later(err error, answer *http.Response) error {
	after := answer.Header.Get("Retry-After")
	if seconds, convErr := strconv.ParseUint(after, 10, 31); convErr == nil {
		return &laterError{err, time.Duration(seconds) * time.Second}
	}
	if at, parseErr := http.ParseTime(after); parseErr == nil {
		return &laterError{err, time.Until(at)}
	}
	return err
}

// pauseAfter returns how long to wait after an error: as the server says, or as long as the backoff does. One that says
// "at once", as a date does by a clock that is behind, would be asked without a pause for as long as it does.
func (p *pauses) pauseAfter(err error) time.Duration {
	if e, ok := errors.AsType[*laterError](err); ok && e.after > 0 {
		return spread(e.after)
	}
	return p.take()
}

// longestPause is what a server can ask for.
const longestPause = 24 * time.Hour

// spread lengthens a pause that a server asks for by up to a tenth at random: many clients may have been told the same.
func spread(d time.Duration) time.Duration {
	d = min(max(d, 0), longestPause)
	return d + rand.N(d/10+1)
}
