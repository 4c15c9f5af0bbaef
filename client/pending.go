package client

import (
	"context"
	"crypto/rand"
	"fmt"
)

// Accepted says that a notification is in the bridge's journal and will be delivered.
type Accepted struct {
	// Position is its place in the journal's order. Opaque: compare it for equality only.
	Position string
	// Subscribers is how many subscribers of the bridge it was for when it was accepted.
	Subscribers int
	// Duplicate says that the bridge had accepted a notification with this id before: another one, or this one when
	// it was sent for the first time and the answer was lost with the connection. Position and Subscribers are then
	// the first one's, and nothing was delivered anew.
	Duplicate bool
}

// Pending is a notification on its way to the bridge.
type Pending struct {
	id    string
	frame frame // nil once answered

	done     chan struct{}
	accepted Accepted // set before done is closed, as is err
	err      error
}

// ID returns the notification's idempotency key.
func (p *Pending) ID() string { return p.id }

// Done returns a channel that is closed once it is known what became of the notification.
func (p *Pending) Done() <-chan struct{} { return p.done }

// Wait waits until it is known what became of the notification. The error is
//   - a *RejectedError when it was refused,
//   - a *CredentialError when the bridge does not let this client publish,
//   - a gRPC status error when it is no bridge (UNIMPLEMENTED),
//   - ErrClosed when the Publisher was closed before the bridge answered,
//   - ctx's, when it is done first: the notification may be delivered still.
func (p *Pending) Wait(ctx context.Context) (Accepted, error) {
	select {
	case <-p.done:
		return p.accepted, p.err
	default:
	}
	select {
	case <-p.done:
		return p.accepted, p.err
	case <-ctx.Done():
		return Accepted{}, fmt.Errorf("wait for the bridge's answer: %w", ctx.Err())
	}
}

func (p *Pending) settle(accepted Accepted, err error) {
	p.accepted, p.err = accepted, err
	p.frame = nil
	close(p.done)
}

// PublishOption changes how one notification is published.
type PublishOption func(*publishing)

// publishing is what the options of one call say.
type publishing struct {
	id         string
	recipients []string
	restricted bool // to the recipients
}

// WithID sets the idempotency key: at most 128 bytes, unique among all publishers of a bridge. A notification whose
// id the bridge accepted within its dedup window is not delivered again, so that a program that was killed may
// repeat what it was doing. The default is a random UUID.
func WithID(id string) PublishOption {
	return func(p *publishing) { p.id = id }
}

// WithRecipients restricts who may see the notification to these user ids (the "sub" of a subscriber's token). The
// default is every subscriber. No ids at all are refused, for nobody must not become everybody by mistake.
func WithRecipients(ids ...string) PublishOption {
	return func(p *publishing) { p.recipients, p.restricted = ids, true }
}

// randomID returns a random UUID (RFC 9562, version 4).
func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, as of Go 1.24
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
