package ingest_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/ingest"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// gatedSink takes a request only when it is let through.
type gatedSink struct{ entered, through chan struct{} }

func (s gatedSink) Open(auth.Caller) ingest.Publisher { return s }

func (s gatedSink) Publish(context.Context, *notificationsv1.PublishRequest) (ingest.Pending, error) {
	s.entered <- struct{}{}
	<-s.through
	return stored{"1"}, nil
}

// TestRecheck: a revoked token's streams end though nothing more is sent on them, after what is on its way to the sink,
// and one that has ended before is of no concern.
func TestRecheck(t *testing.T) {
	sink := gatedSink{make(chan struct{}, 10), make(chan struct{})}
	var revoked atomic.Bool
	var refused atomic.Int64
	server, addr := listen(t, ingest.Config{
		Sink:         sink,
		Authenticate: people{"ann": {Subject: "ann", TokenID: "1"}}.authenticate,
		Revoked:      func(string) bool { return revoked.Load() },
		Refused:      func(auth.Defect) { refused.Add(1) },
	})
	conn := dial(t, addr)
	gone, idle, busy := open(t, conn, "ann"), open(t, conn, "ann"), open(t, conn, "ann")
	for _, s := range []stream{gone, idle} {
		send(t, s, "a")
		<-sink.entered
		sink.through <- struct{}{}
		expect(t, s, "a", "1")
	}
	if err := gone.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Recv(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	send(t, busy, "b")
	<-sink.entered

	revoked.Store(true)
	rechecked := make(chan struct{})
	go func() {
		server.Recheck()
		close(rechecked)
	}()
	ended(t, idle, codes.Unauthenticated, "the token was revoked; get a new one")
	select {
	case <-rechecked:
		t.Error("it returned while a request was on its way to the sink")
	default:
	}
	sink.through <- struct{}{}
	<-rechecked
	expect(t, busy, "b", "1")
	ended(t, busy, codes.Unauthenticated, "the token was revoked; get a new one")
	if n := refused.Load(); n != 2 {
		t.Errorf("%d streams were refused, of two that were open", n)
	}
}

// TestHold: while a revocation may be missed nothing is taken from whoever has a token, and from others it is.
func TestHold(t *testing.T) {
	sink := new(quickSink)
	certified := auth.Caller{Subject: "bob", Expires: time.Now().Add(time.Hour)}
	server, addr := listen(t, ingest.Config{
		Sink:         sink,
		Authenticate: people{"ann": {Subject: "ann", TokenID: "1"}, "certified": certified}.authenticate,
		Revoked:      func(id string) bool { return id == "" },
	})
	conn := dial(t, addr)
	ann, bob := open(t, conn, "ann"), open(t, conn, "certified")
	send(t, ann, "a")
	expect(t, ann, "a", "1")
	server.Hold(true)
	send(t, bob, "b")
	expect(t, bob, "b", "2")
	for _, s := range []stream{ann, open(t, conn, "ann")} {
		send(t, s, "c")
		if _, err := s.Recv(); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "again") {
			t.Errorf("while it is held ann is told %v", err)
		}
	}
	server.Hold(false)
	again := open(t, conn, "ann")
	send(t, again, "c")
	expect(t, again, "c", "3")
}
