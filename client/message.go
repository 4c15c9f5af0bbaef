package client

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// Message is one notification as a subscriber gets it.
type Message struct {
	// Type is the name of the notification's type, such as legacy.
	Type string
	// ID is the notification's position in the bridge's journal, for SubscriberConfig.Since; empty when the server gives
	// none.
	ID string
	// Envelope is the JSON as it was received, but for the ID: an object with type and data.
	Envelope []byte
	// Notification is the envelope in its typed form; nil when this client's contract does not know the type, or a
	// value in it, because the bridge is newer.
	Notification *notificationsv1.Notification
}

// newMessage reads an envelope. The error says why it is none; an envelope that is only unknown is no error.
func newMessage(envelope []byte) (Message, error) {
	var head struct {
		Type string `json:"type"`
		ID   string `json:"id"`
	}
	if err := json.Unmarshal(envelope, &head); err != nil {
		return Message{}, fmt.Errorf("read an envelope: %w", err)
	}
	if head.Type == "" {
		return Message{}, fmt.Errorf("read an envelope: it has no type")
	}
	m := Message{Type: head.Type, ID: head.ID, Envelope: withoutID(envelope, head.ID)}
	c, err := contract()
	if err != nil {
		return Message{}, err
	}
	n := new(notificationsv1.Notification)
	if c.DecodeKnown(m.Envelope, n) == nil {
		m.Notification = n
	}
	return m, nil
}

// withoutID returns an envelope without its id, which a bridge puts last. It may change the envelope.
func withoutID(envelope []byte, id string) []byte {
	if rest, ok := bytes.CutSuffix(envelope, []byte(`,"id":"`+id+`"}`)); ok {
		return append(rest, '}')
	}
	return envelope
}
