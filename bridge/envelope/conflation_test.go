package envelope_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/rotki/notification-bridge/bridge/envelope"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

func TestConflationKeys(t *testing.T) {
	md := rulesDescriptor(t)
	c := mustCompile(t, md)
	for _, tc := range []struct{ name, notification, key string }{
		{"a type without the option", `{"progress": {"total": 4, "counting": {"chain": "eth"}}}`, ""},
		{"a variant that is never conflated", `{"task": {"name": "a", "result": {}}}`, ""},
		{"all values", `{"task": {"name": "a", "round": "-7", "done": {"chain": "eth", "color": "COLOR_OFF_WHITE"}}}`, `task,"a","done","eth","off white",-7`},
		{"what the variant does not have", `{"task": {"name": "a", "round": "1", "counting": {"chain": "eth"}}}`, `task,"a","counting","eth",,1`},
		{"what no key names", `{"task": {"name": "a", "round": "1", "processed": 5, "counting": {"chain": "eth", "period": {"to": "1"}}}}`, `task,"a","counting","eth",,1`},
		{"left out, and null", `{"task": {"idle": {}}}`, `task,,"idle",,,null`},
		{"empty, and zero", `{"task": {"name": "", "round": "0", "counting": {}}}`, `task,"","counting","",,0`},
		{"a comma and quotes", `{"task": {"name": "a\",\"counting", "idle": {}}}`, `task,"a\",\"counting","idle",,,null`},
		{"the null of a string", `{"task": {"name": "null", "idle": {}}}`, `task,"null","idle",,,null`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			env, err := c.Encode(parse(t, md, tc.notification))
			if err != nil {
				t.Fatal(err)
			}
			if env.Key != tc.key {
				t.Errorf("the key is %s, want %s", env.Key, tc.key)
			}
			if text := string(env.AppendJSON(nil)); tc.key != "" && strings.Contains(text, tc.key) {
				t.Errorf("the key is in %s", text)
			}
		})
	}
}

// TestConflationKeysOfTheContract says of rotki's own types what is told apart.
func TestConflationKeysOfTheContract(t *testing.T) {
	c := rotkiContract(t)
	for text, want := range map[string]string{
		`{"type":"login_status","data":{"start_db_version":26,"target_db_version":35,"current_upgrade":{"from_db_version":30,"total_steps":8,"current_step":5}}}`:               `login_status,26,35`,
		`{"type":"db_upgrade_status","data":{"start_version":26,"target_version":35,"current_upgrade":{"to_version":30,"total_steps":8,"current_step":5,"description":null}}}`:  `db_upgrade_status,26,35`,
		`{"type":"data_migration_status","data":{"start_version":1,"target_version":8,"current_migration":{"version":8,"total_steps":20,"current_step":3,"description":null}}}`: `data_migration_status,1,8`,
		`{"type":"progress_updates","data":{"total":20,"processed":5,"subtype":"undecoded_transactions","chain":"ethereum"}}`:                                                   `progress_updates,"undecoded_transactions","ethereum",,`,
		`{"type":"progress_updates","data":{"total":20,"processed":5,"subtype":"protocol_cache_updates","protocol":"curve","chain":"ethereum"}}`:                                `progress_updates,"protocol_cache_updates","ethereum","curve",`,
		`{"type":"progress_updates","data":{"total":20,"processed":5,"subtype":"stats_price_query","counterparty":"kraken"}}`:                                                   `progress_updates,"stats_price_query",,,"kraken"`,
		`{"type":"progress_updates","data":{"total":4,"processed":0,"subtype":"liquity_staking_query"}}`:                                                                        `progress_updates,"liquity_staking_query",,,`,
		`{"type":"progress_updates","data":{"total":4,"processed":4,"subtype":"csv_import_result","source_name":"a","messages":[]}}`:                                            "",
		`{"type":"transaction_status","data":{"chain":"ETH","subtype":"solana","address":"a","period":[1,2],"status":"querying_transactions_started"}}`:                         "",
		`{"type":"database_upload_progress","data":{"type":"uploading","current_chunk":1,"total_chunks":4}}`:                                                                    "",
		`{"type":"legacy","data":{"verbosity":"error","value":"it failed"}}`:                                                                                                    "",
	} {
		n := new(notificationsv1.Notification)
		if err := c.Decode([]byte(text), n); err != nil {
			t.Fatalf("the test's envelope %s: %v", text, err)
		}
		env, err := c.Encode(n)
		if err != nil || env.Key != want {
			t.Errorf("the key of %s is %s, want %s; %v", text, env.Key, want, err)
		}
	}
}

