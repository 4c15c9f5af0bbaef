package contract

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// Extends returns nil if publishers and subscribers of the older contract notice nothing of the newer one: every type,
// field and enum value of the older is there unchanged, and nothing was added that an older publisher's notification
// would lack. The error names the first element that is in the way, as it is called in the .proto files. What is conflated,
// and by which keys, may differ: it changes no notification.
func Extends(newer, older *Contract) error {
	c := comparison{met: make(map[protoreflect.FullName]bool)}
	return c.message(newer.notification, older.notification)
}

// comparison walks two contracts side by side.
type comparison struct {
	met map[protoreflect.FullName]bool // messages and enums that were compared, or are being compared
}

func (c comparison) message(newer, older protoreflect.MessageDescriptor) error {
	if c.met[older.FullName()] {
		return nil
	}
	c.met[older.FullName()] = true
	if was, is := shape(older), shape(newer); was != is {
		return fmt.Errorf("%s: its shape was %s, and is %s", short(older), was, is)
	}
	for i := range older.Fields().Len() {
		was := older.Fields().Get(i)
		is := newer.Fields().ByNumber(was.Number())
		if is == nil {
			return gone(newer, was)
		}
		if err := c.field(is, was); err != nil {
			return err
		}
	}
	for i := range older.Oneofs().Len() {
		was := older.Oneofs().Get(i)
		if was.IsSynthetic() {
			continue
		}
		if was, is := discriminator(was), discriminator(newer.Oneofs().ByName(was.Name())); was != is {
			return fmt.Errorf("%s: its discriminator was %q, and is %q", short(older.Oneofs().Get(i)), was, is)
		}
	}
	return added(newer, older)
}

func gone(newer protoreflect.MessageDescriptor, was protoreflect.FieldDescriptor) error {
	if is := newer.Fields().ByName(was.Name()); is != nil {
		return fmt.Errorf("%s: its number was %d, and is %d", short(was), was.Number(), is.Number())
	}
	return fmt.Errorf("%s: field number %d is gone", short(was), was.Number())
}

func (c comparison) field(is, was protoreflect.FieldDescriptor) error {
	for _, property := range []struct {
		name string
		of   func(protoreflect.FieldDescriptor) any
	}{
		{"name", func(f protoreflect.FieldDescriptor) any { return f.Name() }},
		{"type", func(f protoreflect.FieldDescriptor) any { return f.Kind() }},
		{"type", typeName},
		{"cardinality", func(f protoreflect.FieldDescriptor) any { return f.Cardinality() }},
		{"being optional", func(f protoreflect.FieldDescriptor) any { return f.HasOptionalKeyword() }},
		{"presence", func(f protoreflect.FieldDescriptor) any { return f.HasPresence() }},
		{"being nullable", func(f protoreflect.FieldDescriptor) any {
			return proto.GetExtension(f.Options(), notificationsv1.E_Nullable)
		}},
		{"oneof", choiceName},
	} {
		if was, is, element := property.of(was), property.of(is), short(was); was != is {
			return fmt.Errorf("%s: its %s was %v, and is %v", element, property.name, was, is)
		}
	}
	switch {
	case was.Message() != nil:
		return c.message(is.Message(), was.Message())
	case was.Enum() != nil:
		return c.enum(is.Enum(), was.Enum())
	}
	return nil
}

func (c comparison) enum(newer, older protoreflect.EnumDescriptor) error {
	if c.met[older.FullName()] {
		return nil
	}
	c.met[older.FullName()] = true
	for i := range older.Values().Len() {
		was := older.Values().Get(i)
		is := newer.Values().ByNumber(was.Number())
		// An enum value's full name lacks the enum's.
		element := short(older) + "." + string(was.Name())
		switch {
		case is == nil:
			return fmt.Errorf("%s: enum value %d is gone", element, was.Number())
		case is.Name() != was.Name():
			return fmt.Errorf("%s: enum value %d is called %s", element, was.Number(), is.Name())
		case jsonValue(is) != jsonValue(was):
			return fmt.Errorf("%s: its json_value was %q, and is %q", element, jsonValue(was), jsonValue(is))
		}
	}
	return nil
}

// added refuses what older publishers cannot know that they must set, and what changes an array's length.
func added(newer, older protoreflect.MessageDescriptor) error {
	for i := range newer.Fields().Len() {
		f := newer.Fields().Get(i)
		if older.Fields().ByNumber(f.Number()) != nil {
			continue
		}
		switch choice := choiceOf(f); {
		case shape(older) == notificationsv1.Shape_SHAPE_TUPLE:
			return fmt.Errorf("%s: it is new, and would lengthen the array that %s is", short(f), short(older))
		case choice != nil && older.Oneofs().ByName(choice.Name()) == nil:
			return fmt.Errorf("%s: it is new and must be set, which older publishers do not do", short(choice))
		case choice == nil && !f.IsList() && !f.HasOptionalKeyword() && (f.Message() != nil || f.Enum() != nil):
			return fmt.Errorf("%s: it is new and must be set, which older publishers do not do; make it optional", short(f))
		}
	}
	return nil
}

func typeName(f protoreflect.FieldDescriptor) any {
	switch {
	case f.Message() != nil:
		return f.Message().FullName()
	case f.Enum() != nil:
		return f.Enum().FullName()
	}
	return f.Kind()
}

// choiceOf returns the oneof that a field is written in, nil for none.
func choiceOf(f protoreflect.FieldDescriptor) protoreflect.OneofDescriptor {
	if choice := f.ContainingOneof(); choice != nil && !choice.IsSynthetic() {
		return choice
	}
	return nil
}

func choiceName(f protoreflect.FieldDescriptor) any {
	if choice := choiceOf(f); choice != nil {
		return string(choice.Name())
	}
	return "none"
}

func shape(m protoreflect.MessageDescriptor) notificationsv1.Shape {
	return proto.GetExtension(m.Options(), notificationsv1.E_Shape).(notificationsv1.Shape)
}

func discriminator(o protoreflect.OneofDescriptor) string {
	return proto.GetExtension(o.Options(), notificationsv1.E_Discriminator).(string)
}

func jsonValue(v protoreflect.EnumValueDescriptor) string {
	return proto.GetExtension(v.Options(), notificationsv1.E_JsonValue).(string)
}
