package bridge_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/bridge/envelope"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

func do(t testing.TB, request *http.Request) (status int, body string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// TestVectors sends every golden envelope through a bridge, in both of its forms.
func TestVectors(t *testing.T) {
	contract, err := envelope.Compile((*notificationsv1.Notification)(nil).ProtoReflect().Descriptor())
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, bridge.Config{})
	p, plain, text := b.publisher(t), b.subscribe(t, ""), b.subscribe(t, "?data=string")
	files, err := filepath.Glob(filepath.Join("envelope", "testdata", "vectors", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var vector struct{ Envelope json.RawMessage }
		if err := json.Unmarshal(raw, &vector); err != nil {
			t.Fatal(err)
		}
		n := new(notificationsv1.Notification)
		if err := contract.Decode(vector.Envelope, n); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if got := p.accepted(t, &notificationsv1.PublishRequest{Notification: n}); got.GetSubscribers() != 2 || got.GetPosition() == "" {
			t.Errorf("%s: accepted as %v", file, got)
		}
		if got := receive(t, plain); !sameJSON(t, got, string(vector.Envelope)) {
			t.Errorf("%s: received %s", file, got)
		}
		var stringified struct{ Type, Data string }
		if err := json.Unmarshal([]byte(receive(t, text)), &stringified); err != nil {
			t.Fatalf("%s: data=string: %v", file, err)
		}
		if got := fmt.Sprintf(`{"type":%q,"data":%s}`, stringified.Type, stringified.Data); !sameJSON(t, got, string(vector.Envelope)) {
			t.Errorf("%s: data=string held %s", file, got)
		}
	}
}

// TestRejected: each bad request is refused by field path, and the stream goes on.
func TestRejected(t *testing.T) {
	b := start(t, bridge.Config{MaxMessageBytes: 10_000})
	p, subscriber := b.publisher(t), b.subscribe(t, "")
	notification := func(payload *notificationsv1.Notification) *notificationsv1.PublishRequest {
		return &notificationsv1.PublishRequest{Notification: payload}
	}
	newer := &notificationsv1.Notification{}
	newer.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 99, protowire.BytesType), nil))
	for i, tc := range []struct {
		name    string
		request *notificationsv1.PublishRequest
		field   string
		reason  notificationsv1.Reason
	}{
		{"no notification", &notificationsv1.PublishRequest{}, "notification", notificationsv1.Reason_REASON_PAYLOAD_MISSING},
		{"unset oneof", notification(&notificationsv1.Notification{}), "payload", notificationsv1.Reason_REASON_PAYLOAD_MISSING},
		{
			"unspecified enum", notification(&notificationsv1.Notification{Payload: &notificationsv1.Notification_Legacy{
				Legacy: &notificationsv1.Legacy{Value: "x"},
			}}), "legacy.verbosity", notificationsv1.Reason_REASON_INVALID_FIELD,
		},
		{
			"unknown enum number", notification(&notificationsv1.Notification{Payload: &notificationsv1.Notification_Legacy{
				Legacy: &notificationsv1.Legacy{Verbosity: 7},
			}}), "legacy.verbosity", notificationsv1.Reason_REASON_UNKNOWN_TO_CONTRACT,
		},
		{
			"missing current_upgrade", notification(&notificationsv1.Notification{Payload: &notificationsv1.Notification_LoginStatus{
				LoginStatus: &notificationsv1.LoginStatus{StartDbVersion: 26},
			}}), "login_status.current_upgrade", notificationsv1.Reason_REASON_INVALID_FIELD,
		},
		{"a newer type", notification(newer), "", notificationsv1.Reason_REASON_UNKNOWN_TO_CONTRACT},
		{
			"empty recipient", &notificationsv1.PublishRequest{Notification: legacy("x"), Recipients: []string{"a", ""}},
			"recipients[1]", notificationsv1.Reason_REASON_INVALID_FIELD,
		},
		{
			"long id", &notificationsv1.PublishRequest{Id: strings.Repeat("x", 129), Notification: legacy("x")},
			"id", notificationsv1.Reason_REASON_INVALID_FIELD,
		},
		{
			"too large as JSON", notification(&notificationsv1.Notification{Payload: &notificationsv1.Notification_EvmAddressMigration{
				EvmAddressMigration: &notificationsv1.EvmAddressMigration{Addresses: make([]*notificationsv1.EvmAddress, 4_000)},
			}}), "evm_address_migration", notificationsv1.Reason_REASON_TOO_LARGE,
		},
		{"too large", notification(legacy(strings.Repeat("x", 10_000))), "", notificationsv1.Reason_REASON_TOO_LARGE},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.request.GetId() == "" {
				tc.request.Id = fmt.Sprint("bad-", i)
			}
			refused := p.publish(t, tc.request).GetRejected()
			if refused.GetField() != tc.field || refused.GetReason() != tc.reason || refused.GetMessage() == "" {
				t.Errorf("got %v, want field %q, reason %v", refused, tc.field, tc.reason)
			}
			good := fmt.Sprint("after ", tc.name)
			p.accepted(t, notification(legacy(good)))
			if got := receive(t, subscriber); got != legacyEnvelope(good) {
				t.Errorf("received %s", got)
			}
		})
	}
	if err := p.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after CloseSend: %v", err)
	}
}

// rawCodec sends bytes as they are.
type rawCodec struct{ encoding.CodecV2 }

