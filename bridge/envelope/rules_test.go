package envelope_test

import (
	"errors"
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/rotki/notification-bridge/bridge/envelope"
)

// TestRules holds one row per wire rule: a notification as protojson, its data on the wire, and back.
func TestRules(t *testing.T) {
	md := rulesDescriptor(t)
	c := mustCompile(t, md)
	for _, tc := range []struct{ name, notification, typ, data string }{
		{
			"zero values are there", `{"scalars": {"color": "COLOR_RED"}}`, "scalars",
			`{"i32":0,"i64":0,"u32":0,"u64":0,"f32":0,"f64":0,"flag":false,"text":"","color":"red","colors":[],"numbers":[]}`,
		},
		{
			"extreme values",
			`{"scalars": {"i32": -2147483648, "i64": "-9007199254740991", "u32": 4294967295, "u64": "9007199254740991", "f32": 0.1, "f64": -1e-300,
			 "flag": true, "text": "<b>&\"\\/\u2028\u0001\n🚀", "color": "COLOR_DARK_BLUE", "colors": ["COLOR_RED", "COLOR_DARK_BLUE"], "numbers": ["1", "-2"]}}`,
			"scalars",
			`{"i32":-2147483648,"i64":-9007199254740991,"u32":4294967295,"u64":9007199254740991,"f32":0.1,"f64":-1e-300,` +
				`"flag":true,"text":"<b>&\"\\/` + "\u2028" + `\u0001\n🚀","color":"dark_blue","colors":["red","dark_blue"],"numbers":[1,-2]}`,
		},
		{
			"unset optional", `{"presence": {"needed": {}}}`, "presence",
			`{"plain":"","nullable":null,"nullable_number":null,"needed":{},"nullable_message":null,"list":[]}`,
		},
		{
			"optional set to zero",
			`{"presence": {"leftOut": "", "nullable": "", "nullableNumber": "0", "leftOutColor": "COLOR_RED", "needed": {}, "leftOutPeriod": {}, "nullableMessage": {}, "list": [{}]}}`,
			"presence",
			`{"plain":"","left_out":"","nullable":"","nullable_number":0,"left_out_color":"red","needed":{},"left_out_period":[0,0],"nullable_message":{},"list":[{}]}`,
		},
		{
			"shapes inside",
			`{"shapes": {"period": {"from": "1", "to": "2"}, "points": {"marks": [{"name": "a"}]}, "matrix": [{}, {"marks": [{"name": "b", "value": 1.5}]}]}}`,
			"shapes", `{"period":[1,2],"points":[["a",null]],"matrix":[[],[["b",1.5]]]}`,
		},
		{"tuple as data, by number", `{"period": {"from": "1", "to": "2"}}`, "period", `[1,2]`},
		{"bare list as data", `{"points": {"marks": []}}`, "points", `[]`},
		{"choice", `{"progress": {"total": 4, "counting": {"chain": "eth"}}}`, "progress", `{"total":4,"subtype":"counting","chain":"eth"}`},
		{
			"another choice, same key", `{"progress": {"done": {"chain": "eth", "color": "COLOR_RED"}}}`,
			"progress", `{"total":0,"subtype":"done","chain":"eth","color":"red"}`,
		},
		{"choice of nothing", `{"progress": {"idle": {}}}`, "progress", `{"total":0,"subtype":"idle"}`},
		{"recursion", `{"tree": {"name": "a", "children": [{"name": "b"}]}}`, "tree", `{"name":"a","children":[{"name":"b","children":[]}]}`},
		{"bare nullable, left out", `{"note": {}}`, "note", `{}`},
		{"bare nullable, null", `{"note": {"text": {}}}`, "note", `{"text":null}`},
		{"bare nullable, set", `{"note": {"text": {"value": ""}}}`, "note", `{"text":""}`},
		{"enum value with a name of its own", `{"scalars": {"color": "COLOR_OFF_WHITE"}}`, "scalars", `{"i32":0,"i64":0,"u32":0,"u64":0,"f32":0,"f64":0,"flag":false,"text":"","color":"off white","colors":[],"numbers":[]}`},
		{"empty object", `{"empty": {}}`, "empty", `{}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := parse(t, md, tc.notification)
			env, err := c.Encode(n)
			if err != nil {
				t.Fatal(err)
			}
			if env.Type != tc.typ || string(env.Data) != tc.data {
				t.Errorf("encoded %s\n%s\nwant %s\n%s", env.Type, env.Data, tc.typ, tc.data)
			}
			for _, text := range [][]byte{env.AppendJSON(nil), env.AppendStringData(nil)} {
				back := dynamicpb.NewMessage(md)
				if err := c.Decode(text, back); err != nil {
					t.Fatalf("decode %s: %v", text, err)
				}
				if !proto.Equal(n, back) {
					t.Errorf("decoded %s\nto   %v\nwant %v", text, back, n)
				}
			}
		})
	}
}

func TestEncodeRefuses(t *testing.T) {
	md := rulesDescriptor(t)
	c := mustCompile(t, md)
	set := func(value protoreflect.Value, path ...protoreflect.Name) func(*dynamicpb.Message) {
		return func(m *dynamicpb.Message) {
			at := m.ProtoReflect()
			for _, name := range path[:len(path)-1] {
				at = at.Mutable(at.Descriptor().Fields().ByName(name)).Message()
			}
			at.Set(at.Descriptor().Fields().ByName(path[len(path)-1]), value)
		}
	}
	unknownField := protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1)
	for _, tc := range []struct {
		name, notification, field string
		kind                      error
		change                    func(*dynamicpb.Message)
	}{
		{"no type", `{}`, "payload", envelope.ErrNoPayload, nil},
		{"unspecified enum", `{"scalars": {}}`, "scalars.color", envelope.ErrInvalid, nil},
		{"unknown enum number", `{"scalars": {"color": 7}}`, "scalars.color", envelope.ErrUnknown, nil},
		{"unspecified enum in a list", `{"scalars": {"color": 1, "colors": [1, 0]}}`, "scalars.colors[1]", envelope.ErrInvalid, nil},
		{"unspecified optional enum", `{"presence": {"needed": {}, "leftOutColor": 0}}`, "presence.left_out_color", envelope.ErrInvalid, nil},
		{"too large an integer", `{"scalars": {"color": 1, "u64": "9007199254740992"}}`, "scalars.u64", envelope.ErrInvalid, nil},
		{"too small an integer", `{"scalars": {"color": 1, "i64": "-9007199254740992"}}`, "scalars.i64", envelope.ErrInvalid, nil},
		{"too large in a list", `{"scalars": {"color": 1, "numbers": ["1", "9007199254740992"]}}`, "scalars.numbers[1]", envelope.ErrInvalid, nil},
		{"too large in a tuple", `{"period": {"to": "9007199254740992"}}`, "period.to", envelope.ErrInvalid, nil},
		{"NaN", `{"scalars": {"color": 1, "f64": "NaN"}}`, "scalars.f64", envelope.ErrInvalid, nil},
		{"infinity", `{"scalars": {"color": 1, "f32": "-Infinity"}}`, "scalars.f32", envelope.ErrInvalid, nil},
		{"NaN in a nullable", `{"points": {"marks": [{}, {"value": "NaN"}]}}`, "points.marks[1].value", envelope.ErrInvalid, nil},
		{"unset message", `{"presence": {}}`, "presence.needed", envelope.ErrInvalid, nil},
		{"unset message inside", `{"shapes": {"points": {}}}`, "shapes.period", envelope.ErrInvalid, nil},
		{"unset choice", `{"progress": {"total": 1}}`, "progress.kind", envelope.ErrInvalid, nil},
		{"inside a choice", `{"progress": {"done": {}}}`, "progress.done.color", envelope.ErrInvalid, nil},
		{"deep", `{"tree": {"children": [{}, {"children": [{}]}]}}`, "tree.children[1].children[0].name", envelope.ErrInvalid, func(m *dynamicpb.Message) {
			tree := m.Get(md.Fields().ByName("tree")).Message()
			children := tree.Descriptor().Fields().ByName("children")
			leaf := tree.Get(children).List().Get(1).Message().Mutable(children).List().Get(0).Message()
			leaf.Set(leaf.Descriptor().Fields().ByName("name"), protoreflect.ValueOfString("\xff"))
		}},
		{"invalid UTF-8", `{"scalars": {"color": 1}}`, "scalars.text", envelope.ErrInvalid, set(protoreflect.ValueOfString("a\xc3"), "scalars", "text")},
		{"a newer type", `{}`, "", envelope.ErrUnknown, func(m *dynamicpb.Message) { m.ProtoReflect().SetUnknown(unknownField) }},
		{"a newer field", `{"period": {}}`, "period", envelope.ErrUnknown, func(m *dynamicpb.Message) {
			m.Get(md.Fields().ByName("period")).Message().SetUnknown(unknownField)
		}},
		{"a newer field in a choice", `{"progress": {"idle": {}}}`, "progress.idle", envelope.ErrUnknown, func(m *dynamicpb.Message) {
			progress := m.Get(md.Fields().ByName("progress")).Message()
			progress.Get(progress.Descriptor().Fields().ByName("idle")).Message().SetUnknown(unknownField)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := parse(t, md, tc.notification)
			if tc.change != nil {
				tc.change(n)
			}
			env, err := c.Encode(n)
			var refused *envelope.Error
			if !errors.As(err, &refused) {
				t.Fatalf("got %s %v, want an *envelope.Error", env.Data, err)
			}
			if refused.Field != tc.field || !errors.Is(err, tc.kind) || refused.Problem == "" {
				t.Errorf("got %q (%v) %q, want field %q (%v)", refused.Field, refused.Kind, refused.Problem, tc.field, tc.kind)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	md := rulesDescriptor(t)
	c := mustCompile(t, md)
	const scalars = `"i32":0,"i64":0,"u32":0,"u64":0,"f32":0,"f64":0,"flag":false,"text":"","colors":[],"numbers":[]`
	for _, tc := range []struct {
		name, text, field string
		kind              error
	}{
		{"nothing", ``, "", envelope.ErrInvalid},
		{"no JSON", `{"type": legacy}`, "", envelope.ErrInvalid},
		{"no object", `[1]`, "", envelope.ErrInvalid},
		{"more behind", `{"type":"empty","data":{}} {}`, "", envelope.ErrInvalid},
		{"garbage behind", `{"type":"empty","data":{}} x`, "", envelope.ErrInvalid},
		{"no type", `{"data":{}}`, "type", envelope.ErrInvalid},
		{"no data", `{"type":"empty"}`, "data", envelope.ErrInvalid},
		{"a third key", `{"type":"empty","data":{},"x":1}`, "x", envelope.ErrUnknown},
		{"type is a number", `{"type":1,"data":{}}`, "type", envelope.ErrInvalid},
		{"unknown type", `{"type":"full","data":{}}`, "type", envelope.ErrUnknown},
		{"duplicate key", `{"type":"empty","type":"empty","data":{}}`, "", envelope.ErrInvalid},
		{"invalid UTF-8", "{\"type\":\"tree\",\"data\":{\"name\":\"\xff\",\"children\":[]}}", "", envelope.ErrInvalid},
		{"lone surrogate", `{"type":"tree","data":{"name":"\ud800","children":[]}}`, "", envelope.ErrInvalid},
		{"string data that is no JSON", `{"type":"tree","data":"{"}`, "tree", envelope.ErrInvalid},
		{"array for an object", `{"type":"tree","data":[]}`, "tree", envelope.ErrInvalid},
		{"object for an array", `{"type":"points","data":{}}`, "points", envelope.ErrInvalid},
		{"object for a tuple", `{"type":"period","data":{"from":1,"to":2}}`, "period", envelope.ErrInvalid},
		{"tuple too short", `{"type":"period","data":[1]}`, "period", envelope.ErrInvalid},
		{"tuple element", `{"type":"period","data":[1,"2"]}`, "period[1]", envelope.ErrInvalid},
		{"missing key", `{"type":"tree","data":{"children":[]}}`, "tree.name", envelope.ErrInvalid},
		{"unknown key", `{"type":"tree","data":{"name":"","children":[],"x":1}}`, "tree.x", envelope.ErrUnknown},
		{"missing inside a list", `{"type":"tree","data":{"name":"","children":[{"name":"","children":[]},{"children":[]}]}}`, "tree.children[1].name", envelope.ErrInvalid},
		{"null for a string", `{"type":"tree","data":{"name":null,"children":[]}}`, "tree.name", envelope.ErrInvalid},
		{"null for a left-out field", `{"type":"presence","data":{"plain":"","left_out":null,"nullable":null,"nullable_number":null,"needed":{},"nullable_message":null,"list":[]}}`, "presence.left_out", envelope.ErrInvalid},
		{"missing nullable", `{"type":"presence","data":{"plain":"","nullable_number":null,"needed":{},"nullable_message":null,"list":[]}}`, "presence.nullable", envelope.ErrInvalid},
		{"unknown enum", `{"type":"scalars","data":{"color":"green",` + scalars + `}}`, "scalars.color", envelope.ErrUnknown},
		{"unspecified enum", `{"type":"scalars","data":{"color":"unspecified",` + scalars + `}}`, "scalars.color", envelope.ErrUnknown},
		{"enum by number", `{"type":"scalars","data":{"color":1,` + scalars + `}}`, "scalars.color", envelope.ErrInvalid},
		{"unknown choice", `{"type":"progress","data":{"total":1,"subtype":"x"}}`, "progress.subtype", envelope.ErrUnknown},
		{"missing choice", `{"type":"progress","data":{"total":1}}`, "progress.subtype", envelope.ErrInvalid},
		{"key of another choice", `{"type":"progress","data":{"total":1,"subtype":"idle","chain":"eth"}}`, "progress.chain", envelope.ErrUnknown},
		{"unsafe integer", `{"type":"period","data":[1,9007199254740992]}`, "period[1]", envelope.ErrInvalid},
		{"huge integer", `{"type":"period","data":[1,99999999999999999999]}`, "period[1]", envelope.ErrInvalid},
		{"fraction", `{"type":"period","data":[1,1.5]}`, "period[1]", envelope.ErrInvalid},
		{"negative unsigned", `{"type":"progress","data":{"total":-1,"subtype":"idle"}}`, "progress.total", envelope.ErrInvalid},
		{"beyond 32 bits", `{"type":"progress","data":{"total":4294967296,"subtype":"idle"}}`, "progress.total", envelope.ErrInvalid},
		{"double too large", `{"type":"points","data":[["a",1e999]]}`, "points[0][1]", envelope.ErrInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := dynamicpb.NewMessage(md)
			err := c.Decode([]byte(tc.text), n)
			var refused *envelope.Error
			if !errors.As(err, &refused) {
				t.Fatalf("got %v %v, want an *envelope.Error", n, err)
			}
			if refused.Field != tc.field || !errors.Is(err, tc.kind) || refused.Problem == "" {
				t.Errorf("got %q (%v) %q, want field %q (%v)", refused.Field, refused.Kind, refused.Problem, tc.field, tc.kind)
			}
		})
	}
}

func TestDecodeKnownPassesOverNewerKeys(t *testing.T) {
	md := rulesDescriptor(t)
	c := mustCompile(t, md)
	n := dynamicpb.NewMessage(md)
	if err := c.DecodeKnown([]byte(`{"id":"e-1","type":"tree","data":{"name":"a","new":[1],"children":[{"name":"b","new":{},"children":[]}]}}`), n); err != nil {
		t.Fatal(err)
	}
	if want := parse(t, md, `{"tree": {"name": "a", "children": [{"name": "b"}]}}`); !proto.Equal(n, want) {
		t.Errorf("got %v, want %v", n, want)
	}
	if err := c.DecodeKnown([]byte(`{"type":"newer","data":{}}`), dynamicpb.NewMessage(md)); !errors.Is(err, envelope.ErrUnknown) {
		t.Errorf("an unknown type: %v", err)
	}
}

func TestNegativeZeroKeepsItsSign(t *testing.T) {
	md := rulesDescriptor(t)
	c := mustCompile(t, md)
	n := parse(t, md, `{"points": {"marks": [{"name": "a", "value": -0.0}]}}`)
	env, err := c.Encode(n)
	if err != nil {
		t.Fatal(err)
	}
	back := dynamicpb.NewMessage(md)
	if err := c.Decode(env.AppendJSON(nil), back); err != nil {
		t.Fatal(err)
	}
	marks := back.Get(md.Fields().ByName("points")).Message()
	mark := marks.Get(marks.Descriptor().Fields().ByName("marks")).List().Get(0).Message()
	if v := mark.Get(mark.Descriptor().Fields().ByName("value")).Float(); !math.Signbit(v) {
		t.Errorf("%s became %v", env.Data, v)
	}
}
