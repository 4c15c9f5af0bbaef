package bridge

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/contract"
	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/ingest"
	"github.com/rotki/notification-bridge/bridge/journal"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// newPipeline returns one with the built-in contract, and the journal that it leads to.
func newPipeline(t *testing.T) (*pipeline, *journal.Memory) {
	t.Helper()
	builtin, err := contract.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	var inUse atomic.Pointer[inForce]
	inUse.Store(&inForce{Contract: builtin})
	log := journal.NewMemory(journal.MemoryConfig{})
	t.Cleanup(log.Close)
	audience := delivery.New(delivery.Config{Log: log, Types: builtin.Types})
	return &pipeline{contract: &inUse, journal: log, maxData: 1 << 20, audience: audience}, log
}

// TestWhatACallerMayPublish: the limits of a credential are a rejection by name, and what is in order is stored with its
// recipients sorted.
func TestWhatACallerMayPublish(t *testing.T) {
	p, log := newPipeline(t)
	warning := &notificationsv1.Notification{Payload: &notificationsv1.Notification_Legacy{Legacy: &notificationsv1.Legacy{
		Verbosity: notificationsv1.Verbosity_VERBOSITY_WARNING,
	}}}
	for _, tc := range []struct {
		name       string
		caller     auth.Caller
		recipients []string
		refused    string // the field
		stored     []string
	}{
		{"anonymous", auth.Caller{}, nil, "", nil},
		{"anonymous, to some", auth.Caller{}, []string{"b", "a", "b"}, "", []string{"a", "b"}},
		{"of all types", auth.Caller{Types: []string{"history_events_status", "legacy"}}, nil, "", nil},
		{"of other types", auth.Caller{Types: []string{"history_events_status"}}, nil, "legacy", nil},
		{"of no type", auth.Caller{Types: []string{}}, nil, "legacy", nil},
		{"to all it may", auth.Caller{Recipients: []string{"a", "b"}}, []string{"b", "a"}, "", []string{"a", "b"}},
		{"to one it may", auth.Caller{Recipients: []string{"a", "b"}}, []string{"b"}, "", []string{"b"}},
		{"to one it may not", auth.Caller{Recipients: []string{"a", "b"}}, []string{"b", "c"}, "recipients[1]", nil},
		{"to everybody", auth.Caller{Recipients: []string{"a", "b"}}, nil, "recipients", nil},
		{"to nobody", auth.Caller{Recipients: []string{}}, []string{"a"}, "recipients[0]", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, next := log.Bounds()
			request := &notificationsv1.PublishRequest{Notification: warning, Recipients: tc.recipients}
			_, err := p.Open(tc.caller).Publish(t.Context(), request)
			if tc.refused != "" {
				refused, ok := errors.AsType[*ingest.Rejection](err)
				if !ok || refused.Reason != notificationsv1.Reason_REASON_NOT_ALLOWED || refused.Field != tc.refused {
					t.Errorf("got %v, want %s not allowed", err, tc.refused)
				}
				return
			}
			records := make([]*journal.Record, 1)
			if n, readErr := log.Read(next, records); err != nil || n != 1 || readErr != nil {
				t.Fatalf("got %v; read %d, %v", err, n, readErr)
			}
			if !slices.Equal(records[0].Recipients, tc.stored) {
				t.Errorf("stored for %q, want %q", records[0].Recipients, tc.stored)
			}
		})
	}
}

// TestIDsAreThePublishersOwn: nobody can use up the id of another publisher's request; a publisher's own is a duplicate.
func TestIDsAreThePublishersOwn(t *testing.T) {
	p, _ := newPipeline(t)
	request := &notificationsv1.PublishRequest{Id: "1", Notification: &notificationsv1.Notification{
		Payload: &notificationsv1.Notification_Legacy{Legacy: &notificationsv1.Legacy{Verbosity: notificationsv1.Verbosity_VERBOSITY_WARNING}},
	}}
	for i, step := range []struct {
		subject   string
		duplicate bool
	}{{"", false}, {"ann", false}, {"bob", false}, {"ann", true}, {"", true}, {"bob", true}} {
		pending, err := p.Open(auth.Caller{Subject: step.subject}).Publish(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if accepted, err := pending.Wait(t.Context()); err != nil || accepted.GetDuplicate() != step.duplicate {
			t.Errorf("%d, %q: %v, %v", i, step.subject, accepted, err)
		}
	}
}
