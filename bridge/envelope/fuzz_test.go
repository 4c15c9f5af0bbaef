package envelope_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
)

// FuzzDecode: whatever JSON is accepted is an envelope that Encode gives back with the same meaning.
func FuzzDecode(f *testing.F) {
	for _, raw := range readVectors(f) {
		f.Add([]byte(raw))
	}
	f.Add([]byte(`{"type":"progress","data":{"total":4,"subtype":"counting","chain":"eth","period":[1,2]}}`))
	f.Add([]byte(`{"type":"points","data":[["a",1.5e-7],["b",null]]}`))
	md := rulesDescriptor(f)
	c := mustCompile(f, md)
	f.Fuzz(func(t *testing.T, raw []byte) {
		n := dynamicpb.NewMessage(md)
		if err := c.Decode(raw, n); err != nil {
			return
		}
		env, err := c.Encode(n)
		if err != nil {
			t.Fatalf("decoded %s but cannot encode it: %v", raw, err)
		}
		text := env.AppendJSON(nil)
		if !json.Valid(text) || !utf8.Valid(text) {
			t.Fatalf("not valid JSON: %s", text)
		}
		back := dynamicpb.NewMessage(md)
		if err := c.Decode(text, back); err != nil || !proto.Equal(n, back) {
			t.Fatalf("%s: %v\n%v\n%v", text, err, n, back)
		}
	})
}

// FuzzEncode: whatever notification is accepted becomes valid JSON from which the same notification comes back.
func FuzzEncode(f *testing.F) {
	md := rulesDescriptor(f)
	c := mustCompile(f, md)
	for _, text := range []string{
		`{"scalars": {"color": 1, "text": "<&>", "numbers": ["1"], "f64": 0.1}}`,
		`{"presence": {"needed": {}, "leftOutPeriod": {"to": "3"}}}`,
		`{"shapes": {"period": {}, "points": {"marks": [{"name": "a"}]}}}`,
		`{"progress": {"done": {"chain": "x", "color": 2}}}`,
		`{"tree": {"children": [{"children": [{}]}]}}`,
	} {
		n := dynamicpb.NewMessage(md)
		if err := protojson.Unmarshal([]byte(text), n); err != nil {
			f.Fatal(err)
		}
		raw, err := proto.Marshal(n)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		n := dynamicpb.NewMessage(md)
		if proto.Unmarshal(raw, n) != nil {
			return
		}
		env, err := c.Encode(n)
		if err != nil {
			return
		}
		for _, text := range [][]byte{env.AppendJSON(nil), env.AppendStringData(nil)} {
			back := dynamicpb.NewMessage(md)
			if !json.Valid(text) {
				t.Fatalf("not valid JSON: %s", text)
			}
			if err := c.Decode(text, back); err != nil || !proto.Equal(n, back) {
				t.Fatalf("%s: %v\n%v\n%v", text, err, n, back)
			}
		}
	})
}
