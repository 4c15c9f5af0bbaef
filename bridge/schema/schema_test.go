package schema_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rotki/notification-bridge/bridge/envelope"
	"github.com/rotki/notification-bridge/bridge/schema"
)

// rotkiContract compiles the protos as they are in proto/, with their comments.
func rotkiContract(t testing.TB) *envelope.Contract {
	t.Helper()
	return compile(t, "rotki/notifications/v1/notification.proto", nil)
}

// rulesContract is the contract that uses every wire rule.
func rulesContract(t testing.TB) *envelope.Contract {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "envelope", "testdata", "rules.proto"))
	if err != nil {
		t.Fatal(err)
	}
	return protoContract(t, string(text))
}

// protoContract compiles the text of a .proto file with a message Notification.
func protoContract(t testing.TB, text string) *envelope.Contract {
	t.Helper()
	return compile(t, "test.proto", map[string]string{"test.proto": text})
}

func compile(t testing.TB, name string, files map[string]string) *envelope.Contract {
	t.Helper()
	compiler := protocompile.Compiler{
		SourceInfoMode: protocompile.SourceInfoStandard,
		Resolver: protocompile.WithStandardImports(protocompile.CompositeResolver{
			&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(files)},
			&protocompile.SourceResolver{ImportPaths: []string{filepath.Join("..", "..", "proto")}},
		}),
	}
	compiled, err := compiler.Compile(t.Context(), name)
	if err != nil {
		t.Fatalf("compile %s: %v", name, err)
	}
	contract, err := envelope.Compile(compiled[0].Messages().ByName("Notification"))
	if err != nil {
		t.Fatal(err)
	}
	return contract
}

func notificationDescriptor(c *envelope.Contract) protoreflect.MessageDescriptor {
	member, _ := c.Type(c.Types()[0])
	return member.Desc.ContainingMessage()
}

// vectors returns the golden envelopes by file name.
func vectors(t testing.TB) map[string]json.RawMessage {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "envelope", "testdata", "vectors", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	all := make(map[string]json.RawMessage)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var vector struct{ Envelope json.RawMessage }
		if err := json.Unmarshal(raw, &vector); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[filepath.Base(file)] = vector.Envelope
	}
	return all
}

// value reads JSON as the validator wants it, numbers exact.
func value(t testing.TB, raw []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return v
}

// validator compiles the schema at a place of a document.
func validator(t testing.TB, document []byte, draft *jsonschema.Draft, place string) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(draft)
	if err := compiler.AddResource("urn:test", value(t, document)); err != nil {
		t.Fatal(err)
	}
	s, err := compiler.Compile("urn:test" + place)
	if err != nil {
		t.Fatalf("compile the schema: %v", err)
	}
	return s
}

func TestTheSameContractGivesTheSameBytes(t *testing.T) {
	for name, write := range map[string]func(*envelope.Contract, string) []byte{
		"JSONSchema": schema.JSONSchema, "AsyncAPI": schema.AsyncAPI, "TypeScript": schema.TypeScript,
	} {
		first, second := write(rotkiContract(t), ""), write(rotkiContract(t), "v1")
		if !bytes.Equal(first, second) {
			t.Errorf("%s differs from one call to the next", name)
		}
		if bytes.Equal(first, write(rotkiContract(t), "v1.2.3")) {
			t.Errorf("%s does not name its version", name)
		}
	}
}
