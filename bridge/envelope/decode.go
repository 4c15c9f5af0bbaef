package envelope

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// Decode converts an envelope back to the notification that Encode would make it from, into an empty message of
// the contract's kind. It is as strict as Encode: a key that is missing, not in the contract, or given twice is
// refused, and so is null where no field is nullable. data may be a JSON value or a string that holds one.
// The error is an *Error.
func (c *Contract) Decode(envelope []byte, into proto.Message) error {
	return c.decode(envelope, into, false)
}

// DecodeKnown is Decode for the reader of a bridge that may be newer than the contract: keys that the contract
// does not have are passed over. An unknown type or enum value is an ErrUnknown still.
func (c *Contract) DecodeKnown(envelope []byte, into proto.Message) error {
	return c.decode(envelope, into, true)
}

func (c *Contract) decode(raw []byte, into proto.Message, passUnknown bool) error {
	m := into.ProtoReflect()
	if m.Descriptor() != c.notification {
		return invalid("the message is not a " + string(c.notification.FullName()))
	}
	members, err := readEnvelope(raw, passUnknown)
	if err != nil {
		return err
	}
	typ, data := members["type"], members["data"]
	if typ.Kind() != '"' {
		return invalid("must be the name of a notification type, a string").in("type")
	}
	name := unquote(typ)
	f := c.byName[name]
	if f == nil {
		return unknown(fmt.Sprintf("%q is no notification type of this contract", name)).in("type")
	}
	if data.Kind() == '"' {
		if data, err = readValue([]byte(unquote(data))); err != nil {
			return err.in(f.name)
		}
	}
	d := decoder{passUnknown: passUnknown}
	if err := d.message(data, f.message, m.Mutable(f.desc).Message()); err != nil {
		return err.in(f.name)
	}
	return nil
}

// readEnvelope returns the members of an object that has at least type and data.
func readEnvelope(raw []byte, passUnknown bool) (map[string]jsontext.Value, *Error) {
	value, err := readValue(raw)
	if err != nil {
		return nil, err
	}
	if value.Kind() != '{' {
		return nil, invalid("an envelope is a JSON object with type and data")
	}
	members, _ := readObject(value)
	for _, key := range []string{"type", "data"} {
		if members[key] == nil {
			return nil, invalid("an envelope needs the key " + key).in(key)
		}
	}
	if len(members) > 2 && !passUnknown {
		for key := range members {
			if key != "type" && key != "data" {
				return nil, unknown("an envelope has only type and data").in(key)
			}
		}
	}
	return members, nil
}

// readValue checks that raw is one JSON value (RFC 8259; UTF-8, no duplicate keys, no lone surrogates).
func readValue(raw []byte) (jsontext.Value, *Error) {
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	value, err := dec.ReadValue()
	if err == nil {
		value = value.Clone()
		if _, err = dec.ReadToken(); errors.Is(err, io.EOF) {
			return value, nil
		}
		if err == nil {
			return nil, invalid("there is more after the JSON value")
		}
	}
	if syntactic := (*jsontext.SyntacticError)(nil); errors.As(err, &syntactic) {
		return nil, invalid(fmt.Sprintf("not valid JSON at byte %d: %v", syntactic.ByteOffset, syntactic.Err))
	}
	return nil, invalid("not valid JSON: " + err.Error())
}

// readObject splits an object that readValue has checked into its members, in order.
func readObject(value jsontext.Value) (map[string]jsontext.Value, []string) {
	dec := jsontext.NewDecoder(bytes.NewReader(value))
	_, _ = dec.ReadToken()
	members := make(map[string]jsontext.Value)
	var order []string
	for dec.PeekKind() == '"' {
		key, _ := dec.ReadToken()
		name := key.String()
		member, _ := dec.ReadValue()
		members[name] = member.Clone()
		order = append(order, name)
	}
	return members, order
}

// readArray splits an array that readValue has checked into its elements.
func readArray(value jsontext.Value) []jsontext.Value {
	dec := jsontext.NewDecoder(bytes.NewReader(value))
	_, _ = dec.ReadToken()
	elements := []jsontext.Value{}
	for dec.PeekKind() != ']' {
		element, _ := dec.ReadValue()
		elements = append(elements, element.Clone())
	}
	return elements
}

// unquote returns the text of a JSON string that readValue has checked.
func unquote(value jsontext.Value) string {
	text, _ := jsontext.AppendUnquote(nil, value)
	return string(text)
}

// decoder runs plans backwards over JSON that readValue has checked.
type decoder struct {
	passUnknown bool
}

func (d decoder) message(value jsontext.Value, p *message, m protoreflect.Message) *Error {
	switch p.shape {
	case notificationsv1.Shape_SHAPE_BARE:
		return d.field(value, p.fields[0], m)
	case notificationsv1.Shape_SHAPE_TUPLE:
		return d.tuple(value, p, m)
	default:
		return d.object(value, p, m)
	}
}

func (d decoder) tuple(value jsontext.Value, p *message, m protoreflect.Message) *Error {
	if value.Kind() != '[' {
		return wrongKind(value, "an array")
	}
	elements := readArray(value)
	if len(elements) != len(p.fields) {
		return invalid(fmt.Sprintf("must have %d elements, has %d", len(p.fields), len(elements)))
	}
	for i, f := range p.fields {
		if err := d.field(elements[i], f, m); err != nil {
			return err.at(i)
		}
	}
	return nil
}

