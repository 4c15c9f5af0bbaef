package control_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rotki/notification-bridge/bridge/control"
	"github.com/rotki/notification-bridge/bridge/delivery"
	adminv1 "github.com/rotki/notification-bridge/gen/go/rotki/bridge/admin/v1"
)

func bySubject(subject string) *adminv1.Selector {
	return &adminv1.Selector{By: &adminv1.Selector_Subject{Subject: subject}}
}

func bySession(session string) *adminv1.Selector {
	return &adminv1.Selector{By: &adminv1.Selector_Session{Session: session}}
}

func byConnection(id string) *adminv1.Selector {
	return &adminv1.Selector{By: &adminv1.Selector_Connection{Connection: id}}
}

func in(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(time.Now().Add(d)) }

// TestRefusals: what cannot be meant is refused with a sentence, and nothing happens.
func TestRefusals(t *testing.T) {
	b := start(t, nil, control.Config{Name: "a"})
	b.connect(delivery.Connection{ID: "1"})
	list := func(r *adminv1.ListConnectionsRequest) error {
		_, err := b.admin.ListConnections(t.Context(), r)
		return err
	}
	disconnect := func(s *adminv1.Selector) error {
		_, err := b.admin.Disconnect(t.Context(), &adminv1.DisconnectRequest{Selector: s})
		return err
	}
	revoke := func(id string, until *timestamppb.Timestamp) error {
		_, err := b.admin.RevokeToken(t.Context(), &adminv1.RevokeTokenRequest{TokenId: id, ExpiresAt: until})
		return err
	}
	for _, c := range []struct {
		name string
		err  error
		says string
	}{
		{"limit", list(&adminv1.ListConnectionsRequest{Limit: 10_001}), "limit is 10001"},
		{"list of nobody", list(&adminv1.ListConnectionsRequest{Selector: bySubject("")}), "selector.subject is empty"},
		{"no selector", disconnect(nil), "selector is empty"},
		{"empty selector", disconnect(&adminv1.Selector{}), "selector is empty"},
		{"empty subject", disconnect(bySubject("")), "selector.subject is empty"},
		{"empty session", disconnect(bySession("")), "selector.session is empty"},
		{"empty connection", disconnect(byConnection("")), "selector.connection is empty"},
		{"no jti", revoke("", in(time.Hour)), "token_id is empty"},
		{"long jti", revoke(strings.Repeat("x", 257), in(time.Hour)), "token_id has 257 bytes"},
		{"no expiry", revoke("x", nil), "expires_at is missing"},
		{"past", revoke("x", in(-time.Hour)), "which is past"},
		{"no time", revoke("x", &timestamppb.Timestamp{Nanos: -1}), "no time that there is"},
		{"far", revoke("x", in(11*365*24*time.Hour)), "10 years"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if status.Code(c.err) != codes.InvalidArgument || !strings.Contains(c.err.Error(), c.says) {
				t.Errorf("it is refused with %v", c.err)
			}
		})
	}
	if len(b.ids()) != 1 || b.revocations.Revoked("x") {
		t.Error("something happened all the same")
	}
	calls := b.sample(t, "bridge_admin_calls_total")
	for series, want := range map[string]float64{
		"InvalidArgument list_connections": 2, "InvalidArgument disconnect": 5, "InvalidArgument revoke_token": 6,
		"OK disconnect": 0,
	} {
		if got, ok := calls[series]; !ok || got != want {
			t.Errorf("%s: %v, %v", series, got, ok)
		}
	}
	if len(calls) != 3*9 {
		t.Errorf("there are %v", calls)
	}
}

