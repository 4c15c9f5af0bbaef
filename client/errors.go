package client

import (
	"errors"
	"fmt"

	"github.com/gorilla/websocket"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// ErrClosed: the Publisher was closed.
var ErrClosed = errors.New("the publisher is closed")

// RejectedError says that a notification was refused, by the bridge or before it was sent. It reached nobody, and
// publishing it again unchanged will not help.
type RejectedError struct {
	// Reason is the kind of reason.
	Reason notificationsv1.Reason
	// Field is the path of the offending field, such as login_status.current_upgrade; empty when no single field is
	// to blame.
	Field string
	// Message is a sentence without the path, such as "is required".
	Message string
}

// Error returns the field and the message.
func (e *RejectedError) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

func rejected(r *notificationsv1.Rejected) *RejectedError {
	return &RejectedError{Reason: r.GetReason(), Field: r.GetField(), Message: r.GetMessage()}
}

// CredentialError says that the bridge does not let this client publish: it has no token or certificate, or one that was
// refused twice. Publishing again helps once the credential is another.
type CredentialError struct {
	// Code is UNAUTHENTICATED, or PERMISSION_DENIED for a credential that is in order but not for publishing.
	Code codes.Code
	// Message is the bridge's sentence.
	Message string
}

// Error returns both.
func (e *CredentialError) Error() string {
	return fmt.Sprintf("the bridge refused the credential (%v): %s", e.Code, e.Message)
}

// GRPCStatus lets status.Code find the code.
func (e *CredentialError) GRPCStatus() *status.Status { return status.New(e.Code, e.Message) }

// HandshakeError says that the server refused the websocket handshake in a way that another attempt will not change.
type HandshakeError struct {
	// URL is what was dialled.
	URL string
	// Status is the HTTP status of the answer.
	Status int
	// Message is the body of the answer, at most 1 KiB of it; the bridge says there what is wrong.
	Message string

	resume string // from where on the bridge has everything
}

// Error returns all of it.
func (e *HandshakeError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("%s refused the websocket handshake with HTTP status %d", e.URL, e.Status)
	}
	return fmt.Sprintf("%s refused the websocket handshake with HTTP status %d: %s", e.URL, e.Status, e.Message)
}

// ClosedError says that the server closed the connection with a closing handshake, which asks the client to stay
// away.
type ClosedError struct {
	// Code is the close code (RFC 6455 §7.4), such as 1008 for a client that may not be here.
	Code int
	// Reason is what the server says about it, often nothing.
	Reason string
}

// Error returns the code, its meaning where it is one of the bridge's, and the reason.
func (e *ClosedError) Error() string {
	text := fmt.Sprintf("the server closed the connection for good, with close code %d", e.Code)
	switch e.Code {
	case websocket.CloseProtocolError:
		text += " (protocol error)"
	case websocket.CloseInvalidFramePayloadData:
		text += " (invalid UTF-8)"
	case websocket.ClosePolicyViolation:
		text += " (not allowed, or no longer)"
	case websocket.CloseMessageTooBig:
		text += " (message too large)"
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}
