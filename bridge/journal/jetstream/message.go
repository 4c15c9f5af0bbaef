package jetstream

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rotki/notification-bridge/bridge/journal"
)

// The headers of a message. What has no header is not set.
const (
	headerID          = "Nats-Msg-Id"       // JetStream's, by which it knows duplicates
	headerRecipients  = "Rotki-Recipients"  // a JSON array of strings
	headerSubscribers = "Rotki-Subscribers" // a decimal number
	headerKey         = "Rotki-Key"         // a JSON string
)

// batchOverhead is more than a batch adds to the headers of a message, maxHeader how many bytes of headers JetStream
// stores with one, less that.
const (
	batchOverhead = 256
	maxHeader     = 1<<16 - 1 - batchOverhead
)

// prefix returns what is before the type in a subject. It has the stream's epoch in it, so that nothing that is meant
// for a stream gets into one that took its place.
func prefix(stream string, epoch uint64) string { return fmt.Sprintf("%s.%016x.", stream, epoch) }

// encode makes the message of an entry. The error wraps journal.ErrTooLarge.
func (j *Journal) encode(e *journal.Entry) (*nats.Msg, int, error) {
	if !j.Fits(e) {
		return nil, 0, journal.ErrTooLarge
	}
	if !isType(e.Type) {
		return nil, 0, fmt.Errorf("%q cannot be a type", e.Type)
	}
	m := &nats.Msg{Subject: j.prefix + e.Type, Data: e.Data}
	size := 0
	set := func(header, value string) {
		if m.Header == nil {
			m.Header = make(nats.Header, 4)
		}
		m.Header[header] = []string{value}
		size += len(header) + len(value) + 4
	}
	if e.ID != "" {
		set(headerID, encodeID(e.ID))
	}
	if len(e.Recipients) > 0 {
		set(headerRecipients, asciiJSON(e.Recipients))
	}
	if e.Subscribers > 0 {
		set(headerSubscribers, strconv.FormatUint(uint64(e.Subscribers), 10))
	}
	if e.Key != "" {
		set(headerKey, asciiJSON(e.Key))
	}
	if size > maxHeader {
		return nil, 0, fmt.Errorf("its id, recipients and key take %d bytes, and %d is what a stream stores with a message: %w",
			size, maxHeader, journal.ErrTooLarge)
	}
	size += len(m.Subject) + len(m.Data)
	if limit := int(j.nc.MaxPayload()) - batchOverhead; size > limit {
		return nil, 0, fmt.Errorf("it takes %d bytes, and %d is what NATS carries: %w", size, limit, journal.ErrTooLarge)
	}
	return m, size, nil
}

// isType reports whether a type can be the last part of a subject.
func isType(typ string) bool {
	for i := range len(typ) {
		if c := typ[i]; c <= ' ' || c >= 0x7f || c == '.' || c == '*' || c == '>' {
			return false
		}
	}
	return typ != ""
}

// encodeID returns an ID as a header's value. JetStream compares the values, so that different IDs must have different
// ones. What could end a line, or would be trimmed, is quoted, and so is what looks like a quoted one.
func encodeID(id string) string {
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c >= 0x7f || c == '"' {
			return strconv.QuoteToASCII(id)
		}
	}
	return id
}

// asciiJSON returns the JSON of a string or a list of strings, without any byte that means something to a header.
func asciiJSON(v any) string {
	text, _ := json.Marshal(v) // strings cannot fail
	for _, c := range text {
		if c >= 0x7f {
			return escaped(string(text))
		}
	}
	return string(text)
}

// escaped writes what is not ASCII as JSON's \u.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < 0x7f:
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
	}
	return b.String()
}

// decode makes the record of a message that is stored under a sequence number.
func decode(subject string, header nats.Header, data []byte, seq uint64, stored time.Time) *journal.Record {
	r := &journal.Record{Seq: seq, Time: stored, Type: typeOf(subject), Data: data}
	if len(header) == 0 {
		return r
	}
	if text := header.Get(headerRecipients); text != "" {
		_ = json.Unmarshal([]byte(text), &r.Recipients)
		if len(r.Recipients) == 0 {
			r.Recipients = []string{""} // nobody's: what cannot be read must not be shown to everybody
		}
	}
	if text := header.Get(headerKey); text != "" {
		_ = json.Unmarshal([]byte(text), &r.Key)
	}
	if text := header.Get(headerSubscribers); text != "" {
		n, _ := strconv.ParseUint(text, 10, 32)
		r.Subscribers = uint32(n)
	}
	return r
}

// typeOf returns the type in a subject: what follows the stream's name and its epoch.
func typeOf(subject string) string {
	_, rest, _ := strings.Cut(subject, ".")
	_, typ, _ := strings.Cut(rest, ".")
	return typ
}
