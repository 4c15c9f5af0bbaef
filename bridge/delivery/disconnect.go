package delivery

import "github.com/gorilla/websocket"

// Disconnect is a way in which a connection ends.
//
// rotki's frontend reconnects exactly when the close was not clean. Any close frame of the server makes it clean,
// so a subscriber that should come back loses its TCP connection without one, unless it asked for close=codes.
type Disconnect struct {
	// Name is the label in metrics and logs.
	Name string
	// Code is the close code (RFC 6455 §7.4) for those who get one; 0 where there is nobody to tell.
	Code int
	// StayAway says that the client should not reconnect: it always gets the code.
	StayAway bool
	// Reset ends TCP with RST, so that the kernel keeps nothing for a peer that does not read.
	Reset bool
	// AtOnce says that the client may not even have the rest of a notification of which it has a part: TCP is reset then.
	AtOnce bool
}

// Every way in which a connection ends.
var (
	// ClientClosed: the client closed the connection, cleanly.
	ClientClosed = Disconnect{Name: "client_closed", StayAway: true}
	// ConnectionLost: reading or writing failed.
	ConnectionLost = Disconnect{Name: "connection_lost"}
	// ProtocolError: the client broke RFC 6455 (1002), sent invalid UTF-8 (1007) or too large a message (1009).
	ProtocolError = Disconnect{Name: "protocol_error", Code: websocket.CloseProtocolError, StayAway: true}
	// Expired: the client's credential has expired.
	Expired = Disconnect{Name: "expired", Code: websocket.ClosePolicyViolation, StayAway: true}
	// Revoked: the client's credential was revoked.
	Revoked = Disconnect{Name: "revoked", Code: websocket.ClosePolicyViolation, StayAway: true, AtOnce: true}
	// Dismissed: an operator has ended the connection.
	Dismissed = Disconnect{Name: "dismissed", Code: websocket.ClosePolicyViolation, StayAway: true}
	// TooTalkative: the client says more than it may.
	TooTalkative = Disconnect{Name: "too_talkative", Code: websocket.ClosePolicyViolation, StayAway: true}
	// TooSlow: the subscriber fell so far behind that the journal no longer has what it lacks.
	TooSlow = Disconnect{Name: "too_slow", Code: websocket.CloseTryAgainLater, Reset: true}
	// WriteTimeout: the socket took no byte for the write timeout.
	WriteTimeout = Disconnect{Name: "write_timeout", Code: websocket.CloseTryAgainLater, Reset: true}
	// PingTimeout: nothing was heard of the peer for two pings.
	PingTimeout = Disconnect{Name: "ping_timeout", Reset: true}
	// Shutdown: the bridge drains or stops.
	Shutdown = Disconnect{Name: "shutdown", Code: websocket.CloseGoingAway}
)

var allDisconnects = []Disconnect{
	ClientClosed, ConnectionLost, ProtocolError, Expired, Revoked, Dismissed, TooTalkative, TooSlow, WriteTimeout, PingTimeout, Shutdown,
}
