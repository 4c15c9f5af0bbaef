package envelope_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rotki/notification-bridge/bridge/envelope"
)

// sketch writes a member in a short notation: ? for a key that may be missing, |null for a value that may be null.
func sketch(m *envelope.Member, depth int) string {
	text := sketchShape(m.Shape, depth)
	if m.Nullable {
		text += "|null"
	}
	return text
}

func sketchShape(s *envelope.Shape, depth int) string {
	if depth == 0 {
		return "…"
	}
	var parts []string
	switch s.Kind {
	case envelope.KindString:
		return "string"
	case envelope.KindBoolean:
		return "boolean"
	case envelope.KindNumber:
		return "number"
	case envelope.KindInteger:
		return fmt.Sprintf("%d..%d", s.Min, s.Max)
	case envelope.KindEnum:
		for _, v := range s.Values {
			parts = append(parts, v.JSON)
		}
		return "<" + strings.Join(parts, "|") + ">"
	case envelope.KindList:
		return "[" + sketch(s.Element, depth-1) + "…]"
	case envelope.KindTuple:
		for _, m := range s.Members {
			parts = append(parts, sketch(m, depth-1))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	for _, m := range s.Members {
		optional := ""
		if m.Optional {
			optional = "?"
		}
		parts = append(parts, m.Key+optional+": "+sketch(m, depth-1))
	}
	for _, ch := range s.Choices {
		for _, v := range ch.Variants {
			parts = append(parts, ch.Key+"="+v.Name+" "+sketchShape(v.Shape, depth-1))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func TestShapes(t *testing.T) {
	c := mustCompile(t, rulesDescriptor(t))
	for typ, want := range map[string]string{
		"scalars": "{i32: -2147483648..2147483647, i64: -9007199254740991..9007199254740991, u32: 0..4294967295, " +
			"u64: 0..9007199254740991, f32: number, f64: number, flag: boolean, text: string, " +
			"color: <red|dark_blue|off white>, colors: [<red|dark_blue|off white>…], numbers: [-9007199254740991..9007199254740991…]}",
		"presence": "{plain: string, left_out?: string, nullable: string|null, nullable_number: -9007199254740991..9007199254740991|null, " +
			"left_out_color?: <red|dark_blue|off white>, needed: {}, left_out_period?: [-9007199254740991..9007199254740991, " +
			"-9007199254740991..9007199254740991], nullable_message: {}|null, list: [{}…]}",
		"points":   "[[string, number|null]…]",
		"progress": "{total: 0..4294967295, subtype=counting {chain: string, period?: [-9007199254740991..9007199254740991, -9007199254740991..9007199254740991]}, subtype=done {chain: string, color: <red|dark_blue|off white>}, subtype=idle {}}",
		"tree":     "{name: string, children: [{name: string, children: [{name: string, children: [……]}…]}…]}",
		"note":     "{text?: string|null}",
		"empty":    "{}",
	} {
		m, ok := c.Type(typ)
		if !ok {
			t.Errorf("no type %s", typ)
			continue
		}
		if got := sketch(m, 6); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", typ, got, want)
		}
	}
	if _, ok := c.Type("nonsense"); ok {
		t.Error("there is a type nonsense")
	}
}
