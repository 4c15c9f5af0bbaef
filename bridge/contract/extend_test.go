package contract_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/rotki/notification-bridge/bridge/contract"
	"github.com/rotki/notification-bridge/bridge/contract/contracttest"
)

func must(raw []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return raw
}

// withoutImports is what protoc makes without --include_imports.
func withoutImports(t testing.TB) []byte {
	t.Helper()
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(builtin(t).Image(), set); err != nil {
		t.Fatal(err)
	}
	for _, file := range set.GetFile() {
		if strings.HasSuffix(file.GetName(), "/notification.proto") {
			return must(proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{file}}))
		}
	}
	t.Fatal("the image has no notification.proto")
	return nil
}

type edit struct{ file, old, new string }

func TestExtends(t *testing.T) {
	const (
		legacyValue = "  string value = 2;\n"
		verbosity   = "  VERBOSITY_ERROR = 2;\n"
		tupleEnd    = "  // Its end, in seconds of Unix time. Example: 1700000000.\n  int64 to = 2;\n"
	)
	for _, tc := range []struct {
		name  string
		edits []edit
		want  string // empty for a compatible extension
	}{
		{"nothing", nil, ""},
		{"a type", []edit{{"notification.proto", "    Legacy legacy = 1;\n", "    Legacy legacy = 1;\n    Legacy again = 1000;\n"}}, ""},
		{"a plain field", []edit{{"errors.proto", legacyValue, legacyValue + "  string more = 3;\n"}}, ""},
		{"an optional enum", []edit{{"errors.proto", legacyValue, legacyValue + "  optional Verbosity more = 3;\n"}}, ""},
		{"a list of messages", []edit{{"errors.proto", legacyValue, legacyValue + "  repeated Legacy more = 3;\n"}}, ""},
		{"an enum value", []edit{{"errors.proto", verbosity, verbosity + "  VERBOSITY_INFO = 3;\n"}}, ""},
		{"a variant", []edit{{"progress.proto", "    LiquityStakingQuery liquity", "    LiquityStakingQuery again = 90;\n    LiquityStakingQuery liquity"}}, ""},
		{"another order", []edit{{"errors.proto", "  Verbosity verbosity = 1;\n", ""}, {"errors.proto", legacyValue, legacyValue + "  Verbosity verbosity = 1;\n"}}, ""},
		{"another key of conflation", []edit{{"progress.proto", "  option (conflate_by) = \"chain\";\n", ""}}, ""},
		{"conflation where there was none", []edit{{"premium.proto", "message DatabaseUploadProgress {\n", "message DatabaseUploadProgress {\n  option (conflate_by) = \"type\";\n"}}, ""},
		{"conflation without an exception", []edit{{"progress.proto", "csv_import_result = 5 [(never_conflate) = true]", "csv_import_result = 5"}}, ""},
		{"another comment", []edit{{"errors.proto", "// Legacy is a message", "// Legacy is still a message"}}, ""},

		{"conflation by what is no key", []edit{{"progress.proto", "(conflate_by) = \"chain\"", "(conflate_by) = \"place\""}}, `ProgressUpdates: conflate_by names the key "place", which it does not have`},

		{"a type gone", []edit{{"notification.proto", "    Legacy legacy = 1;\n", ""}}, "Notification.legacy: field number 1 is gone"},
		{"a type renamed", []edit{{"notification.proto", "Legacy legacy = 1", "Legacy legacy_message = 1"}}, "Notification.legacy: its name was legacy, and is legacy_message"},
		{"a type's message", []edit{{"notification.proto", "Legacy legacy = 1", "LoginStatus legacy = 1"}}, "Notification.legacy: its type was rotki.notifications.v1.Legacy, and is rotki.notifications.v1.LoginStatus"},
		{"a field renamed", []edit{{"errors.proto", legacyValue, "  string text = 2;\n"}}, "Legacy.value: its name was value, and is text"},
		{"a field renumbered", []edit{{"errors.proto", legacyValue, "  string value = 3;\n"}}, "Legacy.value: its number was 2, and is 3"},
		{"a field gone", []edit{{"errors.proto", legacyValue, ""}}, "Legacy.value: field number 2 is gone"},
		{"a field's type", []edit{{"errors.proto", legacyValue, "  int64 value = 2;\n"}}, "Legacy.value: its type was string, and is int64"},
		{"a field that is repeated", []edit{{"errors.proto", legacyValue, "  repeated string value = 2;\n"}}, "Legacy.value: its cardinality was optional, and is repeated"},
		{"a field that is optional", []edit{{"errors.proto", legacyValue, "  optional string value = 2;\n"}}, "Legacy.value: its being optional was false, and is true"},
		{"a field that is not nullable", []edit{{"history.proto", "optional string protocol = 2 [(nullable) = true]", "optional string protocol = 2"}}, "BalanceBucket.protocol: its being nullable was true, and is false"},
		{"a field moved into a oneof", []edit{
			{"progress.proto", "  int64 total = 1;\n", ""},
			{"progress.proto", "  // The task; its name is the \"subtype\" inside \"data\". Required.\n", "  oneof sum { int64 total = 1; }\n"},
		}, "ProgressUpdates.sum: a oneof needs the discriminator option"},
		{"an enum of another", []edit{{"errors.proto", "  Verbosity verbosity = 1;\n", "  Loudness verbosity = 1;\n"}, {"errors.proto", "enum Verbosity {", "enum Loudness {"}}, "Legacy.verbosity: its type was rotki.notifications.v1.Verbosity"},
		{"an enum value renamed", []edit{{"errors.proto", "VERBOSITY_ERROR = 2", "VERBOSITY_FAILURE = 2"}}, "Verbosity.VERBOSITY_ERROR: enum value 2 is called VERBOSITY_FAILURE"},
		{"an enum value gone", []edit{{"errors.proto", verbosity, ""}}, "Verbosity.VERBOSITY_ERROR: enum value 2 is gone"},
		{"an enum value's JSON", []edit{{"services.proto", `"gnosis pay"];`, `"gnosispay"];`}}, `Service.SERVICE_GNOSIS_PAY: its json_value was "gnosis pay", and is "gnosispay"`},
		{"a shape", []edit{{"history.proto", "  option (shape) = SHAPE_TUPLE;\n", ""}}, "Period: its shape was SHAPE_TUPLE, and is SHAPE_UNSPECIFIED"},
		{"a discriminator", []edit{{"premium.proto", `(discriminator) = "type"`, `(discriminator) = "kind"`}}, `DatabaseUploadProgress.step: its discriminator was "type", and is "kind"`},
		{"a tuple that is longer", []edit{{"history.proto", tupleEnd, tupleEnd + "  int64 step = 3;\n"}}, "Period.step: it is new, and would lengthen the array that Period is"},
		{"a message that must be set", []edit{{"errors.proto", legacyValue, legacyValue + "  BalanceSnapshotError cause = 3;\n"}}, "Legacy.cause: it is new and must be set"},
		{"an enum that must be set", []edit{{"errors.proto", legacyValue, legacyValue + "  Verbosity volume = 3;\n"}}, "Legacy.volume: it is new and must be set"},
		{"a choice that must be made", []edit{
			{"errors.proto", "package rotki.notifications.v1;\n", "package rotki.notifications.v1;\nimport \"rotki/notifications/v1/wire.proto\";\n"},
			{"errors.proto", legacyValue, legacyValue + "  oneof cause { option (discriminator) = \"cause\"; BalanceSnapshotError snapshot = 3; }\n"},
		}, "Legacy.cause: it is new and must be set"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			protos := contracttest.Read(t, protoDir)
			for _, e := range tc.edits {
				protos.Edit(t, e.file, e.old, e.new)
			}
			newer, err := contract.Load(protos.Image(t))
			if err == nil {
				err = contract.Extends(newer, builtin(t))
			}
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}
