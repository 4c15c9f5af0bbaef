package envelope_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// TestVectors holds the contract against golden envelopes: a changed wire option, which buf cannot see, fails here.
func TestVectors(t *testing.T) {
	c := rotkiContract(t)
	seen := make(map[string]bool)
	for name, raw := range readVectors(t) {
		t.Run(name, func(t *testing.T) {
			var n notificationsv1.Notification
			if err := c.Decode(raw, &n); err != nil {
				t.Fatalf("decode: %v", err)
			}
			env, err := c.Encode(&n)
			if err != nil {
				t.Fatalf("encode: %v", err)
			}
			seen[env.Type] = true
			var got, want any
			if err := json.Unmarshal(env.AppendJSON(nil), &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %s\nwant %s", env.AppendJSON(nil), raw)
			}
		})
	}
	for _, name := range c.Types() {
		if !seen[name] {
			t.Errorf("no golden envelope of type %s in testdata/vectors", name)
		}
	}
}

// readVectors returns the golden envelopes by file name.
func readVectors(t testing.TB) map[string]json.RawMessage {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	vectors := make(map[string]json.RawMessage)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var vector struct{ Envelope json.RawMessage }
		if err := json.Unmarshal(raw, &vector); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		vectors[filepath.Base(file)] = vector.Envelope
	}
	return vectors
}