func (c rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	if raw, ok := v.([]byte); ok {
		return mem.BufferSlice{mem.SliceBuffer(raw)}, nil
	}
	return c.CodecV2.Marshal(v)
}

func TestMalformedRequestsDoNotEndTheStream(t *testing.T) {
	b := start(t, bridge.Config{})
	p := b.publisher(t, grpc.ForceCodecV2(rawCodec{encoding.GetCodecV2("proto")}))
	invalidUTF8, err := proto.Marshal(&notificationsv1.PublishRequest{Id: "x", Notification: legacy("a?")})
	if err != nil {
		t.Fatal(err)
	}
	invalidUTF8[len(invalidUTF8)-1] = 0xff
	good, err := proto.Marshal(&notificationsv1.PublishRequest{Id: "good", Notification: legacy("fine")})
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range [][]byte{invalidUTF8, []byte("garbage"), {0x0a, 0x02, 0xff, 0xff}, good} {
		if err := p.SendMsg(raw); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		response, err := p.Recv()
		if err != nil || response.GetRejected().GetReason() != notificationsv1.Reason_REASON_MALFORMED {
			t.Errorf("got %v, %v", response, err)
		}
	}
	if response, err := p.Recv(); err != nil || response.GetAccepted() == nil || response.GetId() != "good" {
		t.Errorf("got %v, %v", response, err)
	}
}

// TestBeyondTheHardLimit: gRPC ends the stream, what was sent before is acknowledged, and the status says why.
func TestBeyondTheHardLimit(t *testing.T) {
	b := start(t, bridge.Config{})
	p := b.publisher(t)
	for i := range 10 {
		if err := p.Send(&notificationsv1.PublishRequest{Id: fmt.Sprint(i), Notification: legacy("x")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Send(&notificationsv1.PublishRequest{Id: "huge", Notification: legacy(strings.Repeat("x", 17<<20))}); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if response, err := p.Recv(); err != nil || response.GetAccepted() == nil || response.GetId() != fmt.Sprint(i) {
			t.Fatalf("answer %d: %v, %v", i, response, err)
		}
	}
	if _, err := p.Recv(); status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("the stream ended with %v", err)
	}
}

func TestDuplicatesAreAcknowledgedAndNotDelivered(t *testing.T) {
	b := start(t, bridge.Config{})
	p, subscriber := b.publisher(t), b.subscribe(t, "")
	first := p.accepted(t, &notificationsv1.PublishRequest{Id: "a", Notification: legacy("once")})
	again := b.publisher(t).accepted(t, &notificationsv1.PublishRequest{Id: "a", Notification: legacy("once")})
	if first.GetDuplicate() || !again.GetDuplicate() || again.GetPosition() != first.GetPosition() || again.GetSubscribers() != 1 {
		t.Errorf("first %v, again %v", first, again)
	}
	p.accepted(t, &notificationsv1.PublishRequest{Id: "b", Notification: legacy("next")})
	for _, want := range []string{"once", "next"} {
		if got := receive(t, subscriber); got != legacyEnvelope(want) {
			t.Errorf("received %s, want %s", got, want)
		}
	}
}

// TestRecipients: as long as no subscriber says who it is, what names recipients reaches nobody.
func TestRecipients(t *testing.T) {
	b := start(t, bridge.Config{})
	p, subscriber := b.publisher(t), b.subscribe(t, "")
	private := p.accepted(t, &notificationsv1.PublishRequest{Notification: legacy("private"), Recipients: []string{"a"}})
	public := p.accepted(t, &notificationsv1.PublishRequest{Notification: legacy("public")})
	if private.GetSubscribers() != 0 || public.GetSubscribers() != 1 {
		t.Errorf("private %v, public %v", private, public)
	}
	if got := receive(t, subscriber); got != legacyEnvelope("public") {
		t.Errorf("received %s", got)
	}
}

// TestOrder: every subscriber sees the same order, which keeps each publisher's, without gap or repeat.
func TestOrder(t *testing.T) {
	const publishers, each, subscribers = 4, 500, 8
	b := start(t, bridge.Config{})
	var received [subscribers][]string
	var wg sync.WaitGroup
	for i := range subscribers {
		conn := b.subscribe(t, "")
		wg.Go(func() {
			for range publishers * each {
				received[i] = append(received[i], receive(t, conn))
			}
		})
	}
	for i := range publishers {
		p := b.publisher(t)
		wg.Go(func() {
			for k := range each {
				if err := p.Send(&notificationsv1.PublishRequest{Notification: legacy(fmt.Sprintf("%d-%d", i, k))}); err != nil {
					t.Errorf("send: %v", err)
				}
			}
		})
		wg.Go(func() {
			for range each {
				if response, err := p.Recv(); err != nil || response.GetAccepted().GetSubscribers() != subscribers {
					t.Errorf("answer %v, %v", response, err)
					return
				}
			}
		})
	}
	wg.Wait()
	var next [publishers]int
	for k, text := range received[0] {
		var publisher, n int
		if _, err := fmt.Sscanf(strings.TrimPrefix(text, `{"type":"legacy","data":{"verbosity":"warning","value":"`), "%d-%d", &publisher, &n); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if n != next[publisher] {
			t.Fatalf("publisher %d: %d came when %d was next", publisher, n, next[publisher])
		}
		next[publisher]++
		for i := range subscribers {
			if received[i][k] != text {
				t.Fatalf("subscriber %d got %s where the first got %s", i, received[i][k], text)
			}
		}
	}
}
