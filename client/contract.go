package client

import (
	"sync"

	"github.com/rotki/notification-bridge/bridge/envelope"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// contract returns the contract that this client was built with.
var contract = sync.OnceValues(func() (*envelope.Contract, error) {
	return envelope.Compile((*notificationsv1.Notification)(nil).ProtoReflect().Descriptor())
})
