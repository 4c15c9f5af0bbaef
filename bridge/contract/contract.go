// Package contract is the contract that a bridge has in force: the one it was built with, or a newer one that was
// loaded from a descriptor image, so that a bridge in service learns new notification types.
//
// # Concurrency
//
// A Contract is immutable and safe for concurrent use.
package contract

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/rotki/notification-bridge/bridge/envelope"
	gencontract "github.com/rotki/notification-bridge/gen/contract"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// Contract is a Notification message, compiled, and where it came from.
type Contract struct {
	*envelope.Contract

	notification protoreflect.MessageDescriptor
	image        []byte
	builtin      bool
}

// Builtin returns the contract of the generated types. Its descriptors hold no comments; those of Load(Image()) do.
func Builtin() (*Contract, error) {
	c, err := compile((*notificationsv1.Notification)(nil).ProtoReflect().Descriptor(), gencontract.Image)
	if err != nil {
		return nil, err
	}
	c.builtin = true
	return c, nil
}

func compile(notification protoreflect.MessageDescriptor, image []byte) (*Contract, error) {
	compiled, err := envelope.Compile(notification)
	if err != nil {
		return nil, err
	}
	return &Contract{Contract: compiled, notification: notification, image: image}, nil
}

// Notification returns the descriptor of what Encode takes. In a contract that was loaded from an image with source
// info it has comments.
func (c *Contract) Notification() protoreflect.MessageDescriptor { return c.notification }

// Image returns the descriptor image, a serialized FileDescriptorSet. The caller must not modify it.
func (c *Contract) Image() []byte { return c.image }

// Beyond returns the names of the types that c has and other lacks.
func (c *Contract) Beyond(other *Contract) []string {
	var names []string
	for _, name := range c.Types() {
		if !other.Has(name) {
			names = append(names, name)
		}
	}
	return names
}

// Parse returns a notification as Encode wants it: of the generated type, which keeps what it does not know as bytes,
// it makes a message of this contract. The error says that those bytes are malformed.
func (c *Contract) Parse(n *notificationsv1.Notification) (proto.Message, error) {
	if c.builtin {
		return n, nil
	}
	raw, err := proto.Marshal(n)
	if err != nil {
		return nil, fmt.Errorf("read the notification anew: %w", err)
	}
	m := dynamicpb.NewMessage(c.notification)
	if err := proto.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("read the notification anew: %w", err)
	}
	return m, nil
}
