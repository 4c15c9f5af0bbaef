package envelope

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// Contract is the compiled form of a Notification message: every type it can carry and how each becomes JSON.
type Contract struct {
	notification protoreflect.MessageDescriptor
	payload      protoreflect.OneofDescriptor
	types        []string
	byName       map[string]*field
	byNumber     map[protoreflect.FieldNumber]*field
}

// Compile reads the wire rules of every message that notification can carry. The message must consist of exactly
// one oneof whose fields are messages. The error names the proto element for which no JSON is defined.
func Compile(notification protoreflect.MessageDescriptor) (*Contract, error) {
	oneofs := notification.Oneofs()
	if oneofs.Len() != 1 || oneofs.Get(0).Fields().Len() != notification.Fields().Len() {
		return nil, fmt.Errorf("compile %s: it must consist of exactly one oneof", notification.FullName())
	}
	c := &Contract{
		notification: notification,
		payload:      oneofs.Get(0),
		byName:       make(map[string]*field),
		byNumber:     make(map[protoreflect.FieldNumber]*field),
	}
	compiler := compiler{messages: make(map[protoreflect.FullName]*message)}
	for i := range c.payload.Fields().Len() {
		fd := c.payload.Fields().Get(i)
		if fd.Message() == nil {
			return nil, fmt.Errorf("compile %s: a notification type must be a message", fd.FullName())
		}
		options, err := resolve(fd.Options(), new(descriptorpb.FieldOptions))
		if err != nil {
			return nil, fmt.Errorf("compile %s: %w", fd.FullName(), err)
		}
		if proto.GetExtension(options, notificationsv1.E_NeverConflate).(bool) {
			return nil, fmt.Errorf("compile %w", misplacedNeverConflate(fd))
		}
		m, err := compiler.message(fd.Message())
		if err != nil {
			return nil, fmt.Errorf("compile %s: %w", notification.FullName(), err)
		}
		f := &field{desc: fd, name: string(fd.Name()), message: m}
		c.types = append(c.types, f.name)
		c.byName[f.name] = f
		c.byNumber[fd.Number()] = f
	}
	if err := compiler.checkConflated(c.byName); err != nil {
		return nil, fmt.Errorf("compile %s: %w", notification.FullName(), err)
	}
	return c, nil
}

// Types returns the names of all notification types in the order of the proto. The caller must not modify it.
func (c *Contract) Types() []string { return c.types }

// Has reports whether the contract has a notification type of that name.
func (c *Contract) Has(name string) bool { return c.byName[name] != nil }
