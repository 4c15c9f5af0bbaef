package schema_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/rotki/notification-bridge/bridge/envelope"
	"github.com/rotki/notification-bridge/bridge/schema"
)

// diffProto is a contract with everything in which two contracts can differ.
const diffProto = `syntax = "proto3";
package diff;
import "rotki/notifications/v1/wire.proto";

message Notification {
  oneof payload {
    Login login = 1;
    Progress progress = 2;
    Places places = 3;
    Tree tree = 4;
  }
}

message Login {
  string name = 1;
  optional string hint = 2;
  optional string reason = 3 [(rotki.notifications.v1.nullable) = true];
  uint32 step = 4;
  Level level = 5;
  Step current = 6;
  int64 when = 7;
}

message Step {
  string title = 1;
  Level level = 2;
}

enum Level {
  LEVEL_UNSPECIFIED = 0;
  LEVEL_LOW = 1;
  LEVEL_HIGH = 2 [(rotki.notifications.v1.json_value) = "very high"];
}

message Progress {
  uint32 total = 1;
  oneof task {
    option (rotki.notifications.v1.discriminator) = "subtype";
    Counting counting = 2;
    Done done = 3;
  }
}

message Counting { string chain = 1; }
message Done { Span span = 1; }

message Span {
  option (rotki.notifications.v1.shape) = SHAPE_TUPLE;
  int64 from = 1;
  int64 to = 2;
}

message Places {
  option (rotki.notifications.v1.shape) = SHAPE_BARE;
  repeated Step steps = 1;
}

message Tree {
  string name = 1;
  repeated Tree children = 2;
}
`

