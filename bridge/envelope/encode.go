package envelope

import (
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// maxSafeInteger is the largest integer that every JSON reader keeps exact (RFC 8259 §6).
const maxSafeInteger = 1<<53 - 1

// usualBytes is as long as the data of most notifications, which is allocated once then.
const usualBytes = 128

// Encode converts a notification to its envelope. n must be of the message that the contract was compiled from.
// The error is an *Error: ErrNoPayload without a type, ErrUnknown for what the contract lacks, ErrInvalid else.
func (c *Contract) Encode(n proto.Message) (Envelope, error) {
	m := n.ProtoReflect()
	if m.Descriptor() != c.notification {
		return Envelope{}, invalid("the message is not a " + string(c.notification.FullName()))
	}
	if !m.IsValid() {
		return Envelope{}, &Error{Kind: ErrNoPayload, Problem: "there is no notification"}
	}
	if err := checkUnknown(m); err != nil {
		return Envelope{}, err
	}
	fd := m.WhichOneof(c.payload)
	if fd == nil {
		return Envelope{}, &Error{Kind: ErrNoPayload, Field: string(c.payload.Name()), Problem: "no notification type is set"}
	}
	f := c.byNumber[fd.Number()]
	data, err := f.message.encode(make([]byte, 0, usualBytes), m.Get(fd).Message())
	if err != nil {
		return Envelope{}, err.in(f.name)
	}
	env := Envelope{Type: f.name, Data: data}
	if f.message.key != nil {
		env.Key = f.message.conflationKey(f.name, m.Get(fd).Message())
	}
	return env, nil
}

func (p *message) encode(dst []byte, m protoreflect.Message) ([]byte, *Error) {
	if err := checkUnknown(m); err != nil {
		return dst, err
	}
	switch p.shape {
	case notificationsv1.Shape_SHAPE_BARE:
		return p.fields[0].encode(dst, m)
	case notificationsv1.Shape_SHAPE_TUPLE:
		return p.encodeTuple(dst, m)
	default:
		dst = append(dst, '{')
		dst, err := p.encodeMembers(dst, m)
		return append(dst, '}'), err
	}
}

func (p *message) encodeTuple(dst []byte, m protoreflect.Message) ([]byte, *Error) {
	dst = append(dst, '[')
	for i, f := range p.fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err *Error
		if dst, err = f.encode(dst, m); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

// encodeMembers appends the members of an object without its braces; dst ends in the opening one.
func (p *message) encodeMembers(dst []byte, m protoreflect.Message) ([]byte, *Error) {
	for _, f := range p.fields {
		if f.presence == omitted && !m.Has(f.desc) {
			continue
		}
		dst = append(comma(dst), f.key...)
		var err *Error
		if dst, err = f.encode(dst, m); err != nil {
			return dst, err
		}
	}
	for _, ch := range p.choices {
		fd := m.WhichOneof(ch.desc)
		if fd == nil {
			return dst, invalid("one of its fields must be set").in(string(ch.desc.Name()))
		}
		variant, chosen := ch.byNum[fd.Number()], m.Get(fd).Message()
		dst = append(comma(dst), ch.key...)
		dst = appendString(dst, variant.name)
		if err := checkUnknown(chosen); err != nil {
			return dst, err.in(variant.name)
		}
		var err *Error
		if dst, err = variant.message.encodeMembers(dst, chosen); err != nil {
			return dst, err.in(variant.name)
		}
	}
	return dst, nil
}

func comma(dst []byte) []byte {
	if dst[len(dst)-1] == '{' {
		return dst
	}
	return append(dst, ',')
}

// encode appends the value of a field that is always there: an unset one is null, refused, or its zero value.
func (f *field) encode(dst []byte, m protoreflect.Message) ([]byte, *Error) {
	if f.list {
		return f.encodeList(dst, m.Get(f.desc).List())
	}
	if (f.presence == null || f.presence == required) && !m.Has(f.desc) {
		if f.presence == null {
			return append(dst, "null"...), nil
		}
		return dst, invalid("is required").in(f.name)
	}
	dst, err := f.encodeValue(dst, m.Get(f.desc))
	if err != nil {
		return dst, err.in(f.name)
	}
	return dst, nil
}

func (f *field) encodeList(dst []byte, list protoreflect.List) ([]byte, *Error) {
	dst = append(dst, '[')
	for i := range list.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err *Error
		if dst, err = f.encodeValue(dst, list.Get(i)); err != nil {
			return dst, err.at(i).in(f.name)
		}
	}
	return append(dst, ']'), nil
}

func (f *field) encodeValue(dst []byte, v protoreflect.Value) ([]byte, *Error) {
	switch f.desc.Kind() {
	case protoreflect.MessageKind:
		return f.message.encode(dst, v.Message())
	case protoreflect.EnumKind:
		return f.enum.encode(dst, v.Enum())
	case protoreflect.StringKind:
		if !utf8.ValidString(v.String()) {
			return dst, invalid("is not valid UTF-8")
		}
		return appendString(dst, v.String()), nil
	case protoreflect.BoolKind:
		return strconv.AppendBool(dst, v.Bool()), nil
	case protoreflect.FloatKind:
		return appendFloat(dst, v.Float(), jsontext.Float32(float32(v.Float())))
	case protoreflect.DoubleKind:
		return appendFloat(dst, v.Float(), jsontext.Float(v.Float()))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		if v.Uint() > maxSafeInteger {
			return dst, invalid(unsafeInteger)
		}
		return strconv.AppendUint(dst, v.Uint(), 10), nil
	default: // the signed integers: compile let no other kind pass
		if v.Int() > maxSafeInteger || v.Int() < -maxSafeInteger {
			return dst, invalid(unsafeInteger)
		}
		return strconv.AppendInt(dst, v.Int(), 10), nil
	}
}

const unsafeInteger = "is outside ±(2^53-1), the integers that every JSON reader keeps exact"

func appendFloat(dst []byte, f float64, token jsontext.Token) ([]byte, *Error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, invalid("is not a finite number, and JSON has no other")
	}
	return append(dst, token.String()...), nil
}

func (e *enum) encode(dst []byte, number protoreflect.EnumNumber) ([]byte, *Error) {
	if name, ok := e.names[number]; ok {
		return appendString(dst, name), nil
	}
	if number == 0 {
		return dst, invalid("is unspecified; set it to one of: " + e.list())
	}
	return dst, unknown("has the value " + strconv.Itoa(int(number)) +
		", which this bridge's contract does not have; it has: " + e.list() + ". If the value is newer, update the bridge, or load a newer contract with --contract")
}

// list returns the JSON names in alphabetical order.
func (e *enum) list() string {
	names := make([]string, 0, len(e.numbers))
	for name := range e.numbers {
		names = append(names, name)
	}
	slices.Sort(names)
	text := ""
	for i, name := range names {
		if i > 0 {
			text += ", "
		}
		text += name
	}
	return text
}

// checkUnknown refuses a message with fields that the contract lacks: they could not be put on the wire.
func checkUnknown(m protoreflect.Message) *Error {
	raw := m.GetUnknown()
	if len(raw) == 0 {
		return nil
	}
	number, _, n := protowire.ConsumeTag(raw)
	if n < 0 {
		return invalid("has bytes that are not a protobuf field")
	}
	return unknown("has field number " + strconv.Itoa(int(number)) + " of " + string(m.Descriptor().FullName()) +
		" set, which this bridge's contract does not have: update the bridge, or load a newer contract with --contract")
}
