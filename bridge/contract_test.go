package bridge_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/bridge/contract"
	"github.com/rotki/notification-bridge/bridge/contract/contracttest"
	gencontract "github.com/rotki/notification-bridge/gen/contract"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// newerImage is the contract with one more type, "again", and what else is edited: pairs of old and new in errors.proto.
func newerImage(t *testing.T, edits ...string) []byte {
	t.Helper()
	protos := contracttest.Read(t, filepath.Join("..", "proto"))
	protos.Edit(t, "notification.proto", "    Legacy legacy = 1;\n", "    Legacy legacy = 1;\n    // Once more.\n    Legacy again = 1000;\n")
	for i := 0; i < len(edits); i += 2 {
		protos.Edit(t, "errors.proto", edits[i], edits[i+1])
	}
	return protos.Image(t)
}

// document asks for one under /contract/.
func (b running) document(t *testing.T, method, name, ifNoneMatch string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+b.HTTPAddr()+"/contract/"+name, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	if ifNoneMatch != "" {
		request.Header.Set("If-None-Match", ifNoneMatch)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

var documents = []struct{ name, contentType string }{
	{"", "text/plain; charset=utf-8"},
	{"rotki-notifications.schema.json", "application/schema+json"},
	{"asyncapi.json", "application/vnd.aai.asyncapi+json"},
	{"rotki-notifications.d.ts", "application/typescript; charset=utf-8"},
	{"contract.binpb", "application/protobuf"},
}

func TestContractDocuments(t *testing.T) {
	b := start(t, bridge.Config{Upstream: upstream(t).URL}) // which must not be asked
	for _, tc := range documents {
		response, body := b.document(t, http.MethodGet, tc.name, "")
		etag := response.Header.Get("ETag")
		if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != tc.contentType || etag == "" {
			t.Errorf("%s: %d, %v", tc.name, response.StatusCode, response.Header)
		}
		if want, err := gencontract.Files.ReadFile(tc.name); tc.name != "" && (err != nil || body != string(want)) {
			t.Errorf("%s is not the generated one (%v)", tc.name, err)
		}
		head, nothing := b.document(t, http.MethodHead, tc.name, "")
		if head.StatusCode != http.StatusOK || head.ContentLength != int64(len(body)) || nothing != "" || head.Header.Get("ETag") != etag {
			t.Errorf("HEAD %s: %d, %d bytes, %v", tc.name, head.StatusCode, head.ContentLength, head.Header)
		}
		if same, nothing := b.document(t, http.MethodGet, tc.name, etag); same.StatusCode != http.StatusNotModified || nothing != "" {
			t.Errorf("%s, unchanged: %d", tc.name, same.StatusCode)
		}
		if other, again := b.document(t, http.MethodGet, tc.name, `"other"`); other.StatusCode != http.StatusOK || again != body {
			t.Errorf("%s, changed: %d", tc.name, other.StatusCode)
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
			if refused, _ := b.document(t, method, tc.name, ""); refused.StatusCode != http.StatusMethodNotAllowed || refused.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, %v", method, tc.name, refused.StatusCode, refused.Header)
			}
		}
	}
	_, index := b.document(t, http.MethodGet, "", "")
	for _, tc := range documents {
		if !strings.Contains(index, "/contract/"+tc.name+"\n") && tc.name != "" {
			t.Errorf("the index does not name %s:\n%s", tc.name, index)
		}
	}
	for _, name := range []string{"nonsense", "contract.binpb/", "rotki-notifications.schema.json/x"} {
		if response, body := b.document(t, http.MethodGet, name, ""); response.StatusCode != http.StatusNotFound || !strings.Contains(body, "/contract/") {
			t.Errorf("%s: %d %s", name, response.StatusCode, body)
		}
	}
	for _, path := range []string{"/contract", "/contracts/", "/api/1/contract/"} {
		if status, body := get(t, "http://"+b.HTTPAddr()+path); status != http.StatusTeapot {
			t.Errorf("%s was not answered by the upstream: %d %s", path, status, body)
		}
	}
}

// TestReload: the pipeline, types= and the documents follow the contract in force; who is connected stays so.
func TestReload(t *testing.T) {
	builtin, err := contract.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "contract.binpb")
	write := func(image []byte) {
		t.Helper()
		if err := os.WriteFile(path, image, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(builtin.Image())
	b := start(t, bridge.Config{Contract: path})
	conn, p := b.subscribe(t, ""), b.publisher(t)
	// For the generated types the new one is a field that they do not know.
	again := &notificationsv1.PublishRequest{Notification: new(notificationsv1.Notification)}
	again.Notification.ProtoReflect().SetUnknown([]byte{0xc2, 0x3e, 4, 8, 1, 0x12, 0})
	const envelope = `{"type":"again","data":{"verbosity":"warning","value":""}}`

	rejected := p.publish(t, again).GetRejected()
	if rejected.GetReason() != notificationsv1.Reason_REASON_UNKNOWN_TO_CONTRACT || !strings.Contains(rejected.GetMessage(), "field number 1000 of rotki.notifications.v1.Notification") ||
		!strings.Contains(rejected.GetMessage(), "update the bridge, or load a newer contract with --contract") {
		t.Errorf("a type that it does not know: %v", rejected)
	}
	status, text := get(t, "http://"+b.HTTPAddr()+"/contract/rotki-notifications.d.ts")
	if status != http.StatusOK || strings.Contains(text, `"again"`) {
		t.Errorf("before the reload: %d %s", status, text)
	}

	write(newerImage(t))
	if err := b.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := p.accepted(t, again).GetSubscribers(); got != 1 {
		t.Errorf("it was for %d subscribers", got)
	}
	if got := receive(t, conn); got != envelope {
		t.Errorf("received %s, want %s", got, envelope)
	}
	choosy := b.subscribe(t, "?types=again")
	for _, tc := range documents {
		if _, text := b.document(t, http.MethodGet, tc.name, ""); !strings.Contains(text, "again") {
			t.Errorf("%s does not know the new type", tc.name)
		}
	}
	p.accepted(t, &notificationsv1.PublishRequest{Notification: legacy("known")})
	p.accepted(t, again)
	if got := receive(t, choosy); got != envelope {
		t.Errorf("received %s, want %s", got, envelope)
	}

	for name, bad := range map[string]struct {
		image []byte
		want  string
	}{
		"renamed field": {newerImage(t, "  string value = 2;\n", "  string text = 2;\n"), "Legacy.value: its name was value, and is text"},
		"no image":      {[]byte("{}"), "is no descriptor image"},
		"empty":         {nil, "is no descriptor image"},
	} {
		write(bad.image)
		if err := b.Reload(); err == nil || !strings.Contains(err.Error(), bad.want) || !strings.HasPrefix(err.Error(), "--contract: "+path) {
			t.Errorf("%s: %v, want it refused: %s", name, err, bad.want)
		}
		if got := p.publish(t, again); got.GetAccepted() == nil {
			t.Errorf("%s: the contract that was in force is not any more: %v", name, got)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := b.Reload(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("no file: %v", err)
	}

	write(builtin.Image())
	if err := b.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := p.publish(t, again); got.GetRejected() == nil {
		t.Errorf("a contract that has forgotten the type still accepts it: %v", got)
	}
}

func TestReloadWithoutContract(t *testing.T) {
	b := start(t, bridge.Config{})
	if err := b.Reload(); err == nil || !strings.Contains(err.Error(), "without --contract") {
		t.Errorf("got %v", err)
	}
}

// TestReloadsMeetPublishes is for the race detector: reloads, publishes and handshakes at the same time.
func TestReloadsMeetPublishes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "contract.binpb")
	if err := os.WriteFile(path, newerImage(t), 0o600); err != nil {
		t.Fatal(err)
	}
	b := start(t, bridge.Config{Contract: path})
	done := make(chan error, 1)
	go func() {
		for range 20 {
			if err := b.Reload(); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	p := b.publisher(t)
	for {
		conn := b.subscribe(t, "?types=again,legacy")
		p.accepted(t, &notificationsv1.PublishRequest{Notification: legacy("x")})
		if got := receive(t, conn); got != legacyEnvelope("x") {
			t.Errorf("received %s", got)
		}
		_ = conn.Close()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}
