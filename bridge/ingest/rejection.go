package ingest

import (
	"errors"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// ErrUnavailable: nothing can be accepted at the moment; the publisher should try again under the same id. A Sink
// wraps it, and the stream ends with UNAVAILABLE.
var ErrUnavailable = errors.New("the journal takes nothing at the moment")

// Rejection is a Sink's refusal of one request. The stream goes on.
type Rejection struct {
	Reason notificationsv1.Reason
	// Field is the path of the offending field, empty when no single one is to blame.
	Field string
	// Message is a sentence for people.
	Message string
}

// Error returns the field and the message.
func (r *Rejection) Error() string {
	if r.Field == "" {
		return r.Message
	}
	return r.Field + ": " + r.Message
}

func (r *Rejection) proto() *notificationsv1.Rejected {
	return &notificationsv1.Rejected{Reason: r.Reason, Field: r.Field, Message: r.Message}
}

// streamError is the one place where an error becomes the status that ends a stream. What it does not know is
// internal, and its text is for the log only.
func (s *Server) streamError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrUnavailable):
		return status.Error(codes.Unavailable, "the bridge takes no notifications at the moment: what was not answered was not accepted, send it again under the same id")
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	s.config.Logger.Error("a publish stream failed", "err", err)
	return status.Error(codes.Internal, "internal error; the bridge's log says more")
}

// maxEchoBytes is the longest id that is repeated in an answer: one that is refused for its length must not make an
// answer that the publisher's gRPC refuses.
const maxEchoBytes = 64 << 10

// echoed returns an id as an answer can hold it: empty when it is no text, or far too long.
func echoed(id string) string {
	if len(id) > maxEchoBytes || !utf8.ValidString(id) {
		return ""
	}
	return id
}
