package proto_test

import (
	"strings"
	"testing"
)

// jsonBreaks are changes that buf lets pass, since the wire options decide about them.
var jsonBreaks = []struct {
	name  string
	edits []edit
	want  []string // lines of contract-diff
}{
	{
		"nullable to optional",
		[]edit{{
			"migrations.proto",
			"Example: \"Renaming asset identifiers.\".\n  optional string description = 4 [(nullable) = true];",
			"Example: \"Renaming asset identifiers.\".\n  optional string description = 4;",
		}},
		[]string{"db_upgrade_status.current_upgrade.description: may now be missing"},
	},
	{
		"optional to nullable",
		[]edit{{"premium.proto", "optional string reason = 3;", "optional string reason = 3 [(nullable) = true];"}},
		[]string{"premium_status_update.reason: may now be null"},
	},
	{
		"changed JSON name of an enum value",
		[]edit{{"services.proto", `[(json_value) = "gnosis pay"]`, `[(json_value) = "gnosispay"]`}},
		[]string{`missing_api_key.service: the value "gnosis pay" is gone`},
	},
	{
		"dropped JSON name of an enum value",
		[]edit{{"services.proto", ` [(json_value) = "gnosis pay"]`, ""}},
		[]string{`missing_api_key.service: the value "gnosis pay" is gone`},
	},
	{
		"added JSON name of an enum value",
		[]edit{{"services.proto", "SERVICE_THEGRAPH = 6;", `SERVICE_THEGRAPH = 6 [(json_value) = "the graph"];`}},
		[]string{`missing_api_key.service: the value "thegraph" is gone`},
	},
	{
		"tuple to object",
		[]edit{{"history.proto", "  option (shape) = SHAPE_TUPLE;\n\n  // Its begin", "  // Its begin"}},
		[]string{
			"evm_transaction_status.period: was a tuple, is now an object",
			"history_events_status.period: was a tuple, is now an object",
			"transaction_status[subtype=bitcoin].period: was a tuple, is now an object",
		},
	},
	{
		"list to object",
		[]edit{{"accounts.proto", "  option (shape) = SHAPE_BARE;\n\n  // The addresses", "  // The addresses"}},
		[]string{"evm_address_migration: was a list, is now an object"},
	},
	{
		"another discriminator",
		[]edit{{"premium.proto", `option (discriminator) = "type";`, `option (discriminator) = "step";`}},
		[]string{"database_upload_progress[type=compressing]: the variant is gone"},
	},
}

func TestBreakingRefusesAsJSON(t *testing.T) {
	requireBuf(t)
	for _, test := range jsonBreaks {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := checkout(t, test.edits...)
			output, err := runMake(t, dir, "breaking")
			if err == nil {
				t.Fatalf("make breaking let it pass:\n%s", output)
			}
			for _, want := range test.want {
				if !strings.Contains(output, "\n"+want+"\n") {
					t.Errorf("make breaking does not say %q:\n%s", want, output)
				}
			}
			if output, err := runMake(t, dir, "release-contract"); err == nil {
				t.Errorf("make release-contract released it:\n%s", output)
			}
			requireReleased(t, dir)
		})
	}
}

var addedValue = edit{
	"services.proto", "  SERVICE_MONERIUM = 8;\n",
	"  SERVICE_MONERIUM = 8;\n  // Another: \"an other\" on the wire.\n  SERVICE_OTHER = 9 [(json_value) = \"an other\"];\n",
}

func TestBreakingPassesAsJSON(t *testing.T) {
	requireBuf(t)
	t.Parallel()
	dir := checkout(
		t,
		edit{
			"progress.proto", "    HistoricalBalanceProcessing historical_balance_processing = 10;\n",
			"    HistoricalBalanceProcessing historical_balance_processing = 10;\n" +
				"    // Files are counted.\n    FileCount file_count = 11;\n",
		},
		edit{
			"progress.proto", "// HistoricalBalanceProcessing has",
			"// FileCount is a count of files.\nmessage FileCount {\n  // The folder. Example: \"/tmp\".\n  optional string folder = 1;\n}\n\n" +
				"// HistoricalBalanceProcessing has",
		},
		addedValue,
		edit{"premium.proto", "optional string reason = 3;", "optional string reason = 3;\n  // Optional: since when. Example: 1.\n  optional uint64 since = 4;"},
	)
	if output, err := runMake(t, dir, "breaking"); err != nil {
		t.Errorf("make breaking: %v:\n%s", err, output)
	}
}

func TestReleaseContractAsJSON(t *testing.T) {
	requireBuf(t)
	t.Parallel()
	dir := checkout(t, addedValue)
	if output, err := runMake(t, dir, "release-contract"); err != nil {
		t.Fatalf("make release-contract: %v:\n%s", err, output)
	}
	apply(t, dir, edit{"services.proto", `"an other"]`, `"another"]`})
	output, err := runMake(t, dir, "breaking")
	if want := "\nmissing_api_key.service: the value \"an other\" is gone\n"; err == nil || !strings.Contains(output, want) {
		t.Errorf("make breaking: %v, want it to hold on to the newly released value:\n%s", err, output)
	}
}

// TestGenerateRefusesWhatHasNoJSON shows that the plugin's errors get to whoever runs make.
func TestGenerateRefusesWhatHasNoJSON(t *testing.T) {
	requireBuf(t)
	t.Parallel()
	dir := checkout(t, edit{"premium.proto", "optional string reason = 3;", "bytes raw = 4;\n  optional string reason = 3;"})
	output, err := runMake(t, dir, "breaking")
	if want := "rotki.notifications.v1.PremiumStatusUpdate.raw: the wire rules have no JSON"; err == nil || !strings.Contains(output, want) {
		t.Errorf("make breaking: %v, want %q:\n%s", err, want, output)
	}
}
