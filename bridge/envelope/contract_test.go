package envelope_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/rotki/notification-bridge/bridge/envelope"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// compileProto compiles a .proto text at run time, the wire options from the real file.
func compileProto(t testing.TB, text string) protoreflect.MessageDescriptor {
	t.Helper()
	const name = "rules.proto"
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(protocompile.CompositeResolver{
		&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(map[string]string{name: text})},
		&protocompile.SourceResolver{ImportPaths: []string{filepath.Join("..", "..", "proto")}},
	})}
	files, err := compiler.Compile(context.Background(), name)
	if err != nil {
		t.Fatalf("compile the test's proto: %v", err)
	}
	return files[0].Messages().ByName("Notification")
}

func rulesDescriptor(t testing.TB) protoreflect.MessageDescriptor {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "rules.proto"))
	if err != nil {
		t.Fatal(err)
	}
	return compileProto(t, string(text))
}

func mustCompile(t testing.TB, md protoreflect.MessageDescriptor) *envelope.Contract {
	t.Helper()
	c, err := envelope.Compile(md)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func rotkiContract(t testing.TB) *envelope.Contract {
	t.Helper()
	return mustCompile(t, (*notificationsv1.Notification)(nil).ProtoReflect().Descriptor())
}

func parse(t testing.TB, md protoreflect.MessageDescriptor, text string) *dynamicpb.Message {
	t.Helper()
	m := dynamicpb.NewMessage(md)
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatalf("the test's notification: %v", err)
	}
	return m
}

func TestCompileRefuses(t *testing.T) {
	const head = `syntax = "proto3"; package rules; import "rotki/notifications/v1/wire.proto";` + "\n"
	const one = head + "message Notification { oneof payload { A a = 1; } }\n"
	for _, tc := range []struct{ name, proto, want string }{
		{"field beside the oneof", head + `message Notification { oneof payload { A a = 1; } string x = 2; } message A {}`, "exactly one oneof"},
		{"scalar type", head + `message Notification { oneof payload { string a = 1; } }`, "must be a message"},
		{"bytes", one + `message A { bytes raw = 1; }`, "rules.A.raw: the wire rules have no JSON for a field of type bytes"},
		{"map", one + `message A { map<string, string> m = 1; }`, "rules.A.m: the wire rules have no JSON for a map"},
		{"plain oneof", one + `message A { oneof kind { B b = 1; } } message B {}`, "rules.A.kind: a oneof needs the discriminator"},
		{"scalar choice", one + `message A { oneof kind { option (rotki.notifications.v1.discriminator) = "k"; string b = 1; } }`, "rules.A.b"},
		{"choice of a list", one + `message A { oneof kind { option (rotki.notifications.v1.discriminator) = "k"; B b = 1; } }
			message B { option (rotki.notifications.v1.shape) = SHAPE_BARE; repeated string s = 1; }`, "rules.A.b: only an object"},
		{"choice of itself", one + `message A { oneof kind { option (rotki.notifications.v1.discriminator) = "k"; A b = 1; } }`, "rules.A.b: only an object"},
		{"discriminator that is a field", one + `message A { string k = 2; oneof kind { option (rotki.notifications.v1.discriminator) = "k"; B b = 1; } } message B {}`, `the key "k"`},
		{"flattened field that clashes", one + `message A { string x = 2; oneof kind { option (rotki.notifications.v1.discriminator) = "k"; B b = 1; } } message B { string x = 1; }`, `the key "x"`},
		{"bare of two", one + `message A { option (rotki.notifications.v1.shape) = SHAPE_BARE; repeated string s = 1; string t = 2; }`, "rules.A: a bare message"},
		{"bare that may be left out", one + `message A { option (rotki.notifications.v1.shape) = SHAPE_BARE; optional string s = 1; }`, "rules.A.s: a bare message"},
		{"bare of itself", one + `message A { option (rotki.notifications.v1.shape) = SHAPE_BARE; repeated B b = 1; }
			message B { option (rotki.notifications.v1.shape) = SHAPE_BARE; repeated A a = 1; }`, "cannot consist of itself"},
		{"two values of one name", one + `message A { E e = 1; } enum E { E_UNSPECIFIED = 0; E_A = 1; E_B = 2 [(rotki.notifications.v1.json_value) = "a"]; }`, `would be "a"`},
		{"tuple that may leave out", one + `message A { option (rotki.notifications.v1.shape) = SHAPE_TUPLE; optional string s = 1; }`, "rules.A.s: a tuple"},
		{"plain nullable", one + `message A { string s = 1 [(rotki.notifications.v1.nullable) = true]; }`, "rules.A.s: only an optional"},
		{"enum without unspecified", one + `message A { E e = 1; } enum E { E_RED = 0; }`, "rules.E"},
		{"enum value without prefix", one + `message A { E e = 1; } enum E { E_UNSPECIFIED = 0; BLUE = 1; }`, "rules.BLUE"},
		{"enum alias", one + `message A { E e = 1; } enum E { option allow_alias = true; E_UNSPECIFIED = 0; E_A = 1; E_B = 1; }`, "alias"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := envelope.Compile(compileProto(t, tc.proto))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestTypes(t *testing.T) {
	c := rotkiContract(t)
	if len(c.Types()) < 5 || c.Types()[0] != "legacy" {
		t.Errorf("types: %v", c.Types())
	}
	if !c.Has("login_status") || c.Has("payload") {
		t.Error("Has does not follow the oneof")
	}
}
