package delivery

import (
	"net/netip"
	"time"
)

// Connection tells of one subscriber at one moment.
type Connection struct {
	// ID names it, and no other connection of any bridge.
	ID string
	// Subject, TokenID and ExpiresAt are its credential's; empty and zero where there is none.
	Subject   string
	TokenID   string
	ExpiresAt time.Time
	// Session stands for its browser's session, without being its cookie; empty for none.
	Session string
	// Events says that it reads Server-Sent Events, and has no websocket.
	Events bool
	// Address is where it came from; behind a trusted proxy, what that forwarded.
	Address netip.Addr
	// Types are those that it gets, sorted; nil for all.
	Types []string
	// ConnectedAt is when its handshake was answered.
	ConnectedAt time.Time
	// Lag is how many notifications it lacks, those that are not for it too.
	Lag uint64
}

// Selector chooses connections: those for which each field that is set is theirs. The zero value chooses all.
type Selector struct {
	Subject    string
	Session    string
	Connection string
	TokenID    string
}
