package schema_test

import (
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/rotki/notification-bridge/bridge/envelope"
	"github.com/rotki/notification-bridge/bridge/schema"
)

// rulesEnvelopes use every wire rule.
var rulesEnvelopes = map[string]string{
	"scalars": `{"type":"scalars","data":{"i32":-2147483648,"i64":-9007199254740991,"u32":4294967295,"u64":9007199254740991,"f32":0.1,"f64":-1e-300,` +
		`"flag":true,"text":"<b>","color":"dark_blue","colors":["red","off white"],"numbers":[1,-2]}}`,
	"unset":         `{"type":"presence","data":{"plain":"","nullable":null,"nullable_number":null,"needed":{},"nullable_message":null,"list":[]}}`,
	"set":           `{"type":"presence","data":{"plain":"a","left_out":"","nullable":"","nullable_number":0,"left_out_color":"red","needed":{},"left_out_period":[0,0],"nullable_message":{},"list":[{}]}}`,
	"shapes":        `{"type":"shapes","data":{"period":[1,2],"points":[["a",null]],"matrix":[[],[["b",1.5]]]}}`,
	"tuple":         `{"type":"period","data":[1,2]}`,
	"bare list":     `{"type":"points","data":[]}`,
	"choice":        `{"type":"progress","data":{"total":4,"subtype":"counting","chain":"eth"}}`,
	"another":       `{"type":"progress","data":{"total":0,"subtype":"done","chain":"eth","color":"red"}}`,
	"nothing more":  `{"type":"progress","data":{"total":0,"subtype":"idle"}}`,
	"recursion":     `{"type":"tree","data":{"name":"a","children":[{"name":"b","children":[{"name":"c","children":[]}]}]}}`,
	"bare left out": `{"type":"note","data":{}}`,
	"bare null":     `{"type":"note","data":{"text":null}}`,
	"bare set":      `{"type":"note","data":{"text":""}}`,
	"empty":         `{"type":"empty","data":{}}`,
}

// TestSchemaAcceptsVectorsAndRefusesMutants holds the schema against the golden envelopes and against what they must
// not become. The decoder, which knows nothing of the schema, has to agree.
func TestSchemaAcceptsVectorsAndRefusesMutants(t *testing.T) {
	rotki, rules := rotkiContract(t), rulesContract(t)
	good := make(map[string]json.RawMessage)
	for name, text := range rulesEnvelopes {
		good[name] = json.RawMessage(text)
	}
	t.Run("rotki", func(t *testing.T) { testSchema(t, rotki, vectors(t)) })
	t.Run("rules", func(t *testing.T) { testSchema(t, rules, good) })
}

func testSchema(t *testing.T, c *envelope.Contract, envelopes map[string]json.RawMessage) {
	s := validator(t, schema.JSONSchema(c, ""), jsonschema.Draft2020, "")
	tested := 0
	for name, raw := range envelopes {
		good := value(t, raw).(map[string]any)
		if err := s.Validate(good); err != nil {
			t.Errorf("%s is refused: %v", name, err)
			continue
		}
		member, ok := c.Type(good["type"].(string))
		if !ok {
			t.Errorf("%s: no type %s", name, good["type"])
			continue
		}
		mutants := envelopeMutants(member, good)
		if len(mutants) < 10 {
			t.Errorf("%s has only %d mutants", name, len(mutants))
		}
		for _, m := range mutants {
			tested++
			if s.Validate(m.value) == nil {
				t.Errorf("%s: the schema accepts it with %s", name, m.what)
			}
			if m.what == dataIsString {
				continue // the decoder takes that too, for publishers that go by rotki's API document
			}
			text, err := json.Marshal(m.value)
			if err != nil {
				t.Fatal(err)
			}
			if c.Decode(text, dynamicpb.NewMessage(notificationDescriptor(c))) == nil {
				t.Errorf("%s: the decoder accepts it with %s: %s", name, m.what, text)
			}
		}
	}
	t.Logf("%d envelopes accepted, %d mutants refused", len(envelopes), tested)
}

func TestSchemaIsTold(t *testing.T) {
	var document struct {
		OneOf []map[string]string `json:"oneOf"`
		Defs  map[string]struct {
			Description string
			Required    []string
			Properties  map[string]struct {
				Description string
				Examples    []any
			}
		} `json:"$defs"`
	}
	if err := json.Unmarshal(schema.JSONSchema(rotkiContract(t), ""), &document); err != nil {
		t.Fatal(err)
	}
	if len(document.OneOf) != len(rotkiContract(t).Types()) {
		t.Errorf("%d envelopes, want one for each of %d types", len(document.OneOf), len(rotkiContract(t).Types()))
	}
	for name, def := range document.Defs {
		if def.Description == "" {
			t.Errorf("%s has no description", name)
		}
	}
	from := document.Defs["CurrentUpgrade"].Properties["from_db_version"]
	if want := "Version of the database that the running upgrade is applied to. Example: 30."; from.Description != want {
		t.Errorf("description %q, want %q", from.Description, want)
	}
	if len(from.Examples) != 1 || from.Examples[0] != 30.0 {
		t.Errorf("examples %v, want [30]", from.Examples)
	}
}
