package control_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/rotki/notification-bridge/bridge/control"
	"github.com/rotki/notification-bridge/bridge/journal/jetstream"
	adminv1 "github.com/rotki/notification-bridge/gen/go/rotki/bridge/admin/v1"
)

func requests() []proto.Message {
	return []proto.Message{
		&adminv1.ListConnectionsRequest{},
		&adminv1.ListConnectionsRequest{Selector: bySession("s"), Limit: 7},
		&adminv1.DisconnectRequest{Selector: bySubject("ann")},
		&adminv1.RevokeTokenRequest{TokenId: "j", ExpiresAt: in(time.Hour)},
		&adminv1.RevokeTokenRequest{TokenId: "j", ExpiresAt: in(-time.Hour)}, // it took long, or clocks differ
	}
}

func TestExchange(t *testing.T) {
	for _, r := range requests() {
		data, err := control.EncodeRequest(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := control.DecodeRequest(data); err != nil || !proto.Equal(got, r) {
			t.Errorf("%v becomes %v, %v", r, got, err)
		}
	}
	if _, err := control.EncodeRequest(&adminv1.Connection{}); err == nil {
		t.Error("bridges ask for anything")
	}
	for _, text := range []string{"", "\x01", "\x02\x01", "\x01\x04", "\x01\x00", "\x01\x01\xff", "\x01\x02", "\x01\x03"} {
		if r, err := control.DecodeRequest([]byte(text)); err == nil {
			t.Errorf("%q is understood as %v", text, r)
		}
	}
	for _, text := range []string{"", "\x01", "\x01\x02", "\x02\x01", "\x01\x01\xff"} {
		if control.DecodeAnswer([]byte(text), new(adminv1.DisconnectResponse)) == nil {
			t.Errorf("%q is understood", text)
		}
	}
}

// FuzzDecodeRequest: whatever comes, what is understood could have been asked by an operator.
func FuzzDecodeRequest(f *testing.F) {
	for _, r := range requests() {
		data, err := control.EncodeRequest(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := control.DecodeRequest(data)
		if err != nil {
			return
		}
		switch r := r.(type) {
		case *adminv1.ListConnectionsRequest:
			if r.GetLimit() > 10_000 {
				t.Error("the limit has none")
			}
		case *adminv1.DisconnectRequest:
			s := r.GetSelector()
			if s.GetSubject()+s.GetSession()+s.GetConnection() == "" {
				t.Error("everybody would be disconnected")
			}
		case *adminv1.RevokeTokenRequest:
			if r.GetTokenId() == "" || len(r.GetTokenId()) > 256 || strings.ToValidUTF8(r.GetTokenId(), "") != r.GetTokenId() {
				t.Error("no token has such an id")
			}
		default:
			t.Errorf("it is a %T", r)
		}
		again, err := control.EncodeRequest(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := control.DecodeRequest(again); err != nil || !proto.Equal(got, r) {
			t.Errorf("%v becomes %v, %v", r, got, err)
		}
	})
}

// TestAnotherVersion: an operator is told of a bridge that does not understand, as of one that does not answer.
func TestAnotherVersion(t *testing.T) {
	var n nats
	j, _ := n.open(t)
	a := start(t, j, control.Config{Name: "a"})
	bus, err := n.join(t).Bus(t.Context(), jetstream.BusConfig{Name: "newer", Presence: presence})
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	lapses := make(chan bool, 100)
	served := make(chan error, 1)
	go func() {
		newer := func(context.Context, []byte) []byte { return []byte{2, 1} }
		served <- bus.Serve(ctx, newer, func(lapsed bool) { lapses <- lapsed })
	}()
	for <-lapses {
		continue
	}
	_, err = a.admin.ListConnections(t.Context(), &adminv1.ListConnectionsRequest{})
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "do not answer: newer") {
		t.Errorf("the operator is told %v", err)
	}
	leave()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
