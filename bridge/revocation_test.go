package bridge_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/nats-io/nats.go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/journal/jetstream"
	adminv1 "github.com/rotki/notification-bridge/gen/go/rotki/bridge/admin/v1"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// endsAtOnce checks that the next that comes is a close frame with 1008.
func endsAtOnce(t *testing.T, who string, conn *websocket.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, text, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
		t.Errorf("%s: %s, %v came, want a close with 1008", who, text, err)
	}
}

// gets checks that the next that comes are these.
func gets(t *testing.T, who string, conn *websocket.Conn, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if got := receive(t, conn); got != legacyEnvelope(text) {
			t.Errorf("%s got %s, want %q", who, got, text)
		}
	}
}

// TestRevoked: when a token is revoked at one of two bridges, neither delivers anything to it from then on, whoever
// publishes it, and neither lets it in, even after a restart.
func TestRevoked(t *testing.T) {
	r := startReplicas(t)
	revoked := r.p.token(t, "ann", "ann-1", auth.ScopeSubscribe)
	other := r.p.token(t, "ann", "ann-2", auth.ScopeSubscribe)
	bob := r.p.token(t, "bob", "bob-1", auth.ScopeSubscribe)

	hers := map[string]*websocket.Conn{"a": r.a.websocketAs(t, revoked), "b": r.b.websocketAs(t, revoked)}
	hers["page at b"], _ = r.b.page(t, loggedIn(revoked))
	stream, err := r.b.openEvents(t.Context(), revoked, "")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.body.Close()
	others := map[string]*websocket.Conn{
		"ann, by another token, at a": r.a.websocketAs(t, other),
		"ann, by another token, at b": r.b.websocketAs(t, other),
		"bob at b":                    r.b.websocketAs(t, bob),
	}
	r.publish(t, r.a, "before")
	for _, all := range []map[string]*websocket.Conn{hers, others} {
		for who, conn := range all {
			gets(t, who, conn, "before")
		}
	}
	if data, err := stream.next(); data != legacyEnvelope("before") {
		t.Fatalf("events: %s, %v", data, err)
	}

	if n := r.a.revoke(t, r.operator, "ann-1"); n != len(hers)+1 {
		t.Errorf("it ended %d connections, want %d", n, len(hers)+1)
	}
	r.publish(t, r.a, "after, at a")
	r.publish(t, r.b, "after, at b")
	for who, conn := range hers {
		endsAtOnce(t, who, conn)
	}
	if data, err := stream.next(); err != io.EOF {
		t.Errorf("events: %s, %v came, want the end", data, err)
	}
	for who, conn := range others {
		gets(t, who, conn, "after, at a", "after, at b")
	}
	r.refuses(t, revoked)

	if err := r.b.stop(); err != nil {
		t.Fatal(err)
	}
	r.b = start(t, r.second)
	r.refuses(t, revoked)
	if err := r.a.stop(); err != nil {
		t.Fatal(err)
	}
	r.a = start(t, r.first)
	for _, b := range r.both() {
		await(t, "the bridge is ready", func() bool {
			code, _ := get(t, "http://"+b.AdminAddr()+"/readyz")
			return code == 200
		})
	}
	r.refuses(t, revoked)
	again := r.b.websocketAs(t, other)
	r.publish(t, r.a, "at last")
	gets(t, "ann, by another token", again, "at last")
	r.log.holdsNone(t, []string{revoked, other, bob, r.operator})
}

// refuses checks that both bridges refuse a token of a subscriber because it is revoked.
func (r *replicas) refuses(t *testing.T, token string) {
	t.Helper()
	for name, b := range map[string]running{"a": r.a, "b": r.b} {
		for _, door := range []entrance{
			{name: "websocket", enter: enterWebsocket(byHeader)}, {name: "events", enter: enterEvents(byQuery)},
		} {
			got := door.enter(t, b, visitor{token: token})
			if got.status != "401" || !strings.Contains(got.text, "revoked") {
				t.Errorf("%s at %s: %+v", door.name, name, got)
			}
		}
	}
}

// TestRevokedUnknown: a bridge that cannot find out what is revoked lets nobody in, and says that it is not ready.
func TestRevokedUnknown(t *testing.T) {
	r := startReplicas(t)
	if err := r.b.stop(); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(r.second.Stream.URLs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	const unreadable = "\x02 of a later version"
	subject := "$KV." + jetstream.DefaultStream + "-revoked.later"
	if _, err := nc.Request(subject, []byte(unreadable), 20*time.Second); err != nil {
		t.Fatal(err)
	}
	r.b = start(t, r.second)
	await(t, "/readyz says why", func() bool {
		request := newRequest(t, "http://"+r.b.AdminAddr()+"/readyz", visitor{token: r.operator}, byHeader)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return response.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(text), "revoked")
	})
	ann := r.p.token(t, "ann", "ann-1", auth.ScopeSubscribe)
	if got := enterWebsocket(byHeader)(t, r.b, visitor{token: ann}); got.status != "503" {
		t.Errorf("she gets %+v", got)
	}
}

