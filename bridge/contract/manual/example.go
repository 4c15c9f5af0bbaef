package manual

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// example returns a notification of a type, with the values that the comments give as examples.
func example(notification protoreflect.MessageDescriptor, name string) *dynamicpb.Message {
	n := dynamicpb.NewMessage(notification)
	f := notification.Fields().ByName(protoreflect.Name(name))
	n.Set(f, protoreflect.ValueOfMessage(exampleMessage(f.Message(), nil)))
	return n
}

// exampleMessage sets what must be set, what is always on the wire, and each optional field for which there is an
// example. Of a oneof it sets the first field. around are the messages that this one is in: one that contains itself
// ends there.
func exampleMessage(md protoreflect.MessageDescriptor, around []protoreflect.FullName) protoreflect.Message {
	m := dynamicpb.NewMessage(md)
	around = append(around[:len(around):len(around)], md.FullName())
	for i := range md.Fields().Len() {
		f := md.Fields().Get(i)
		choice := f.ContainingOneof()
		switch {
		case choice != nil && !choice.IsSynthetic() && choice.Fields().Get(0) != f:
			continue
		case f.HasOptionalKeyword() && !exampleMark.MatchString(comment(f)):
			continue
		case f.Message() != nil && slices.Contains(around, f.Message().FullName()):
			continue
		}
		if !f.IsList() {
			m.Set(f, exampleValue(f, around))
			continue
		}
		list := m.Mutable(f).List()
		for _, v := range exampleList(f, around) {
			list.Append(v)
		}
	}
	return m
}

// exampleList returns the elements of a list: those of the array in the comment, else one.
func exampleList(f protoreflect.FieldDescriptor, around []protoreflect.FullName) []protoreflect.Value {
	var elements []json.RawMessage
	if json.NewDecoder(strings.NewReader(exampleText(f))).Decode(&elements) == nil {
		var values []protoreflect.Value
		for _, element := range elements {
			if v, ok := parseValue(f, string(element)); ok {
				values = append(values, v)
			}
		}
		if len(values) == len(elements) {
			return values
		}
	}
	return []protoreflect.Value{exampleValue(f, around)}
}

// exampleValue returns the value in the comment of a field, or one that says no more than what kind it is of.
func exampleValue(f protoreflect.FieldDescriptor, around []protoreflect.FullName) protoreflect.Value {
	if f.Message() != nil {
		return protoreflect.ValueOfMessage(exampleMessage(f.Message(), around))
	}
	if v, ok := parseValue(f, exampleText(f)); ok {
		return v
	}
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(string(f.Name()))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(false)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(f.Enum().Values().Get(min(1, f.Enum().Values().Len()-1)).Number())
	default:
		v, _ := parseValue(f, "1")
		return v
	}
}

var (
	exampleMark   = regexp.MustCompile(`\bExamples?: `)
	exampleNumber = regexp.MustCompile(`^-?\d+(\.\d+)?([eE][+-]?\d+)?`)
	exampleWord   = regexp.MustCompile(`^\w+`)
)

// exampleText returns what follows the last "Example:" in a field's comment.
func exampleText(f protoreflect.FieldDescriptor) string {
	text := comment(f)
	marks := exampleMark.FindAllStringIndex(text, -1)
	if len(marks) == 0 {
		return ""
	}
	return text[marks[len(marks)-1][1]:]
}

// parseValue reads a value of a field, or of one of its elements, at the start of a text.
func parseValue(f protoreflect.FieldDescriptor, text string) (v protoreflect.Value, ok bool) {
	number := exampleNumber.FindString(text)
	switch f.Kind() {
	case protoreflect.StringKind:
		var s string
		err := json.NewDecoder(strings.NewReader(text)).Decode(&s)
		return protoreflect.ValueOfString(s), err == nil && utf8.ValidString(s)
	case protoreflect.EnumKind:
		value := f.Enum().Values().ByName(protoreflect.Name(exampleWord.FindString(text)))
		if value == nil || value.Number() == 0 {
			return v, false
		}
		return protoreflect.ValueOfEnum(value.Number()), true
	case protoreflect.BoolKind:
		word := exampleWord.FindString(text)
		return protoreflect.ValueOfBool(word == "true"), word == "true" || word == "false"
	case protoreflect.FloatKind:
		n, err := strconv.ParseFloat(number, 32)
		return protoreflect.ValueOfFloat32(float32(n)), err == nil
	case protoreflect.DoubleKind:
		n, err := strconv.ParseFloat(number, 64)
		return protoreflect.ValueOfFloat64(n), err == nil
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		n, err := strconv.ParseInt(number, 10, 32)
		return protoreflect.ValueOfInt32(int32(n)), err == nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		n, err := strconv.ParseUint(number, 10, 32)
		return protoreflect.ValueOfUint32(uint32(n)), err == nil
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		n, err := strconv.ParseUint(number, 10, 64)
		return protoreflect.ValueOfUint64(n), err == nil
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		n, err := strconv.ParseInt(number, 10, 64)
		return protoreflect.ValueOfInt64(n), err == nil
	}
	return v, false
}
