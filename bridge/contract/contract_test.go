package contract_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rotki/notification-bridge/bridge/contract"
	"github.com/rotki/notification-bridge/bridge/contract/contracttest"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

var protoDir = filepath.Join("..", "..", "proto")

func builtin(t testing.TB) *contract.Contract {
	t.Helper()
	c, err := contract.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func load(t testing.TB, image []byte) *contract.Contract {
	t.Helper()
	c, err := contract.Load(image)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestImageIsTheBuiltin: the image in gen/contract, and what proto/ compiles to, are the contract of the generated types.
func TestImageIsTheBuiltin(t *testing.T) {
	for name, image := range map[string][]byte{
		"gen/contract": builtin(t).Image(),
		"proto":        contracttest.Read(t, protoDir).Image(t),
	} {
		c := load(t, image)
		if err := contract.Extends(c, builtin(t)); err != nil {
			t.Errorf("%s is not what was built: %v", name, err)
		}
		if err := contract.Extends(builtin(t), c); err != nil {
			t.Errorf("what was built is not %s: %v", name, err)
		}
		file := c.Notification().ParentFile()
		if text := file.SourceLocations().ByDescriptor(c.Notification()).LeadingComments; !strings.Contains(text, "one message for rotki's frontend") {
			t.Errorf("%s has lost its comments: %q", name, text)
		}
	}
}

func TestBeyond(t *testing.T) {
	protos := contracttest.Read(t, protoDir)
	protos.Edit(t, "notification.proto", "    Legacy legacy = 1;\n", "    Legacy legacy = 1;\n    Legacy again = 1001;\n    Legacy once_more = 1000;\n")
	newer := load(t, protos.Image(t))
	if got := newer.Beyond(builtin(t)); !slices.Equal(got, []string{"again", "once_more"}) {
		t.Errorf("beyond the built-in contract it has %q", got)
	}
	if got := builtin(t).Beyond(newer); len(got) != 0 {
		t.Errorf("it lacks %q", got)
	}
}

// TestParse: what the generated types keep as unknown bytes, at any depth, is there in a message of a newer contract.
func TestParse(t *testing.T) {
	protos := contracttest.Read(t, protoDir)
	protos.Edit(t, "migrations.proto", "  // Steps that the running upgrade consists of; 0 in the first message of an upgrade. Example: 8.\n",
		"  optional string hint = 9;\n  // Steps that the running upgrade consists of; 0 in the first message of an upgrade. Example: 8.\n")
	c := load(t, protos.Image(t))
	n := &notificationsv1.Notification{Payload: &notificationsv1.Notification_LoginStatus{
		LoginStatus: &notificationsv1.LoginStatus{CurrentUpgrade: &notificationsv1.CurrentUpgrade{TotalSteps: 8}},
	}}
	const without = `{"start_db_version":0,"target_db_version":0,"current_upgrade":{"from_db_version":0,"total_steps":8,"current_step":0}}`
	if got, err := encode(c, n); err != nil || got != without {
		t.Errorf("got %s, %v, want %s", got, err, without)
	}
	hint := func(text string) []byte {
		return protowire.AppendString(protowire.AppendTag(nil, 9, protowire.BytesType), text)
	}
	n.GetLoginStatus().GetCurrentUpgrade().ProtoReflect().SetUnknown(hint("🚀"))
	const with = `{"start_db_version":0,"target_db_version":0,"current_upgrade":{"from_db_version":0,"hint":"🚀","total_steps":8,"current_step":0}}`
	if got, err := encode(c, n); err != nil || got != with {
		t.Errorf("got %s, %v, want %s", got, err, with)
	}
	if got, err := encode(builtin(t), n); err == nil || !strings.Contains(err.Error(), "login_status.current_upgrade: has field number 9") {
		t.Errorf("the built-in contract made %s of it, %v", got, err)
	}
	n.GetLoginStatus().GetCurrentUpgrade().ProtoReflect().SetUnknown(hint("\xff"))
	if m, err := c.Parse(n); err == nil {
		t.Errorf("text that is no UTF-8 was parsed: %v", m)
	}
}

func encode(c *contract.Contract, n *notificationsv1.Notification) (string, error) {
	m, err := c.Parse(n)
	if err != nil {
		return "", err
	}
	env, err := c.Encode(m)
	return string(env.Data), err
}

func TestLoadRefuses(t *testing.T) {
	wire := func(old, replacement string) []byte {
		protos := contracttest.Read(t, protoDir)
		protos.Edit(t, "wire.proto", old, replacement)
		return protos.Image(t)
	}
	service := contracttest.Protos{"a.proto": `syntax = "proto3"; package a; message Notification {}`}.Image(t)
	notAMessage := contracttest.Protos{"a.proto": `syntax = "proto3"; package rotki.notifications.v1; enum Notification { A = 0; }`}.Image(t)
	noOneof := contracttest.Protos{"a.proto": `syntax = "proto3"; package rotki.notifications.v1; message Notification { string a = 1; }`}.Image(t)
	for _, tc := range []struct {
		name  string
		image []byte
		want  string
	}{
		{"nothing", nil, "is no descriptor image: make one with `buf build"},
		{"text", []byte("syntax = \"proto3\";\n"), "is no descriptor image"},
		{"cut off", builtin(t).Image()[:1000], "is no descriptor image"},
		{"another message", must(proto.Marshal(&notificationsv1.Legacy{Value: "x"})), "is no descriptor image"},
		{"without imports", withoutImports(t), "--include_imports"},
		{"another package", service, "has no message rotki.notifications.v1.Notification"},
		{"no message", notAMessage, "is no message"},
		{"no oneof", noOneof, "exactly one oneof"},
		{
			"a wire option inside a message", wire("extend google.protobuf.FieldOptions {\n",
				"message More {\n  extend google.protobuf.FieldOptions {\n    bool upper = 51999;\n  }\n}\n\nextend google.protobuf.FieldOptions {\n"),
			"More.upper: this bridge does not know that wire option",
		},
		{"a wire option that is newer", wire("  bool nullable = 51001;\n", "  bool nullable = 51001;\n  bool hidden = 51999;\n"), "hidden: this bridge does not know that wire option"},
		{"a wire option of another number", wire("  string discriminator = 51001;\n", "  string discriminator = 51009;\n"), "discriminator: this bridge does not know"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := contract.Load(tc.image); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestReadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.binpb")
	if _, err := contract.Read(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := contract.Read(path); err == nil || !strings.Contains(err.Error(), path+": is no descriptor image") {
		t.Errorf("no image: %v", err)
	}
	if err := os.WriteFile(path, builtin(t).Image(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := contract.Read(path); err != nil {
		t.Error(err)
	}
}
