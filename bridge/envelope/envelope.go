// Package envelope converts between typed notifications and the JSON envelopes that rotki's frontend reads.
//
// A Contract is compiled once from the descriptor of a Notification message and then runs in both directions. It
// knows descriptors and the wire options of wire.proto and nothing else: no message type is named in this package,
// so a new notification type is an edit of a .proto file.
//
// The encoder is the validator: what cannot be put on the wire faithfully is refused with the path of the field.
//
// # Concurrency
//
// A Contract is immutable and safe for concurrent use; so is an Envelope as long as its Data is not written to.
package envelope

import (
	"github.com/go-json-experiment/json/jsontext"
)

// Envelope is one notification as the frontend reads it.
type Envelope struct {
	// Type is the name of the notification's type, lower-case snake_case.
	Type string
	// Data is the notification as one JSON value, an object or an array, in valid UTF-8 and without white space.
	Data []byte
	// Key is equal for notifications of which a newer one makes the older ones worthless: progress of one and the same
	// thing. It is empty for those that must not be left out. It is no part of what AppendJSON writes.
	Key string
}

// AppendJSON appends the envelope with data as a JSON value: {"type":"legacy","data":{…}}.
func (e Envelope) AppendJSON(dst []byte) []byte {
	dst = e.appendHead(dst)
	dst = append(dst, e.Data...)
	return append(dst, '}')
}

// AppendStringData appends the envelope with data as a string that holds JSON: {"type":"legacy","data":"{…}"}.
// This is what the API document's examples print; clients ask for it with data=string.
func (e Envelope) AppendStringData(dst []byte) []byte {
	dst = e.appendHead(dst)
	dst = appendString(dst, string(e.Data))
	return append(dst, '}')
}

func (e Envelope) appendHead(dst []byte) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, e.Type...) // a protobuf identifier needs no escaping
	return append(dst, `","data":`...)
}

// appendString appends s, which must be valid UTF-8, as a JSON string with as few escapes as RFC 8259 §7 allows.
func appendString(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}