// TestAlone: a bridge of its own does what it is asked for.
func TestAlone(t *testing.T) {
	b := start(t, nil, control.Config{Name: "alone"})
	since := time.Unix(1_700_000_000, 0)
	full := delivery.Connection{
		ID: "alone-1", Subject: "ann", Session: "s", TokenID: "j", ExpiresAt: since.Add(time.Hour), Events: true,
		Address: netip.MustParseAddr("2001:db8::1"), Types: []string{"a", "b"}, ConnectedAt: since, Lag: 7,
	}
	b.connect(delivery.Connection{ID: "alone-2", ConnectedAt: since.Add(1)}, full)
	got, err := b.admin.ListConnections(t.Context(), &adminv1.ListConnectionsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := &adminv1.ListConnectionsResponse{Total: 2, Connections: []*adminv1.Connection{
		{
			Id: "alone-1", Bridge: "alone", Subject: "ann", Session: "s", TokenId: "j",
			ExpiresAt: timestamppb.New(full.ExpiresAt), Entrance: adminv1.Entrance_ENTRANCE_EVENTS, Address: "2001:db8::1",
			Types: []string{"a", "b"}, ConnectedAt: timestamppb.New(since), Lag: 7,
		},
		{
			Id: "alone-2", Bridge: "alone", Entrance: adminv1.Entrance_ENTRANCE_WEBSOCKET,
			ConnectedAt: timestamppb.New(since.Add(1)),
		},
	}}
	if !proto.Equal(got, want) {
		t.Errorf("there are %v", got)
	}
	revoked, err := b.admin.RevokeToken(t.Context(), &adminv1.RevokeTokenRequest{TokenId: "j", ExpiresAt: in(time.Hour)})
	if err != nil || revoked.GetDisconnected() != 1 || !b.revocations.Revoked("j") || b.revocations.Revoked("") {
		t.Errorf("revoked %v, %v", revoked, err)
	}
	late := &adminv1.RevokeTokenRequest{TokenId: "late", ExpiresAt: in(-time.Minute)} // where clocks differ it is good yet
	if _, err := b.admin.RevokeToken(t.Context(), late); err != nil || !b.revocations.Revoked("late") {
		t.Errorf("one that has expired a minute ago: %v, revoked: %v", err, b.revocations.Revoked("late"))
	}
	if ids := b.ids(); !slices.Equal(ids, []string{"alone-2"}) || b.rechecks != 2 {
		t.Errorf("left are %q, and publish streams were looked at %d times", ids, b.rechecks)
	}
	if n := b.sample(t, "bridge_revoked_tokens")[""]; n != 2 {
		t.Errorf("%v tokens are revoked", n)
	}
}

// TestEverywhere: what is asked of one bridge of a stream is done at all.
func TestEverywhere(t *testing.T) {
	var n nats
	j, _ := n.open(t)
	a := start(t, j, control.Config{Name: "a"})
	var log bytes.Buffer // to be read once b has stopped
	b := start(t, n.join(t), control.Config{Name: "b", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	c := start(t, n.join(t), control.Config{Name: "c"})
	since := time.Unix(1_700_000_000, 0)
	for i, at := range []*bridge{a, b, c, a, b, c, a, b, c} {
		at.connect(delivery.Connection{
			ID: fmt.Sprint(i), Subject: []string{"ann", "bob", "eve"}[i/3], Session: fmt.Sprint("s", i%2),
			TokenID: fmt.Sprint("j", i/3), ConnectedAt: since.Add(time.Duration(i) * time.Second),
		})
	}
	list := func(r *adminv1.ListConnectionsRequest) string {
		t.Helper()
		response, err := b.admin.ListConnections(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprint(response.GetTotal(), ":")
		for _, c := range response.GetConnections() {
			text += " " + c.GetBridge() + c.GetId()
		}
		return text
	}
	for want, r := range map[string]*adminv1.ListConnectionsRequest{
		"9: a0 b1 c2 a3 b4 c5 a6 b7 c8": {},
		"9: a0 b1 c2 a3":                {Limit: 4},
		"3: a3 b4":                      {Limit: 2, Selector: bySubject("bob")},
		"5: a0 c2 b4 a6 c8":             {Selector: bySession("s0")},
		"1: c5":                         {Selector: byConnection("5")},
		"0:":                            {Selector: byConnection("none")},
	} {
		if got := list(r); got != want {
			t.Errorf("listed are %q, not %q", got, want)
		}
	}
	for _, call := range []struct {
		by   *adminv1.Selector
		want uint64
	}{{byConnection("5"), 1}, {bySubject("ann"), 3}, {bySubject("ann"), 0}, {bySession("s1"), 2}} {
		r, err := c.admin.Disconnect(t.Context(), &adminv1.DisconnectRequest{Selector: call.by})
		if err != nil || r.GetDisconnected() != call.want {
			t.Errorf("%v: %v, %v", call.by, r, err)
		}
	}
	if got := list(&adminv1.ListConnectionsRequest{}); got != "3: b4 a6 c8" {
		t.Errorf("left are %q", got)
	}
	// The bus and the store race for it; whoever wins, the operator is told of each connection once.
	for i := range 10 {
		tokenID := fmt.Sprint("revoked-", i)
		for _, at := range []*bridge{a, b, c} {
			at.connect(delivery.Connection{ID: tokenID, TokenID: tokenID}, delivery.Connection{ID: tokenID, TokenID: tokenID})
		}
		r, err := a.admin.RevokeToken(t.Context(), &adminv1.RevokeTokenRequest{TokenId: tokenID, ExpiresAt: in(time.Hour)})
		if err != nil || r.GetDisconnected() != 6 {
			t.Errorf("%v, %v", r, err)
		}
		for _, at := range []*bridge{a, b, c} {
			if !at.revocations.Revoked(tokenID) || len(at.ids()) != 1 {
				t.Errorf("%s is not revoked everywhere: %q", tokenID, at.ids())
			}
		}
	}
	b.stop()
	for request, want := range map[string]int{"DisconnectRequest": 4, "RevokeTokenRequest": 10, "ListConnectionsRequest": 0} {
		if got := strings.Count(log.String(), "request="+request); got != want {
			t.Errorf("the log of b says %d times that another asked for %s, not %d times:\n%s", got, request, want, &log)
		}
	}
	left, err := a.admin.ListConnections(t.Context(), &adminv1.ListConnectionsRequest{})
	if err != nil || left.GetTotal() != 2 {
		t.Errorf("without a bridge that has left there are %v, %v", left, err)
	}
	d := start(t, n.join(t), control.Config{Name: "d"})
	if !d.revocations.Revoked("revoked-3") {
		t.Error("a bridge that starts lets a revoked token in")
	}
}

// TestSilent: an operator is told which bridge does not answer, and what holds all the same.
func TestSilent(t *testing.T) {
	var n nats
	j, _ := n.open(t)
	a := start(t, j, control.Config{Name: "a", AskTimeout: time.Second})
	b := start(t, n.join(t), control.Config{Name: "b"})
	a.connect(delivery.Connection{ID: "1", Subject: "ann", TokenID: "j"})
	b.connect(delivery.Connection{ID: "2", Subject: "ann", TokenID: "j"}, delivery.Connection{ID: "3", Subject: "bob"})
	b.mu.Lock()
	for _, call := range []func() error{
		func() error {
			_, err := a.admin.ListConnections(t.Context(), &adminv1.ListConnectionsRequest{})
			return err
		},
		func() error {
			_, err := a.admin.RevokeToken(t.Context(), &adminv1.RevokeTokenRequest{TokenId: "j", ExpiresAt: in(time.Hour)})
			return err
		},
		func() error {
			_, err := a.admin.Disconnect(t.Context(), &adminv1.DisconnectRequest{Selector: bySubject("bob")})
			return err
		},
	} {
		err := call()
		t.Log(err)
		if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "do not answer: b") {
			t.Errorf("the operator is told %v", err)
		}
	}
	b.mu.Unlock()
	if len(a.ids()) != 0 || !a.revocations.Revoked("j") {
		t.Errorf("the bridge that was asked still has %q", a.ids())
	}
	await(t, "the other bridge has done it", func() bool { return b.revocations.Revoked("j") && len(b.ids()) == 0 })
}

// TestLongAnswers: more connections than one message of NATS can carry are counted, and as many listed as it can.
func TestLongAnswers(t *testing.T) {
	var n nats
	j, _ := n.open(t)
	a := start(t, j, control.Config{Name: "a"})
	b := start(t, n.join(t), control.Config{Name: "b"})
	for i := range 10_000 {
		b.connect(delivery.Connection{
			ID: fmt.Sprint(i), Types: []string{strings.Repeat("x", 200)}, ConnectedAt: time.Unix(int64(i), 0),
		})
	}
	r, err := a.admin.ListConnections(t.Context(), &adminv1.ListConnectionsRequest{Limit: 10_000},
		grpc.MaxCallRecvMsgSize(64<<20))
	if err != nil {
		t.Fatal(err)
	}
	listed := len(r.GetConnections())
	if size := proto.Size(r); r.GetTotal() != 10_000 || size > control.MaxAnswer+16 || size < control.MaxAnswer*9/10 {
		t.Errorf("%d of %d are listed, in %d bytes", listed, r.GetTotal(), size)
	}
	if last := r.GetConnections()[listed-1]; last.GetId() != fmt.Sprint(listed-1) {
		t.Errorf("of %d the last is %s", listed, last.GetId())
	}
}

// TestCutOff: a bridge that others may overlook holds what it delivers, and goes on when it knows what was revoked
// meanwhile. What its operator revokes, holds there at once.
func TestCutOff(t *testing.T) {
	var n nats
	j, shut := n.open(t)
	start(t, j, control.Config{Name: "a"}).stop()
	b := start(t, n.join(t), control.Config{Name: "b", AskTimeout: time.Second})
	b.connect(delivery.Connection{ID: "1", TokenID: "here"}, delivery.Connection{ID: "2", TokenID: "there"})
	shut()
	_, err := b.admin.RevokeToken(t.Context(), &adminv1.RevokeTokenRequest{TokenId: "here", ExpiresAt: in(time.Hour)})
	t.Log(err)
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "could not be stored") {
		t.Errorf("the operator is told %v", err)
	}
	if ids := b.ids(); !slices.Equal(ids, []string{"2"}) {
		t.Errorf("left are %q", ids)
	}
	awaitHold(t, b, true)
	again, _ := n.open(t)
	store, err := again.Revoked(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Put(context.Background(), "there", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	awaitHold(t, b, false)
	await(t, "it knows of the revocation", func() bool { return b.revocations.Revoked("there") && len(b.ids()) == 0 })
	if !b.revocations.Revoked("here") {
		t.Error("it has forgotten what it could not store")
	}
}

func awaitHold(t *testing.T, b *bridge, want bool) {
	t.Helper()
	select {
	case got := <-b.holds:
		if got != want {
			t.Fatalf("hold: %v", got)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("it does not come to this: hold %v", want)
	}
}