func (d decoder) object(value jsontext.Value, p *message, m protoreflect.Message) *Error {
	if value.Kind() != '{' {
		return wrongKind(value, "an object")
	}
	members, order := readObject(value)
	known := make(map[string]bool, len(order))
	if err := d.members(members, known, p, m); err != nil {
		return err
	}
	for _, ch := range p.choices {
		known[ch.name] = true
		discriminator, ok := members[ch.name]
		if !ok {
			return invalid("is required").in(ch.name)
		}
		if discriminator.Kind() != '"' {
			return wrongKind(discriminator, "a string").in(ch.name)
		}
		variant := ch.byName[unquote(discriminator)]
		if variant == nil {
			return unknown(fmt.Sprintf("%q is not one of the kinds that the contract has", unquote(discriminator))).in(ch.name)
		}
		if err := d.members(members, known, variant.message, m.Mutable(variant.desc).Message()); err != nil {
			return err
		}
	}
	if d.passUnknown {
		return nil
	}
	for _, key := range order {
		if !known[key] {
			return unknown("is no key of this contract").in(key)
		}
	}
	return nil
}

// members decodes those members that are fields of p, and notes them as known.
func (d decoder) members(members map[string]jsontext.Value, known map[string]bool, p *message, m protoreflect.Message) *Error {
	for _, f := range p.fields {
		known[f.name] = true
		value, ok := members[f.name]
		if !ok {
			if f.presence == omitted {
				continue
			}
			return invalid("is required").in(f.name)
		}
		if err := d.field(value, f, m); err != nil {
			return err.in(f.name)
		}
	}
	return nil
}

func (d decoder) field(value jsontext.Value, f *field, m protoreflect.Message) *Error {
	switch {
	case value.Kind() == 'n' && f.presence == null:
		return nil
	case f.list:
		if value.Kind() != '[' {
			return wrongKind(value, "an array")
		}
		return d.list(value, f, m)
	case f.message != nil:
		return d.message(value, f.message, m.Mutable(f.desc).Message())
	}
	v, err := f.decodeScalar(value)
	if err != nil {
		return err
	}
	m.Set(f.desc, v)
	return nil
}

func (d decoder) list(value jsontext.Value, f *field, m protoreflect.Message) *Error {
	list := m.Mutable(f.desc).List()
	for i, element := range readArray(value) {
		if f.message != nil {
			if err := d.message(element, f.message, list.AppendMutable().Message()); err != nil {
				return err.at(i)
			}
			continue
		}
		v, err := f.decodeScalar(element)
		if err != nil {
			return err.at(i)
		}
		list.Append(v)
	}
	return nil
}

func (f *field) decodeScalar(value jsontext.Value) (protoreflect.Value, *Error) {
	none := protoreflect.Value{}
	switch f.desc.Kind() {
	case protoreflect.StringKind:
		if value.Kind() != '"' {
			return none, wrongKind(value, "a string")
		}
		return protoreflect.ValueOfString(unquote(value)), nil
	case protoreflect.EnumKind:
		if value.Kind() != '"' {
			return none, wrongKind(value, "a string")
		}
		number, ok := f.enum.numbers[unquote(value)]
		if !ok {
			return none, unknown(fmt.Sprintf("%q is not one of: %s", unquote(value), f.enum.list()))
		}
		return protoreflect.ValueOfEnum(number), nil
	case protoreflect.BoolKind:
		if value.Kind() != 't' && value.Kind() != 'f' {
			return none, wrongKind(value, "true or false")
		}
		return protoreflect.ValueOfBool(value.Kind() == 't'), nil
	}
	if value.Kind() != '0' {
		return none, wrongKind(value, "a number")
	}
	return f.decodeNumber(string(value))
}

func (f *field) decodeNumber(literal string) (protoreflect.Value, *Error) {
	none := protoreflect.Value{}
	switch f.desc.Kind() {
	case protoreflect.FloatKind:
		v, err := strconv.ParseFloat(literal, 32)
		if err != nil {
			return none, invalid("is too large a number")
		}
		return protoreflect.ValueOfFloat32(float32(v)), nil
	case protoreflect.DoubleKind:
		v, err := strconv.ParseFloat(literal, 64)
		if err != nil {
			return none, invalid("is too large a number")
		}
		return protoreflect.ValueOfFloat64(v), nil
	}
	v, err := parseInteger(literal)
	if err != nil {
		return none, err
	}
	switch f.desc.Kind() {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(v)), inRange(v, math.MinInt32, math.MaxInt32)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(v)), inRange(v, 0, math.MaxUint32)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(v)), inRange(v, 0, maxSafeInteger)
	default:
		return protoreflect.ValueOfInt64(v), nil
	}
}

// parseInteger reads an integer within ±(2^53-1). A fraction of zeros is let pass: to JSON 5.0 is 5.
func parseInteger(literal string) (int64, *Error) {
	if whole, fraction, ok := strings.Cut(literal, "."); ok && strings.Trim(fraction, "0") == "" {
		literal = whole
	}
	v, err := strconv.ParseInt(literal, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange), v > maxSafeInteger, v < -maxSafeInteger:
		return 0, invalid(unsafeInteger)
	case err != nil:
		return 0, invalid("must be an integer")
	}
	return v, nil
}

func inRange(v, low, high int64) *Error {
	if v < low || v > high {
		return invalid(fmt.Sprintf("must be from %d to %d", low, high))
	}
	return nil
}

func wrongKind(value jsontext.Value, want string) *Error {
	kinds := map[jsontext.Kind]string{
		'n': "null", 't': "a boolean", 'f': "a boolean", '"': "a string", '0': "a number", '{': "an object", '[': "an array",
	}
	return invalid("must be " + want + ", is " + kinds[value.Kind()])
}
