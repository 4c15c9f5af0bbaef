package envelope

import (
	"cmp"
	"math"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// Kind is a kind of JSON value.
type Kind int

// The kinds of JSON value that the wire rules know.
const (
	KindString Kind = iota
	KindBoolean
	KindInteger
	KindNumber // with a fraction
	KindEnum   // a string out of a closed set
	KindObject
	KindList
	KindTuple
)

// Shape says which JSON a notification, or a part of one, becomes: what schemas and declarations are made from. Shapes
// of messages are shared and, where a message contains itself, circular. They must not be changed.
type Shape struct {
	Kind Kind
	// Message is what an object or a tuple is made from; nil for other kinds.
	Message protoreflect.MessageDescriptor
	// Enum is what an enum's values are taken from; nil for other kinds.
	Enum protoreflect.EnumDescriptor
	// Values are an enum's, in the order of their numbers.
	Values []EnumValue
	// Min and Max bound an integer.
	Min, Max int64
	// Element is what a list consists of.
	Element *Member
	// Members are an object's or a tuple's, in their order on the wire.
	Members []*Member
	// Choices are the oneofs of an object.
	Choices []*Choice
}

// EnumValue is one value of an enum.
type EnumValue struct {
	// JSON is the string on the wire.
	JSON string
	Desc protoreflect.EnumValueDescriptor
}

// Member is a place for a value: of an object, a tuple or a list.
type Member struct {
	// Key is the JSON key in an object.
	Key  string
	Desc protoreflect.FieldDescriptor
	// Optional says that the key may be missing.
	Optional bool
	// Nullable says that the value may be null.
	Nullable bool
	Shape    *Shape
}

// Choice is a oneof with a discriminator: Key holds the name of the variant whose members are in the object too.
type Choice struct {
	Key      string
	Desc     protoreflect.OneofDescriptor
	Variants []Variant
}

// Variant is one possibility of a choice.
type Variant struct {
	// Name is the discriminator's value.
	Name  string
	Desc  protoreflect.FieldDescriptor
	Shape *Shape // an object without choices
}

// Type returns the field of the notification's oneof and the shape of data for a notification type; ok is false when
// the contract has no such type.
func (c *Contract) Type(name string) (member *Member, ok bool) {
	f := c.byName[name]
	if f == nil {
		return nil, false
	}
	return shapes{}.member(f), true
}

// shapes holds those of the messages that were met, so that a message that contains itself comes to an end.
type shapes map[*message]*Shape

// member describes a field. What a bare message adds to its place, that it may be null, is the member's.
func (s shapes) member(f *field) *Member {
	m := &Member{Key: f.name, Desc: f.desc, Optional: f.presence == omitted, Nullable: f.presence == null}
	element, nullable := s.value(f)
	if !f.list {
		m.Shape, m.Nullable = element, m.Nullable || nullable
		return m
	}
	m.Shape = &Shape{Kind: KindList, Element: &Member{Desc: f.desc, Nullable: nullable, Shape: element}}
	return m
}

// value describes one value of a field, and whether it may be null of itself.
func (s shapes) value(f *field) (shape *Shape, nullable bool) {
	switch {
	case f.message != nil && f.message.shape == notificationsv1.Shape_SHAPE_BARE:
		inner := s.member(f.message.fields[0])
		return inner.Shape, inner.Nullable
	case f.message != nil:
		return s.message(f.message), false
	case f.enum != nil:
		return f.enum.shape(f.desc.Enum()), false
	}
	switch f.desc.Kind() {
	case protoreflect.StringKind:
		return &Shape{Kind: KindString}, false
	case protoreflect.BoolKind:
		return &Shape{Kind: KindBoolean}, false
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return &Shape{Kind: KindNumber}, false
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return &Shape{Kind: KindInteger, Min: math.MinInt32, Max: math.MaxInt32}, false
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return &Shape{Kind: KindInteger, Max: math.MaxUint32}, false
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return &Shape{Kind: KindInteger, Max: maxSafeInteger}, false
	default:
		return &Shape{Kind: KindInteger, Min: -maxSafeInteger, Max: maxSafeInteger}, false
	}
}

func (s shapes) message(m *message) *Shape {
	if known := s[m]; known != nil {
		return known
	}
	shape := &Shape{Kind: KindObject, Message: m.desc}
	s[m] = shape
	if m.shape == notificationsv1.Shape_SHAPE_TUPLE {
		shape.Kind = KindTuple
	}
	for _, f := range m.fields {
		shape.Members = append(shape.Members, s.member(f))
	}
	for _, ch := range m.choices {
		choice := &Choice{Key: ch.name, Desc: ch.desc}
		for i := range ch.desc.Fields().Len() {
			f := ch.byNum[ch.desc.Fields().Get(i).Number()]
			choice.Variants = append(choice.Variants, Variant{Name: f.name, Desc: f.desc, Shape: s.message(f.message)})
		}
		shape.Choices = append(shape.Choices, choice)
	}
	return shape
}

func (e *enum) shape(desc protoreflect.EnumDescriptor) *Shape {
	shape := &Shape{Kind: KindEnum, Enum: desc}
	for i := range desc.Values().Len() {
		if name, ok := e.names[desc.Values().Get(i).Number()]; ok {
			shape.Values = append(shape.Values, EnumValue{JSON: name, Desc: desc.Values().Get(i)})
		}
	}
	slices.SortFunc(shape.Values, func(a, b EnumValue) int { return cmp.Compare(a.Desc.Number(), b.Desc.Number()) })
	return shape
}
