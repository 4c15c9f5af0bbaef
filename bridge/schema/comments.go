package schema

import (
	"cmp"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rotki/notification-bridge/bridge/envelope"
)

// describe returns an element's comment in the proto: each paragraph on one line, indented lines as they are.
func describe(d protoreflect.Descriptor) string {
	location := d.ParentFile().SourceLocations().ByDescriptor(d)
	text := cmp.Or(location.LeadingComments, location.TrailingComments)
	var lines []string
	joinable := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(strings.TrimPrefix(line, " "), " \t\r\n")
		plain := line != "" && line[0] != ' ' && line[0] != '\t' && !strings.HasPrefix(line, "- ")
		if plain && joinable {
			lines[len(lines)-1] += " " + line
		} else {
			lines = append(lines, line)
		}
		joinable = plain
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// sentence returns the first sentence of a text.
func sentence(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	if first, _, more := strings.Cut(text, ". "); more {
		return first + "."
	}
	return text
}

// fields returns the field that a member is, and those of the bare messages that stand in its place.
func fields(m *envelope.Member) []protoreflect.FieldDescriptor {
	chain := []protoreflect.FieldDescriptor{m.Desc}
	innermost := m.Shape
	for innermost.Kind == envelope.KindList {
		innermost = innermost.Element.Shape
	}
	for message := m.Desc.Message(); message != nil; message = chain[len(chain)-1].Message() {
		named := innermost.Message != nil && innermost.Message.FullName() == message.FullName()
		if named || message.Fields().Len() != 1 {
			break
		}
		chain = append(chain, message.Fields().Get(0))
	}
	return chain
}

// describeEnum is an enum's comment and what its values mean.
func describeEnum(s *envelope.Shape) string {
	text := describe(s.Enum)
	for _, v := range s.Values {
		if comment := describe(v.Desc); comment != "" {
			text += "\n- `" + v.JSON + "`: " + strings.ReplaceAll(comment, "\n", " ")
		}
	}
	return strings.TrimSpace(text)
}
