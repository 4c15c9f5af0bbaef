package schema

import (
	"bytes"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rotki/notification-bridge/bridge/envelope"
)

var (
	exampleMark   = regexp.MustCompile(`\bExamples?: `)
	exampleName   = regexp.MustCompile(`^[A-Za-z_]\w*`)
	exampleNumber = regexp.MustCompile(`^-?\d+(\.\d+)?([eE][+-]?\d+)?`)
)

// commentExamples returns the values that the comment of a member's field gives as examples, such as
// `Examples: "ETH", "BTC".`, if they are values that the member can have.
func commentExamples(m *envelope.Member) []jsontext.Value {
	var found []jsontext.Value
	for _, f := range fields(m) {
		for _, value := range parseExamples(describe(f), m.Shape) {
			if fits(m, value) {
				found = append(found, value)
			}
		}
	}
	return found
}

// parseExamples reads the JSON values behind the last "Example:" of a text, up to the first thing that is none.
func parseExamples(text string, s *envelope.Shape) []jsontext.Value {
	marks := exampleMark.FindAllStringIndex(text, -1)
	if len(marks) == 0 {
		return nil
	}
	rest := text[marks[len(marks)-1][1]:]
	var values []jsontext.Value
	for {
		value, size := parseExample(rest, s)
		if value == nil {
			return values
		}
		values = append(values, value)
		var more bool
		if rest, more = strings.CutPrefix(rest[size:], ", "); !more {
			return values
		}
	}
}

// parseExample reads one JSON value at the start of a text. A number may be followed by the sentence's full stop, and
// an enum's value may be called by its name in the proto.
func parseExample(text string, s *envelope.Shape) (value jsontext.Value, size int) {
	for _, v := range s.Values {
		if name := string(v.Desc.Name()); name == exampleName.FindString(text) {
			value, _ = jsontext.AppendQuote(nil, v.JSON)
			return value, len(name)
		}
	}
	if number := exampleNumber.FindString(text); number != "" {
		return jsontext.Value(number), len(number)
	}
	decoder := jsontext.NewDecoder(strings.NewReader(text))
	read, err := decoder.ReadValue()
	if err != nil {
		return nil, 0
	}
	size = int(decoder.InputOffset())
	value = bytes.Clone(read)
	if value.Compact() != nil {
		return nil, 0
	}
	return value, size
}

// fits says whether a member without members of its own can have a value.
func fits(m *envelope.Member, value jsontext.Value) bool {
	s := m.Shape
	switch value.Kind() {
	case 'n':
		return m.Nullable
	case '"':
		return s.Kind == envelope.KindString || s.Kind == envelope.KindEnum && hasValue(s, value)
	case 't', 'f':
		return s.Kind == envelope.KindBoolean
	case '0':
		integer, err := strconv.ParseInt(string(value), 10, 64)
		float, floatErr := strconv.ParseFloat(string(value), 64)
		return s.Kind == envelope.KindInteger && err == nil && s.Min <= integer && integer <= s.Max ||
			s.Kind == envelope.KindNumber && floatErr == nil && !math.IsInf(float, 0)
	case '[':
		if s.Kind != envelope.KindList {
			return false
		}
		elements := jsontext.NewDecoder(bytes.NewReader(value))
		for _, err := elements.ReadToken(); err == nil && elements.PeekKind() != ']'; {
			element, err := elements.ReadValue()
			if err != nil || !fits(s.Element, element) {
				return false
			}
		}
		return true
	}
	return false
}

func hasValue(s *envelope.Shape, value jsontext.Value) bool {
	text, err := jsontext.AppendUnquote(nil, value)
	for _, v := range s.Values {
		if err == nil && v.JSON == string(text) {
			return true
		}
	}
	return false
}

// exampler makes whole examples. With full, optional keys are there and nullable values are not null.
type exampler struct {
	full   bool
	inside []*envelope.Shape // the messages around the value: one that contains itself must come to an end
}

// examples returns the examples of an envelope's data: a full and, where it differs, a minimal one, each for every
// variant of a choice.
func examples(data *envelope.Member) list {
	var all list
	seen := make(map[string]bool)
	for _, full := range []bool{true, false} {
		e := exampler{full: full}
		values := list{e.value(data)}
		if data.Shape.Kind == envelope.KindObject {
			values = nil
			for _, a := range alternatives(data.Shape) {
				values = append(values, e.object(data.Shape, a))
			}
		}
		for _, value := range values {
			if text := string(document(value)); !seen[text] {
				seen[text] = true
				all = append(all, value)
			}
		}
	}
	return all
}

func (e exampler) value(m *envelope.Member) any {
	if m.Nullable && (!e.full || e.contains(m.Shape)) {
		return nil
	}
	if given := commentExamples(m); len(given) > 0 {
		return given[0]
	}
	s := m.Shape
	if s.Message != nil && e.contains(s) {
		return object{} // a message that requires itself has no values at all
	}
	switch s.Kind {
	case envelope.KindString:
		return "text"
	case envelope.KindBoolean:
		return m.Optional // a flag that may be missing is there for being true
	case envelope.KindNumber:
		return jsontext.Value("0.5")
	case envelope.KindInteger:
		return max(s.Min, min(s.Max, 1))
	case envelope.KindEnum:
		if len(s.Values) == 0 {
			return nil
		}
		return s.Values[0].JSON
	case envelope.KindList:
		if e.contains(s.Element.Shape) {
			return list{}
		}
		return list{e.value(s.Element)}
	case envelope.KindTuple:
		values := list{}
		for _, member := range s.Members {
			values = append(values, e.within(s).value(member))
		}
		return values
	default:
		return e.object(s, alternatives(s)[0])
	}
}

func (e exampler) object(s *envelope.Shape, a alternative) object {
	result := object{}
	for _, m := range a.members {
		if m.Optional && (!e.full || e.within(s).contains(m.Shape)) {
			continue
		}
		result = append(result, entry{m.Key, e.within(s).value(m)})
	}
	for _, c := range a.chosen {
		result = append(result, entry{c.key, c.variant.Name})
	}
	return result
}

func (e exampler) within(s *envelope.Shape) exampler {
	e.inside = append(e.inside[:len(e.inside):len(e.inside)], s)
	return e
}

// contains says whether the place is inside of a message of that shape.
func (e exampler) contains(s *envelope.Shape) bool {
	for s.Kind == envelope.KindList {
		s = s.Element.Shape
	}
	for _, outer := range e.inside {
		if s.Message != nil && outer.Message.FullName() == s.Message.FullName() {
			return true
		}
	}
	return false
}