func TestCompileRefusesConflation(t *testing.T) {
	const (
		head    = `syntax = "proto3"; package rules; import "rotki/notifications/v1/wire.proto"; message Notification { oneof payload { A a = 1; } }` + "\n"
		by      = `option (rotki.notifications.v1.conflate_by) = `
		never   = ` [(rotki.notifications.v1.never_conflate) = true];`
		oneof   = `oneof kind { option (rotki.notifications.v1.discriminator) = "k"; `
		variant = ` message B { string x = 1; repeated string list = 2; }`
	)
	for _, tc := range []struct{ name, proto, want string }{
		{"a key that is not there", head + `message A { ` + by + `"y"; string x = 1; }`, `rules.A: conflate_by names the key "y", which it does not have`},
		{"a key that no variant has", head + `message A { ` + by + `"y"; ` + oneof + `B b = 1; } }` + variant, `rules.A: conflate_by names the key "y", which it does not have`},
		{"the name of a variant", head + `message A { ` + by + `"b"; ` + oneof + `B b = 1; } }` + variant, `rules.A: conflate_by names the key "b", which it does not have`},
		{"an empty key", head + `message A { ` + by + `""; string x = 1; }`, `rules.A: conflate_by names the key ""`},
		{"a key twice", head + `message A { ` + by + `"x"; ` + by + `"x"; string x = 1; }`, `rules.A: conflate_by names the key "x" twice`},
		{"a list", head + `message A { ` + by + `"x"; repeated string x = 1; }`, `rules.A.x: conflate_by can name scalars and enums only`},
		{"a message", head + `message A { ` + by + `"x"; B x = 1; }` + variant, `rules.A.x: conflate_by can name scalars and enums only`},
		{"a list in a variant", head + `message A { ` + by + `"list"; ` + oneof + `B b = 1; } }` + variant, `rules.B.list: conflate_by can name scalars and enums only`},
		{"a bare message", head + `message A { ` + by + `"x"; option (rotki.notifications.v1.shape) = SHAPE_BARE; repeated string x = 1; }`, `rules.A: conflate_by names keys, and only an object has keys`},
		{"a tuple", head + `message A { ` + by + `"x"; option (rotki.notifications.v1.shape) = SHAPE_TUPLE; string x = 1; }`, `rules.A: conflate_by names keys, and only an object has keys`},
		{"a part of a type", head + `message A { C c = 1; } message C { ` + by + `"x"; string x = 1; }`, `rules.C: conflate_by is for notification types, and it is none`},
		{"a variant", head + `message A { ` + oneof + `C c = 1; } } message C { ` + by + `"x"; string x = 1; }`, `rules.C: conflate_by is for notification types, and it is none`},
		{"an exception without a rule", head + `message A { ` + oneof + `B b = 1` + never + ` } }` + variant, `rules.A.b: never_conflate is for the variants of a message with conflate_by`},
		{"an exception that is no variant", head + `message A { ` + by + `"x"; string x = 1` + never + ` }`, `rules.A.x: never_conflate is for the variants of a message with conflate_by`},
		{
			"an exception for a type", strings.Replace(head, "A a = 1;", "A a = 1"+never, 1) + `message A { ` + by + `"x"; string x = 1; }`,
			`rules.Notification.a: never_conflate is for the variants of a message with conflate_by`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := envelope.Compile(compileProto(t, tc.proto))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

// FuzzConflationKey: two tasks have equal keys exactly when the keys' values are equal.
func FuzzConflationKey(f *testing.F) {
	f.Add("a", int64(1), "eth", "a", int64(1), "eth", uint8(0), uint8(0))
	f.Add(`a","counting","b`, int64(1), "c", "a", int64(1), `b","counting","c`, uint8(0), uint8(7))
	f.Add("null", int64(0), "", "", int64(0), "null", uint8(1), uint8(2))
	md := rulesDescriptor(f)
	c := mustCompile(f, md)
	fields := md.Fields().ByName("task").Message().Fields()
	key := func(t *testing.T, name string, round int64, chain string, what uint8) (key string, values [4]any) {
		n := dynamicpb.NewMessage(md)
		task := n.Mutable(md.Fields().ByName("task")).Message()
		if what&1 == 0 {
			task.Set(fields.ByName("name"), protoreflect.ValueOfString(name))
			values[0] = name
		}
		if what&2 == 0 {
			task.Set(fields.ByName("round"), protoreflect.ValueOfInt64(round))
			values[1] = round
		}
		kind := fields.ByName("idle")
		if what&4 == 0 {
			kind = fields.ByName("counting")
			counting := task.Mutable(kind).Message()
			counting.Set(kind.Message().Fields().ByName("chain"), protoreflect.ValueOfString(chain))
			values[2] = chain
		}
		task.Mutable(kind)
		values[3] = kind.Name()
		env, err := c.Encode(n)
		if err != nil {
			t.Skip(err)
		}
		return env.Key, values
	}
	f.Fuzz(func(t *testing.T, name1 string, round1 int64, chain1, name2 string, round2 int64, chain2 string, what1, what2 uint8) {
		key1, values1 := key(t, name1, round1, chain1, what1)
		key2, values2 := key(t, name2, round2, chain2, what2)
		if (key1 == key2) != (values1 == values2) {
			t.Errorf("%s of %v, and %s of %v", key1, values1, key2, values2)
		}
	})
}
