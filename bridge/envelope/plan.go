package envelope

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// presence is what an unset field becomes.
type presence int

const (
	always   presence = iota // its zero value
	omitted                  // no key
	null                     // the key with null
	required                 // nothing: the notification is refused
)

// message is the plan of one message: which JSON value it becomes.
type message struct {
	desc  protoreflect.MessageDescriptor
	shape notificationsv1.Shape
	// fields in the order of the proto, for a tuple in the order of their numbers; without those of choices.
	fields  []*field
	choices []*choice
	// byKey finds a field by its JSON key. An object has none for the fields that a choice flattens into it.
	byKey map[string]*field
	key   conflation // nil when the message is not conflated
}

// field is the plan of one field.
type field struct {
	desc     protoreflect.FieldDescriptor
	name     string // also the JSON key
	key      string // the key as JSON, with the colon
	presence presence
	list     bool
	message  *message // of a message field, else nil
	enum     *enum    // of an enum field, else nil

	neverConflate bool // of a variant of a choice
}

// choice is the plan of a oneof with a discriminator.
type choice struct {
	desc   protoreflect.OneofDescriptor
	name   string // the discriminator's JSON key
	key    string // the key as JSON, with the colon
	byName map[string]*field
	byNum  map[protoreflect.FieldNumber]*field
}

// enum is the plan of an enum: its values by their JSON names and the reverse, without the unspecified one.
type enum struct {
	names   map[protoreflect.EnumNumber]string
	numbers map[string]protoreflect.EnumNumber
}

// compiler builds plans. It remembers messages by name, so that a recursive message refers to its own plan.
type compiler struct {
	messages map[protoreflect.FullName]*message
}

func (c *compiler) message(md protoreflect.MessageDescriptor) (*message, error) {
	if m := c.messages[md.FullName()]; m != nil {
		return m, nil
	}
	m := &message{desc: md, byKey: make(map[string]*field)}
	c.messages[md.FullName()] = m
	options, err := resolve(md.Options(), new(descriptorpb.MessageOptions))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", md.FullName(), err)
	}
	m.shape = proto.GetExtension(options, notificationsv1.E_Shape).(notificationsv1.Shape)

	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if oneof := fd.ContainingOneof(); oneof != nil && !oneof.IsSynthetic() {
			continue
		}
		f, err := c.field(fd)
		if err != nil {
			return nil, err
		}
		m.fields = append(m.fields, f)
		m.byKey[f.name] = f
	}
	for i := range md.Oneofs().Len() {
		if od := md.Oneofs().Get(i); !od.IsSynthetic() {
			ch, err := c.choice(od)
			if err != nil {
				return nil, err
			}
			m.choices = append(m.choices, ch)
		}
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	m.key, err = m.conflation(options)
	return m, err
}

// check refuses what the shape does not allow.
func (m *message) check() error {
	switch m.shape {
	case notificationsv1.Shape_SHAPE_UNSPECIFIED:
		return m.checkKeys()
	case notificationsv1.Shape_SHAPE_BARE:
		if len(m.fields) != 1 || len(m.choices) != 0 {
			return fmt.Errorf("%s: a bare message must have exactly one field", m.desc.FullName())
		}
		if m.fields[0].presence == omitted {
			return fmt.Errorf("%s: a bare message cannot leave its field out; make it plain or nullable", m.fields[0].desc.FullName())
		}
		for inner := m.fields[0].message; inner != nil && inner.shape == m.shape && len(inner.fields) == 1; inner = inner.fields[0].message {
			if inner == m {
				return fmt.Errorf("%s: a bare message cannot consist of itself", m.desc.FullName())
			}
		}
	case notificationsv1.Shape_SHAPE_TUPLE:
		if len(m.choices) != 0 {
			return fmt.Errorf("%s: a tuple cannot hold a oneof", m.desc.FullName())
		}
		for _, f := range m.fields {
			if f.presence == omitted {
				return fmt.Errorf("%s: a tuple cannot leave a field out; make it plain or nullable", f.desc.FullName())
			}
		}
		// Numbers, unlike the order in the file, are guarded by the breaking-change check.
		slices.SortFunc(m.fields, func(a, b *field) int { return cmp.Compare(a.desc.Number(), b.desc.Number()) })
	default:
		return fmt.Errorf("%s: unknown shape %d", m.desc.FullName(), m.shape)
	}
	return nil
}

// checkKeys refuses an object in which two values would share a key.
func (m *message) checkKeys() error {
	clash := func(key string) error {
		return fmt.Errorf("%s: more than one value would have the key %q", m.desc.FullName(), key)
	}
	taken := make(map[string]bool)
	for _, f := range m.fields {
		taken[f.name] = true
	}
	for _, ch := range m.choices {
		if taken[ch.name] {
			return clash(ch.name)
		}
		taken[ch.name] = true
		flattened := make(map[string]bool)
		for _, variant := range ch.byName {
			for _, f := range variant.message.fields {
				if taken[f.name] {
					return clash(f.name)
				}
				flattened[f.name] = true // the variants may share keys among themselves: only one is there
			}
		}
		for key := range flattened {
			taken[key] = true
		}
	}
	return nil
}