func TestDiff(t *testing.T) {
	const nullable = " [(rotki.notifications.v1.nullable) = true]"
	before := schema.JSONSchema(protoContract(t, diffProto), "v1")
	for _, test := range []struct {
		name  string
		edits []string // old and new in turns
		want  []string
	}{
		{"nothing", nil, nil},
		{"comment", []string{"message Login {", "// Login tells.\nmessage Login {"}, nil},

		{"added type", []string{"Tree tree = 4;", "Tree tree = 4; Step step = 5;"}, nil},
		{"added key", []string{"int64 when = 7;", "int64 when = 7; string where = 8;"}, nil},
		{"added optional key", []string{"int64 when = 7;", "int64 when = 7; optional string where = 8;"}, nil},
		{"added enum value", []string{"LEVEL_LOW = 1;", "LEVEL_LOW = 1; LEVEL_MIDDLE = 3;"}, nil},
		{"added variant", []string{"Done done = 3;", "Done done = 3; Step stepping = 4;"}, nil},
		{"optional to plain", []string{"optional string hint = 2;", "string hint = 2;"}, nil},
		{"nullable to plain", []string{"optional string reason = 3" + nullable, "string reason = 3"}, nil},
		{"range narrowed", []string{"int64 when", "uint32 when"}, nil},
		{"message renamed", []string{"Step current", "Leap current", "message Step {", "message Leap { string title = 1; Level level = 2; }\nmessage Step {"}, nil},

		{"type gone", []string{"    Places places = 3;\n", ""}, []string{"places: the type is gone"}},
		{"type renamed", []string{"Tree tree = 4;", "Tree forest = 4;"}, []string{"tree: the type is gone"}},
		{"key gone", []string{"  string name = 1;\n  optional", "  optional"}, []string{"login.name: the key is gone"}},
		{"optional key gone", []string{"  optional string hint = 2;\n", ""}, []string{"login.hint: the key is gone"}},
		{
			"key gone in a shared message",
			[]string{"  string title = 1;\n", ""},
			[]string{"login.current.title: the key is gone", "places[].title: the key is gone"},
		},
		{"type of a key", []string{"uint32 step", "string step"}, []string{"login.step: was an integer, is now a string"}},
		{"enum to text", []string{"Level level = 5;", "string level = 5;"}, []string{"login.level: was an enum, is now a string"}},
		{"whole to fraction", []string{"int64 when", "double when"}, []string{"login.when: was an integer, is now a number"}},
		{"required to optional", []string{"uint32 step", "optional uint32 step"}, []string{"login.step: may now be missing"}},
		{"required message to optional", []string{"Step current", "optional Step current"}, []string{"login.current: may now be missing"}},
		{"plain to nullable", []string{"uint32 step = 4", "optional uint32 step = 4" + nullable}, []string{"login.step: may now be null"}},
		{"message to nullable", []string{"Step current = 6", "optional Step current = 6" + nullable}, []string{"login.current: may now be null"}},
		{"enum to nullable", []string{"Level level = 5", "optional Level level = 5" + nullable}, []string{"login.level: may now be null"}},
		{"nullable to optional", []string{nullable, ""}, []string{"login.reason: may now be missing"}},
		{"optional to nullable", []string{"string hint = 2", "string hint = 2" + nullable}, []string{"login.hint: may now be null"}},
		{"range widened below", []string{"uint32 step", "int32 step"}, []string{"login.step: may now be less than 0"}},
		{"range widened above", []string{"uint32 step", "uint64 step"}, []string{"login.step: may now be more than 4294967295"}},
		{
			"enum value gone",
			[]string{"  LEVEL_LOW = 1;\n", ""},
			[]string{
				`login.current.level: the value "low" is gone`, `login.level: the value "low" is gone`,
				`places[].level: the value "low" is gone`,
			},
		},
		{
			"JSON name of an enum value",
			[]string{`"very high"`, `"highest"`},
			[]string{
				`login.current.level: the value "very high" is gone`, `login.level: the value "very high" is gone`,
				`places[].level: the value "very high" is gone`,
			},
		},
		{"variant gone", []string{"    Counting counting = 2;\n", ""}, []string{"progress[subtype=counting]: the variant is gone"}},
		{
			"discriminator",
			[]string{`"subtype"`, `"kind"`},
			[]string{"progress[subtype=counting]: the variant is gone", "progress[subtype=done]: the variant is gone"},
		},
		{"key of a variant", []string{"string chain = 1;", "string place = 1;"}, []string{"progress[subtype=counting].chain: the key is gone"}},
		{
			"key beside a choice",
			[]string{"uint32 total", "optional uint32 total"},
			[]string{"progress[subtype=counting].total: may now be missing", "progress[subtype=done].total: may now be missing"},
		},
		{"tuple longer", []string{"int64 to = 2;", "int64 to = 2; bool open = 3;"}, []string{"progress[subtype=done].span: was a tuple of 2, is now one of 3"}},
		{"tuple shorter", []string{"int64 to = 2;", ""}, []string{"progress[subtype=done].span: was a tuple of 2, is now one of 1"}},
		{"inside a tuple", []string{"int64 to = 2;", "string to = 2;"}, []string{"progress[subtype=done].span[1]: was an integer, is now a string"}},
		{
			"tuple to object",
			[]string{"  option (rotki.notifications.v1.shape) = SHAPE_TUPLE;\n", ""},
			[]string{"progress[subtype=done].span: was a tuple, is now an object"},
		},
		{
			"list to object",
			[]string{"  option (rotki.notifications.v1.shape) = SHAPE_BARE;\n", ""},
			[]string{"places: was a list, is now an object"},
		},
		{
			"list to tuple",
			[]string{"SHAPE_BARE;\n  repeated Step", "SHAPE_TUPLE;\n  Step"},
			[]string{"places: was a list, is now a tuple"},
		},
		{"list to one", []string{"repeated Tree children", "optional Tree children"}, []string{"tree.children: may now be missing", "tree.children: was a list, is now an object"}},
		{"recursion", []string{"  string name = 1;\n  repeated", "  repeated"}, []string{"tree.name: the key is gone"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := diffProto
			for pair := range slices.Chunk(test.edits, 2) {
				if strings.Count(text, pair[0]) != 1 {
					t.Fatalf("%q is %d times in the proto", pair[0], strings.Count(text, pair[0]))
				}
				text = strings.Replace(text, pair[0], pair[1], 1)
			}
			findings, err := schema.Diff(before, schema.JSONSchema(protoContract(t, text), "v2"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range findings {
				got = append(got, f.String())
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(test.want, "\n  "))
			}
		})
	}
}

func TestDiffOfTheSame(t *testing.T) {
	for name, c := range map[string]*envelope.Contract{"rotki": rotkiContract(t), "rules": rulesContract(t)} {
		document := schema.JSONSchema(c, "")
		if findings, err := schema.Diff(document, document); err != nil || len(findings) > 0 {
			t.Errorf("%s: %v, %v", name, findings, err)
		}
	}
}

func TestDiffRefusesWhatIsNoContract(t *testing.T) {
	good := schema.JSONSchema(rulesContract(t), "")
	for name, bad := range map[string][]byte{
		"nothing":        nil,
		"no JSON":        []byte("{"),
		"no types":       []byte("{}"),
		"not the schema": []byte(`{"oneOf": [{"type": "object", "properties": {"type": {"type": "string"}}}]}`),
		"lost reference": bytes.Replace(good, []byte(`"Scalars": {`), []byte(`"Other": {`), 1),
		"a circle":       []byte(`{"oneOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": {"$ref": "#/$defs/A"}}}`),
		"other kinds":    []byte(`{"oneOf": [{"properties": {"type": {"const": "scalars"}, "data": {"not": {}}}}]}`),
	} {
		if _, err := schema.Diff(good, bad); err == nil || !strings.Contains(err.Error(), "new schema: ") {
			t.Errorf("%s as the new schema: %v", name, err)
		}
		if _, err := schema.Diff(bad, good); err == nil || !strings.Contains(err.Error(), "old schema: ") {
			t.Errorf("%s as the old schema: %v", name, err)
		}
	}
}
