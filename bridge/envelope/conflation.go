package envelope

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// conflation is the plan of a conflation key: the values of which it consists, in the order of the options.
type conflation []keyPart

// keyPart finds one value of a conflation key: a field of the message itself, or what a choice makes of it.
type keyPart struct {
	field    *field                              // nil for what a choice decides
	choice   *choice                             // its discriminator, or else
	variants map[protoreflect.FieldNumber]*field // the field of each variant that has it
}

// conflation compiles the option conflate_by, once the message's fields and choices are. It is nil without the option.
func (m *message) conflation(options *descriptorpb.MessageOptions) (conflation, error) {
	keys := proto.GetExtension(options, notificationsv1.E_ConflateBy).([]string)
	if len(keys) == 0 {
		return nil, m.checkNeverConflate()
	}
	if m.shape != notificationsv1.Shape_SHAPE_UNSPECIFIED {
		return nil, fmt.Errorf("%s: conflate_by names keys, and only an object has keys", m.desc.FullName())
	}
	var parts conflation
	for i, key := range keys {
		if slices.Contains(keys[:i], key) {
			return nil, fmt.Errorf("%s: conflate_by names the key %q twice", m.desc.FullName(), key)
		}
		part, err := m.keyPart(key)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return parts, nil
}

func (m *message) keyPart(key string) (keyPart, error) {
	if f := m.byKey[key]; f != nil {
		return keyPart{field: f}, f.checkKeyPart()
	}
	for _, ch := range m.choices {
		if ch.name == key {
			return keyPart{choice: ch}, nil
		}
		part := keyPart{choice: ch, variants: make(map[protoreflect.FieldNumber]*field)}
		for i := range ch.desc.Fields().Len() {
			number := ch.desc.Fields().Get(i).Number()
			if f := ch.byNum[number].message.byKey[key]; f != nil {
				if err := f.checkKeyPart(); err != nil {
					return part, err
				}
				part.variants[number] = f
			}
		}
		if len(part.variants) > 0 {
			return part, nil
		}
	}
	return keyPart{}, fmt.Errorf("%s: conflate_by names the key %q, which it does not have", m.desc.FullName(), key)
}

// checkKeyPart refuses values that are more than one.
func (f *field) checkKeyPart() error {
	if f.list || f.message != nil {
		return fmt.Errorf("%s: conflate_by can name scalars and enums only", f.desc.FullName())
	}
	return nil
}

func misplacedNeverConflate(fd protoreflect.FieldDescriptor) error {
	return fmt.Errorf("%s: never_conflate is for the variants of a message with conflate_by", fd.FullName())
}

// checkNeverConflate refuses an exception to what is not the rule.
func (m *message) checkNeverConflate() error {
	for _, ch := range m.choices {
		for i := range ch.desc.Fields().Len() {
			if f := ch.byNum[ch.desc.Fields().Get(i).Number()]; f.neverConflate {
				return misplacedNeverConflate(f.desc)
			}
		}
	}
	return nil
}

// checkConflated refuses the option on messages that are a part of notifications, where it would do nothing.
func (c *compiler) checkConflated(types map[string]*field) error {
	conflated := make(map[protoreflect.FullName]bool)
	for name, m := range c.messages {
		if m.key != nil {
			conflated[name] = true
		}
	}
	for _, f := range types {
		delete(conflated, f.message.desc.FullName())
	}
	if names := slices.Sorted(maps.Keys(conflated)); len(names) > 0 {
		return fmt.Errorf("%s: conflate_by is for notification types, and it is none", names[0])
	}
	return nil
}

// conflationKey returns the conflation key of a message that was encoded: the type, and behind a comma each the values
// as JSON, nothing for one that is absent. No two lists of values share a key, since a JSON scalar has a comma only in
// quotes. It is empty for a message that is not conflated.
func (p *message) conflationKey(typ string, m protoreflect.Message) string {
	for _, ch := range p.choices {
		if ch.byNum[m.WhichOneof(ch.desc).Number()].neverConflate {
			return ""
		}
	}
	key := append(make([]byte, 0, usualBytes), typ...)
	for _, part := range p.key {
		key = part.append(append(key, ','), m)
	}
	return string(key)
}

func (part keyPart) append(dst []byte, m protoreflect.Message) []byte {
	f := part.field
	if f == nil {
		chosen := m.WhichOneof(part.choice.desc)
		if part.variants == nil {
			return appendString(dst, part.choice.byNum[chosen.Number()].name)
		}
		if f = part.variants[chosen.Number()]; f == nil {
			return dst
		}
		m = m.Get(chosen).Message()
	}
	if f.presence == omitted && !m.Has(f.desc) {
		return dst
	}
	dst, _ = f.encode(dst, m) // it was encoded before
	return dst
}
