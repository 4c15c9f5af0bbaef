package schema_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rotki/notification-bridge/bridge/envelope"
	"github.com/rotki/notification-bridge/bridge/schema"
)

type asyncReference struct {
	Ref string `json:"$ref"`
}

// asyncDocument is what AsyncAPI 3.0 demands of the document, and what the bridge promises in it.
type asyncDocument struct {
	AsyncAPI string
	Info     struct{ Title, Version string }
	Servers  map[string]struct{ Host, Protocol string }
	Channels map[string]struct {
		Address  string
		Servers  []asyncReference
		Messages map[string]asyncReference
	}
	Operations map[string]struct {
		Action   string
		Channel  asyncReference
		Messages []asyncReference
	}
	Components struct {
		Messages map[string]struct {
			Name, Title, Summary, Description, ContentType string
			Payload                                        asyncReference
			Examples                                       []struct {
				Name    string
				Payload json.RawMessage
			}
		}
		Schemas map[string]json.RawMessage
	}
}

func TestAsyncAPI(t *testing.T) {
	for name, c := range map[string]*envelope.Contract{"rotki": rotkiContract(t), "rules": rulesContract(t)} {
		t.Run(name, func(t *testing.T) {
			raw := schema.AsyncAPI(c, "v1.2.3")
			var document asyncDocument
			if err := json.Unmarshal(raw, &document); err != nil {
				t.Fatal(err)
			}
			testAsyncStructure(t, document, c.Types())
			testReferences(t, raw)
			testAsyncMessages(t, raw, document, c, name == "rotki")
		})
	}
}

func testAsyncStructure(t *testing.T, document asyncDocument, types []string) {
	if document.AsyncAPI != "3.0.0" || document.Info.Title == "" || document.Info.Version != "v1.2.3" {
		t.Errorf("asyncapi %q, info %+v", document.AsyncAPI, document.Info)
	}
	if server := document.Servers["local"]; server.Host != "127.0.0.1:5043" || server.Protocol != "ws" {
		t.Errorf("server %+v", server)
	}
	channel := document.Channels["notifications"]
	if channel.Address != "/ws/" || !slices.Equal(channel.Servers, []asyncReference{{"#/servers/local"}}) {
		t.Errorf("channel %+v", channel)
	}
	operation := document.Operations["receiveNotifications"]
	if operation.Action != "receive" || operation.Channel.Ref != "#/channels/notifications" {
		t.Errorf("operation %+v", operation)
	}
	if len(channel.Messages) != len(types) || len(operation.Messages) != len(types) || len(document.Components.Messages) != len(types) {
		t.Errorf("%d, %d and %d messages, want %d", len(channel.Messages), len(operation.Messages), len(document.Components.Messages), len(types))
	}
	for _, typ := range types {
		if channel.Messages[typ].Ref != "#/components/messages/"+typ {
			t.Errorf("the channel's message %s is %q", typ, channel.Messages[typ].Ref)
		}
		if !slices.Contains(operation.Messages, asyncReference{"#/channels/notifications/messages/" + typ}) {
			t.Errorf("the operation lacks %s", typ)
		}
	}
}

// testReferences follows every $ref of a document.
func testReferences(t *testing.T, raw []byte) {
	var document any
	if err := json.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(node any) {
		switch node := node.(type) {
		case []any:
			for _, inner := range node {
				walk(inner)
			}
		case map[string]any:
			if ref, ok := node["$ref"].(string); ok {
				if err := follow(document, ref); err != nil {
					t.Error(err)
				}
			}
			for _, inner := range node {
				walk(inner)
			}
		}
	}
	walk(document)
}

func follow(document any, ref string) error {
	rest, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return fmt.Errorf("%s leads out of the document", ref)
	}
	for step := range strings.SplitSeq(rest, "/") {
		object, _ := document.(map[string]any)
		if document = object[step]; document == nil {
			return fmt.Errorf("%s leads nowhere", ref)
		}
	}
	return nil
}

func testAsyncMessages(t *testing.T, raw []byte, document asyncDocument, c *envelope.Contract, commented bool) {
	current := validator(t, schema.JSONSchema(c, ""), jsonschema.Draft2020, "")
	for typ, message := range document.Components.Messages {
		if message.Name != typ || message.ContentType != "application/json" || message.Title == "" {
			t.Errorf("%s: %+v", typ, message)
		}
		if commented && (message.Summary == "" || message.Description == "") {
			t.Errorf("%s has no summary or no description", typ)
		}
		if len(message.Examples) == 0 {
			t.Errorf("%s has no example", typ)
		}
		payload := validator(t, raw, jsonschema.Draft7, message.Payload.Ref)
		member, _ := c.Type(typ)
		for _, example := range message.Examples {
			good := value(t, example.Payload).(map[string]any)
			if err := payload.Validate(good); err != nil {
				t.Errorf("%s: its payload's schema refuses %s: %v", example.Name, example.Payload, err)
			}
			if err := current.Validate(good); err != nil {
				t.Errorf("%s: the JSON Schema refuses %s: %v", example.Name, example.Payload, err)
			}
			for _, m := range envelopeMutants(member, good) {
				if payload.Validate(m.value) == nil {
					t.Errorf("%s: its payload's schema accepts it with %s", example.Name, m.what)
				}
			}
		}
	}
}

// TestAsyncAPIPayloadsAcceptVectors keeps the second dialect of the schemas to the same golden envelopes.
func TestAsyncAPIPayloadsAcceptVectors(t *testing.T) {
	raw := schema.AsyncAPI(rotkiContract(t), "")
	var document asyncDocument
	if err := json.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	for name, vector := range vectors(t) {
		good := value(t, vector).(map[string]any)
		message := document.Components.Messages[good["type"].(string)]
		if err := validator(t, raw, jsonschema.Draft7, message.Payload.Ref).Validate(good); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
