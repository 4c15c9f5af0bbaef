package manual

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// comment returns an element's comment as one paragraph.
func comment(d protoreflect.Descriptor) string {
	return strings.Join(strings.Fields(rawComment(d)), " ")
}

// rawComment returns an element's comment with its lines, each still beginning with the space behind the slashes.
func rawComment(d protoreflect.Descriptor) string {
	return d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments
}

// firstSentence ends at the first full stop that is followed by a space or nothing.
func firstSentence(text string) string {
	if first, _, more := strings.Cut(text, ". "); more {
		return first + "."
	}
	return text
}

// spaced returns JSON on one line, with spaces behind colons and commas.
func spaced(text []byte) string {
	var b strings.Builder
	quoted, escaped := false, false
	for _, c := range text {
		b.WriteByte(c)
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ':' || c == ','):
			b.WriteByte(' ')
		}
	}
	return b.String()
}
