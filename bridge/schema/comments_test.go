package schema_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/rotki/notification-bridge/bridge/schema"
)

const commentedProto = `syntax = "proto3";
package commented;
import "rotki/notifications/v1/wire.proto";

message Notification {
  oneof payload {
    // What happened. More about it.
    Event event = 1;
  }
}

// Event is a message whose comment
// has two lines.
//
// And a paragraph, with */ in it:
//   indented   as it is
//   and again
message Event {
  // Text. Examples: "a, \"b\"", "c", and others.
  string text = 1;
  // Ends a sentence. Example: 8.
  uint32 number = 2;
  // Out of range. Example: -1.
  uint32 unsigned = 3;
  // Of another kind. Example: "8".
  int64 kind = 4;
  // A list. Example: ["x", "y"].
  repeated string list = 5;
  // The constant's name. Example: LEVEL_HIGH, which is "high" on the wire.
  Level level = 6;
  // Its name on the wire. Example: "high".
  Level wire = 7;
  // No example at all.
  double fraction = 8;
  // Example: broken [.
  repeated int64 broken = 9;
  bool silent = 10; // Behind the field. Example: true.
  // Optional: what stands in its place has the example.
  optional Bare bare = 11;
}

enum Level {
  LEVEL_UNSPECIFIED = 0;
  // Not much.
  LEVEL_LOW = 1;
  LEVEL_HIGH = 2;
}

message Bare {
  option (rotki.notifications.v1.shape) = SHAPE_BARE;
  // The text. Example: "inside".
  optional string text = 1 [(rotki.notifications.v1.nullable) = true];
}
`

func TestCommentsAndExamples(t *testing.T) {
	c := protoContract(t, commentedProto)
	var document asyncDocument
	if err := json.Unmarshal(schema.AsyncAPI(c, ""), &document); err != nil {
		t.Fatal(err)
	}
	message := document.Components.Messages["event"]
	if message.Summary != "What happened." {
		t.Errorf("summary %q", message.Summary)
	}
	want := "Event is a message whose comment has two lines.\n\nAnd a paragraph, with */ in it:\n  indented   as it is\n  and again"
	if message.Description != want {
		t.Errorf("description %q, want %q", message.Description, want)
	}
	for i, want := range []string{
		`{"text": "a, \"b\"", "number": 8, "unsigned": 1, "kind": 1, "list": ["x", "y"], "level": "high", "wire": "high",
			"fraction": 0.5, "broken": [1], "silent": true, "bare": "inside"}`,
		`{"text": "a, \"b\"", "number": 8, "unsigned": 1, "kind": 1, "list": ["x", "y"], "level": "high", "wire": "high",
			"fraction": 0.5, "broken": [1], "silent": true}`,
	} {
		var got, wanted struct{ Data any }
		if err := json.Unmarshal(message.Examples[i].Payload, &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(`{"data": `+want+`}`), &wanted); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, wanted) {
			t.Errorf("example %d\ngot  %v\nwant %v", i, got, wanted)
		}
	}
	declarations := string(schema.TypeScript(c, ""))
	for _, want := range []string{
		"/**\n * Event is a message whose comment has two lines.\n *\n * And a paragraph, with *\\/ in it:\n *   indented   as it is\n *   and again\n */\nexport interface Event {",
		"export type Level =\n  /** Not much. */\n  | \"low\"\n  | \"high\";",
		"  bare?: string | null;\n",
		"  list: string[];\n",
	} {
		if !strings.Contains(declarations, want) {
			t.Errorf("the declarations lack\n%s\nThey are\n%s", want, declarations)
		}
	}
	if !strings.Contains(string(schema.JSONSchema(c, "")), "- `low`: Not much.") {
		t.Error("the schema does not describe the enum's values")
	}
}

// TestNamesDoNotClash has messages that would be called as something else is.
func TestNamesDoNotClash(t *testing.T) {
	c := protoContract(t, `syntax = "proto3"; package clash;
		message Notification { oneof payload { RotkiNotification a = 1; ANotification b = 2; Outer_Inner c = 3; Outer d = 4; } }
		message RotkiNotification { string x = 1; }
		message ANotification { string x = 1; }
		message Outer_Inner { string x = 1; }
		message Outer { message Inner { bool y = 1; } Inner inner = 1; }`)
	declarations := string(schema.TypeScript(c, ""))
	for _, name := range []string{
		"interface RotkiNotification_ {", "interface ANotification {", "interface ANotification_ {", "interface Outer_Inner {", "interface Outer_Inner_ {",
	} {
		if strings.Count(declarations, name) != 1 {
			t.Errorf("%d times %q in\n%s", strings.Count(declarations, name), name, declarations)
		}
	}
}

// TestExamplesEnd has messages that contain themselves in every way that a contract allows.
func TestExamplesEnd(t *testing.T) {
	c := protoContract(t, `syntax = "proto3"; package endless; import "rotki/notifications/v1/wire.proto";
		message Notification { oneof payload { Tree tree = 1; Never never = 2; } }
		message Tree {
			repeated Tree list = 1;
			optional Tree maybe = 2;
			optional Tree null = 3 [(rotki.notifications.v1.nullable) = true];
			Bare bare = 4;
		}
		message Bare { option (rotki.notifications.v1.shape) = SHAPE_BARE; repeated Tree trees = 1; }
		message Never { Never left = 1; Never right = 2; }`)
	if text := string(schema.AsyncAPI(c, "")); !strings.Contains(text, `"tree-1"`) {
		t.Errorf("no example in\n%s", text)
	}
}