// TestRevokedPublisher: a stream ends with its token, also at the other bridge, and nothing that it sends then is
// taken.
func TestRevokedPublisher(t *testing.T) {
	r := startReplicas(t)
	revoked := r.p.token(t, "backend", "backend-1", auth.ScopePublish)
	other := r.p.token(t, "backend", "backend-2", auth.ScopePublish)
	reader := r.a.websocketAs(t, r.p.token(t, "ann", "ann-1", auth.ScopeSubscribe))
	var streams, silent []publisher
	for _, b := range r.both() {
		p := b.publisher(t, bearing(revoked))
		p.accepted(t, &notificationsv1.PublishRequest{Notification: legacy("before")})
		streams = append(streams, p)
		p = b.publisher(t, bearing(revoked))
		p.accepted(t, &notificationsv1.PublishRequest{Notification: legacy("before")})
		silent = append(silent, p)
	}
	bystander := r.b.publisher(t, bearing(other))
	bystander.accepted(t, &notificationsv1.PublishRequest{Notification: legacy("before")})
	gets(t, "ann", reader, "before", "before", "before", "before", "before")

	r.a.revoke(t, r.operator, "backend-1")
	for _, p := range silent {
		if answer, err := p.Recv(); status.Code(err) != codes.Unauthenticated {
			t.Errorf("a stream that says nothing went on with %v, %v", answer, err)
		}
	}
	for _, p := range streams {
		// Whether the stream's end has come already makes no difference.
		if err := p.Send(&notificationsv1.PublishRequest{Notification: legacy("after")}); err != nil && err != io.EOF {
			t.Error(err)
		}
		if answer, err := p.Recv(); status.Code(err) != codes.Unauthenticated {
			t.Errorf("the stream went on with %v, %v", answer, err)
		}
	}
	for _, b := range r.both() {
		if answer, err := b.publisher(t, bearing(revoked)).Recv(); status.Code(err) != codes.Unauthenticated {
			t.Errorf("a new stream: %v, %v", answer, err)
		}
	}
	bystander.accepted(t, &notificationsv1.PublishRequest{Notification: legacy("by another token")})
	gets(t, "ann", reader, "by another token")
	r.log.holdsNone(t, []string{revoked, other, r.operator})
}

// TestDisconnected: an operator of one bridge sees and ends the connections of both.
func TestDisconnected(t *testing.T) {
	r := startReplicas(t)
	ann, bob := r.p.token(t, "ann", "ann-1", auth.ScopeSubscribe), r.p.token(t, "bob", "bob-1", auth.ScopeSubscribe)
	page, _ := r.b.page(t, loggedIn(ann))
	atA, atB, third := r.a.websocketAs(t, ann), r.b.websocketAs(t, ann), r.b.websocketAs(t, bob)

	var session, single string
	bridges, subjects := make(map[string]int), make(map[string]int)
	await(t, "all are there", func() bool { return len(r.a.connections(t, r.operator)) == 4 }) // a moment after the answer
	for _, c := range r.a.connections(t, r.operator) {
		bridges[c.GetBridge()]++
		subjects[c.GetSubject()+" "+c.GetTokenId()]++
		if c.GetSession() != "" {
			session = c.GetSession()
		}
		if c.GetSubject() == "bob" {
			single = c.GetId()
		}
		if c.GetExpiresAt() == nil || c.GetAddress() != "127.0.0.1" ||
			c.GetEntrance() != adminv1.Entrance_ENTRANCE_WEBSOCKET {
			t.Errorf("listed is %v", c)
		}
	}
	if len(bridges) != 2 || subjects["ann ann-1"] != 3 || subjects["bob bob-1"] != 1 || session == "" || single == "" {
		t.Fatalf("listed are %v at %v", subjects, bridges)
	}
	type conns []*websocket.Conn
	for _, step := range []struct {
		who         string
		selector    *adminv1.Selector
		ended, left conns
	}{
		{
			"one session",
			&adminv1.Selector{By: &adminv1.Selector_Session{Session: session}},
			conns{page},
			conns{atA, atB, third},
		},
		{
			"one connection",
			&adminv1.Selector{By: &adminv1.Selector_Connection{Connection: single}},
			conns{third},
			conns{atA, atB},
		},
		{"a subject", &adminv1.Selector{By: &adminv1.Selector_Subject{Subject: "ann"}}, conns{atA, atB}, nil},
	} {
		if n := r.a.disconnect(t, r.operator, step.selector); n != len(step.ended) {
			t.Errorf("%s: %d connections were ended, want %d", step.who, n, len(step.ended))
		}
		r.publish(t, r.b, "after "+step.who)
		for _, conn := range step.ended {
			endsAtOnce(t, step.who, conn)
		}
		for _, conn := range step.left {
			gets(t, "who is left", conn, "after "+step.who)
		}
		if left := r.a.connections(t, r.operator); len(left) != len(step.left) {
			t.Errorf("after %s %d are left, want %d: %v", step.who, len(left), len(step.left), left)
		}
	}
	again := r.b.websocketAs(t, ann) // for nothing of this forbids anything
	r.publish(t, r.a, "welcome back")
	for range upTo(t, again, "welcome back") { // what the stream took last may be new to the bridge
		continue
	}
}
