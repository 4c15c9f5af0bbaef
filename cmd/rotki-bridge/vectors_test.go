package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// Every golden envelope goes through `rotki-bridge publish` and a running bridge, and arrives as it was.
func TestVectorsThroughPublish(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "bridge", "envelope", "testdata", "vectors", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	var lines bytes.Buffer
	var vectors []json.RawMessage
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var vector struct{ Envelope json.RawMessage }
		if err := json.Unmarshal(raw, &vector); err != nil {
			t.Fatal(err)
		}
		vectors = append(vectors, vector.Envelope)
		if err := json.Compact(&lines, vector.Envelope); err != nil {
			t.Fatal(err)
		}
		lines.WriteByte('\n')
	}
	bridge := startProcess(t)
	conn := bridge.subscribe(t, websocket.DefaultDialer, "")
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	publish := exec.Command(path, "publish", "--grpc-addr", bridge.grpc)
	publish.Stdin = &lines
	said, err := publish.CombinedOutput()
	t.Logf("publish said: %s", bytes.TrimSpace(said))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	for i, vector := range vectors {
		_, text, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		var got, want any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(vector, &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s arrived as %s", files[i], text)
		}
	}
}