func (c *compiler) field(fd protoreflect.FieldDescriptor) (*field, error) {
	options, err := resolve(fd.Options(), new(descriptorpb.FieldOptions))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fd.FullName(), err)
	}
	nullable := proto.GetExtension(options, notificationsv1.E_Nullable).(bool)
	f := &field{desc: fd, name: string(fd.Name()), key: `"` + string(fd.Name()) + `":`, list: fd.IsList()}
	switch {
	case fd.HasOptionalKeyword() && nullable:
		f.presence = null
	case nullable:
		return nil, fmt.Errorf("%s: only an optional field can be nullable", fd.FullName())
	case fd.HasOptionalKeyword():
		f.presence = omitted
	case fd.Message() != nil && !fd.IsList():
		f.presence = required
	}
	if proto.GetExtension(options, notificationsv1.E_NeverConflate).(bool) {
		return nil, misplacedNeverConflate(fd)
	}
	switch fd.Kind() {
	case protoreflect.BytesKind, protoreflect.GroupKind:
		return nil, fmt.Errorf("%s: the wire rules have no JSON for a field of type %s", fd.FullName(), fd.Kind())
	case protoreflect.EnumKind:
		f.enum, err = compileEnum(fd.Enum())
	case protoreflect.MessageKind:
		if fd.IsMap() {
			return nil, fmt.Errorf("%s: the wire rules have no JSON for a map", fd.FullName())
		}
		f.message, err = c.message(fd.Message())
	}
	return f, err
}

func (c *compiler) choice(od protoreflect.OneofDescriptor) (*choice, error) {
	options, err := resolve(od.Options(), new(descriptorpb.OneofOptions))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", od.FullName(), err)
	}
	name := proto.GetExtension(options, notificationsv1.E_Discriminator).(string)
	if name == "" {
		return nil, fmt.Errorf("%s: a oneof needs the discriminator option", od.FullName())
	}
	ch := &choice{
		desc:   od,
		name:   name,
		key:    string(appendString(nil, name)) + ":",
		byName: make(map[string]*field),
		byNum:  make(map[protoreflect.FieldNumber]*field),
	}
	for i := range od.Fields().Len() {
		fd := od.Fields().Get(i)
		if fd.Message() == nil {
			return nil, fmt.Errorf("%s: a oneof with a discriminator chooses between messages", fd.FullName())
		}
		m, err := c.message(fd.Message())
		if err != nil {
			return nil, err
		}
		if m.shape != notificationsv1.Shape_SHAPE_UNSPECIFIED || hasChoice(m.desc) {
			return nil, fmt.Errorf("%s: only an object without a oneof of its own can be flattened", fd.FullName())
		}
		options, err := resolve(fd.Options(), new(descriptorpb.FieldOptions))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", fd.FullName(), err)
		}
		f := &field{desc: fd, name: string(fd.Name()), message: m}
		f.neverConflate = proto.GetExtension(options, notificationsv1.E_NeverConflate).(bool)
		ch.byName[f.name] = f
		ch.byNum[fd.Number()] = f
	}
	return ch, nil
}

// hasChoice asks the descriptor, since the plan of a message that refers to itself may be unfinished.
func hasChoice(md protoreflect.MessageDescriptor) bool {
	for i := range md.Oneofs().Len() {
		if !md.Oneofs().Get(i).IsSynthetic() {
			return true
		}
	}
	return false
}

// compileEnum derives the JSON names. The prefix is taken from the zero value, which buf's STANDARD lint rules
// have end in _UNSPECIFIED.
func compileEnum(ed protoreflect.EnumDescriptor) (*enum, error) {
	zero := ed.Values().ByNumber(0)
	if zero == nil || !strings.HasSuffix(string(zero.Name()), "_UNSPECIFIED") {
		return nil, fmt.Errorf("%s: an enum's zero value must be named …_UNSPECIFIED", ed.FullName())
	}
	prefix := strings.TrimSuffix(string(zero.Name()), "UNSPECIFIED")
	e := &enum{
		names:   make(map[protoreflect.EnumNumber]string),
		numbers: make(map[string]protoreflect.EnumNumber),
	}
	for i := range ed.Values().Len() {
		v := ed.Values().Get(i)
		if v.Number() == 0 {
			continue
		}
		rest, ok := strings.CutPrefix(string(v.Name()), prefix)
		if !ok || rest == "" {
			return nil, fmt.Errorf("%s: an enum value's name must begin with %s", v.FullName(), prefix)
		}
		options, err := resolve(v.Options(), new(descriptorpb.EnumValueOptions))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v.FullName(), err)
		}
		name := cmp.Or(proto.GetExtension(options, notificationsv1.E_JsonValue).(string), strings.ToLower(rest))
		if _, taken := e.numbers[name]; taken {
			return nil, fmt.Errorf("%s: two values would be %q in JSON", ed.FullName(), name)
		}
		if _, alias := e.names[v.Number()]; alias {
			return nil, fmt.Errorf("%s: an alias would give one value two names in JSON", v.FullName())
		}
		e.names[v.Number()] = name
		e.numbers[name] = v.Number()
	}
	return e, nil
}

// resolve returns options with the wire options readable, wherever the descriptor came from: one that was loaded
// or compiled at run time holds them as unknown fields or as dynamic extensions.
func resolve[T proto.Message](options protoreflect.ProtoMessage, into T) (T, error) {
	raw, err := proto.Marshal(options)
	if err != nil {
		return into, fmt.Errorf("read options: %w", err)
	}
	if err := proto.Unmarshal(raw, into); err != nil {
		return into, fmt.Errorf("read options: %w", err)
	}
	return into, nil
}
