package bridge

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/envelope"
	"github.com/rotki/notification-bridge/bridge/ingest"
	"github.com/rotki/notification-bridge/bridge/journal"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// pipeline is the way of a request from ingest through envelope into the journal, from which delivery reads. It is
// where the errors of each become a publisher's.
type pipeline struct {
	contract *atomic.Pointer[inForce]
	journal  journal.Journal
	audience *delivery.Engine
	maxData  int // bytes of JSON that one notification may become
}

// Open implements ingest.Sink.
func (p *pipeline) Open(caller auth.Caller) ingest.Publisher {
	return publisher{p, p.journal.Term(), caller, idSpace(caller.Subject)}
}

// idSpace returns what is put in front of a publisher's ids, so that nobody can use up another's. All that are anonymous
// share one; what a subject's begins with is no UTF-8, which the ids of requests are.
func idSpace(subject string) string {
	if subject == "" {
		return ""
	}
	digest := sha256.Sum256([]byte(subject))
	return "\xff" + string(digest[:8])
}

// publisher is the pipeline for the requests of one stream.
type publisher struct {
	*pipeline
	term    uint64
	caller  auth.Caller
	idSpace string
}

// Publish implements ingest.Publisher.
func (p publisher) Publish(ctx context.Context, request *notificationsv1.PublishRequest) (ingest.Pending, error) {
	recipients, err := p.recipients(request)
	if err != nil {
		return nil, err
	}
	if request.GetNotification() == nil {
		return nil, &ingest.Rejection{
			Reason: notificationsv1.Reason_REASON_PAYLOAD_MISSING, Field: "notification", Message: "is required",
		}
	}
	contract := p.contract.Load()
	notification, err := contract.Parse(request.GetNotification())
	if err != nil {
		return nil, &ingest.Rejection{
			Reason: notificationsv1.Reason_REASON_MALFORMED, Field: "notification", Message: "is malformed: " + err.Error(),
		}
	}
	env, err := contract.Encode(notification)
	if err != nil {
		return nil, rejection(err)
	}
	if p.caller.Types != nil && !isIn(p.caller.Types, env.Type) {
		return nil, notAllowed(env.Type, "is not among the types that your credential allows")
	}
	if len(env.Data) > p.maxData {
		return nil, &ingest.Rejection{
			Reason: notificationsv1.Reason_REASON_TOO_LARGE, Field: env.Type,
			Message: fmt.Sprintf("becomes %d bytes of JSON, the bridge takes %d at most", len(env.Data), p.maxData),
		}
	}
	// Counted before it is appended: whoever is counted has joined, and will get it.
	subscribers := p.audience.Count(env.Type, recipients)
	id := request.GetId()
	if id != "" {
		id = p.idSpace + id
	}
	appended, err := p.journal.Append(ctx, journal.Entry{
		ID:          id,
		Type:        env.Type,
		Data:        env.Data,
		Recipients:  recipients,
		Key:         env.Key,
		Term:        p.term,
		Subscribers: uint32(subscribers),
	})
	switch {
	case errors.Is(err, journal.ErrTooLarge):
		return nil, &ingest.Rejection{Reason: notificationsv1.Reason_REASON_TOO_LARGE, Message: err.Error()}
	case err != nil:
		return nil, fmt.Errorf("append to the journal: %w: %w", err, ingest.ErrUnavailable)
	}
	return pending{appended}, nil
}

// recipients returns the recipients of a request, sorted and each once.
func (p publisher) recipients(request *notificationsv1.PublishRequest) ([]string, error) {
	all := request.GetRecipients()
	if p.caller.Recipients != nil && len(all) == 0 {
		return nil, notAllowed("recipients", "are required: your credential is for certain recipients only")
	}
	for i, recipient := range all {
		field := func() string { return fmt.Sprintf("recipients[%d]", i) }
		if recipient == "" {
			return nil, &ingest.Rejection{
				Reason: notificationsv1.Reason_REASON_INVALID_FIELD, Field: field(),
				Message: "is empty; leave recipients out to reach every subscriber",
			}
		}
		if p.caller.Recipients != nil && !isIn(p.caller.Recipients, recipient) {
			return nil, notAllowed(field(), "is not among the recipients that your credential allows")
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func isIn(sorted []string, one string) bool {
	_, found := slices.BinarySearch(sorted, one)
	return found
}

func notAllowed(field, message string) error {
	return &ingest.Rejection{Reason: notificationsv1.Reason_REASON_NOT_ALLOWED, Field: field, Message: message}
}

// rejection tells a publisher what the envelope refused.
func rejection(err error) error {
	refused := (*envelope.Error)(nil)
	if !errors.As(err, &refused) {
		return err
	}
	reason := notificationsv1.Reason_REASON_INVALID_FIELD
	switch {
	case errors.Is(err, envelope.ErrNoPayload):
		reason = notificationsv1.Reason_REASON_PAYLOAD_MISSING
	case errors.Is(err, envelope.ErrUnknown):
		reason = notificationsv1.Reason_REASON_UNKNOWN_TO_CONTRACT
	}
	return &ingest.Rejection{Reason: reason, Field: refused.Field, Message: refused.Problem}
}

// pending is a journal's, as a publisher is told of it.
type pending struct {
	appended journal.Pending
}

// Settled implements ingest.Pending.
func (p pending) Settled() bool { return p.appended.Settled() }

// Wait implements ingest.Pending.
func (p pending) Wait(ctx context.Context) (*notificationsv1.Accepted, error) {
	receipt, err := p.appended.Wait(ctx)
	if err != nil {
		return nil, fmt.Errorf("wait for the journal: %w: %w", err, ingest.ErrUnavailable)
	}
	return &notificationsv1.Accepted{
		Position:    receipt.Position.String(),
		Subscribers: receipt.Subscribers,
		Duplicate:   receipt.Duplicate,
	}, nil
}
