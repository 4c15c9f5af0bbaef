package bridge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/client"
)

// subscriber reads into its inbox until ctx is done, and is cut now and then.
type subscriber struct {
	*inbox
	replicas *replicas
	token    string
	conn     atomic.Pointer[net.Conn] // nil while there is none
	since    atomic.Int64             // when it began, in nanoseconds since 1970
	pause    time.Duration            // between its connections
	read     func(context.Context, *subscriber)
}

// anywhere returns either bridge.
func (s *subscriber) anywhere() running { return s.replicas.both()[rand.N(2)] }

// begins notes a connection.
func (s *subscriber) begins(conn net.Conn) {
	s.inbox.begins()
	s.since.Store(time.Now().UnixNano())
	s.conn.Store(&conn)
}

// cut resets the connection, if there is one.
func (s *subscriber) cut() {
	if conn := s.conn.Swap(nil); conn != nil {
		s.inbox.cut()
		reset(*conn)
	}
}

// age is for how long the connection has stood; 0 for none.
func (s *subscriber) age() time.Duration {
	if s.conn.Load() == nil {
		return 0
	}
	return time.Since(time.Unix(0, s.since.Load()))
}

// readPage is a page that knows nothing of resuming: its browser keeps cookies.
func readPage(ctx context.Context, s *subscriber) {
	cookies := loggedIn(s.token)
	for ctx.Err() == nil {
		conn, jar, err := s.anywhere().dialPage(ctx, cookies)
		if err != nil {
			if ctx.Err() == nil {
				s.failed(err)
			}
			return
		}
		cookies = jar
		s.begins(conn.NetConn())
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		for {
			_, text, err := conn.ReadMessage()
			if err != nil {
				break
			}
			s.take(string(text))
		}
		stop()
		_ = conn.Close()
		select {
		case <-time.After(s.pause):
		case <-ctx.Done():
		}
	}
}

// readSince is the client package, which resumes by itself.
func readSince(ctx context.Context, s *subscriber) {
	var latest net.Conn
	dialer := websocket.Dialer{NetDialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, s.anywhere().HTTPAddr())
		latest = conn
		return conn, err
	}}
	reader, err := client.NewSubscriber(client.SubscriberConfig{
		URL: "ws://127.0.0.1:1/ws/", Dialer: &dialer, Token: showing(s.token),
		Backoff:   client.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond},
		OnConnect: func() { s.begins(latest) },
		OnLost:    s.failed,
	})
	if err != nil {
		s.failed(err)
		return
	}
	for message, err := range reader.Messages(ctx) {
		if err != nil {
			if ctx.Err() == nil {
				s.failed(err)
			}
			return
		}
		s.take(string(message.Envelope))
	}
}

// readEvents resumes with Last-Event-ID.
func readEvents(ctx context.Context, s *subscriber) {
	last := ""
	for ctx.Err() == nil {
		stream, err := s.anywhere().openEvents(ctx, s.token, last)
		if err != nil {
			if ctx.Err() == nil {
				s.failed(err)
			}
			return
		}
		s.begins(stream.conn)
		for {
			data, err := stream.next()
			if err != nil {
				break
			}
			s.take(data)
		}
		last = stream.last
		_ = stream.body.Close()
	}
}

// TestNoCrossings: what is for one of two subjects never reaches the other, and all of it reaches the one, on two
// replicas, whatever is cut, and wherever it comes back.
func TestNoCrossings(t *testing.T) {
	rounds, perRound := 8, 1250
	if testing.Short() {
		rounds, perRound = 2, 500
	}
	r := startReplicas(t)
	var all, pages []*subscriber
	for _, subject := range []string{"ann", "bob"} {
		page := &subscriber{inbox: newInbox(subject+"'s page", subject, true), read: readPage}
		pages = append(pages, page)
		if subject == "ann" {
			page.pause = 2 * saveInterval // until the cut is known everywhere; rotki's frontend takes longer
		}
		all = append(all, page,
			&subscriber{inbox: newInbox(subject+"'s client with since=", subject, false), read: readSince},
			&subscriber{inbox: newInbox(subject+"'s events", subject, false), read: readEvents},
		)
	}
	ctx, stop := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	defer reading.Wait()
	defer stop()
	tokens := make([]string, len(all))
	for i, s := range all {
		s.replicas, s.token = r, r.p.token(t, s.subject, fmt.Sprintf("%s-%d", s.subject, i), auth.ScopeSubscribe)
		tokens[i] = s.token
		reading.Go(func() { s.read(ctx, s) })
		await(t, s.name+" is there", func() bool { return s.connections() > 0 })
	}

	publish := r.publishers(t)
	var published []string
	for range rounds {
		const piece = 50
		cut := rand.N(perRound / piece) // in the midst of what
		for i := range perRound / piece {
			for range piece {
				audience := audiences[rand.N(len(audiences))]
				publish(len(published), fmt.Sprint(len(published), " ", audience.name), audience.recipients...)
				published = append(published, audience.name)
			}
			if i == cut {
				for _, page := range pages {
					page.cut()
				}
			}
			for _, s := range all {
				if !s.repeats && rand.N(8) == 0 {
					s.cut()
				}
			}
		}
		for _, page := range pages {
			// A page that is cut before its session is saved may lose something, as package session says.
			await(t, page.name+" stands", func() bool { return page.age() > 3*saveInterval || page.done() })
		}
	}
	publish(0, "") // waits
	r.publish(t, r.a, theEnd)
	for _, s := range all {
		await(t, s.name+" has the last", s.done)
	}
	stop()
	reading.Wait()
	t.Logf("%d notifications, to %d subscribers of two subjects, at two bridges", len(published), len(all))
	crossings := 0
	for _, s := range all {
		s.check(t, published)
		crossings += s.crossings
	}
	t.Logf("crossings: %d", crossings)
	r.log.holdsNone(t, append(tokens, r.operator))
}

// saveInterval is how far apart sessions are saved.
const saveInterval = 500 * time.Millisecond

// publishers returns what publishes, even numbers at one bridge and odd ones at the other, without waiting. With an
// empty text it waits for everything.
func (r *replicas) publishers(t *testing.T) func(number int, text string, recipients ...string) {
	t.Helper()
	var by [2]*client.Publisher
	for i, b := range r.both() {
		var err error
		by[i], err = client.NewPublisher(client.PublisherConfig{
			Addr: b.GRPCAddr(), Token: showing(r.p.token(t, "backend", fmt.Sprint("backend-", i), auth.ScopePublish)),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			over, cancel := context.WithCancel(context.Background())
			cancel()
			_ = by[i].Close(over)
		})
	}
	var pending []*client.Pending
	return func(number int, text string, recipients ...string) {
		t.Helper()
		if text == "" {
			for _, p := range pending {
				if _, err := p.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			return
		}
		var options []client.PublishOption
		if len(recipients) > 0 {
			options = append(options, client.WithRecipients(recipients...))
		}
		p, err := by[number%2].PublishAsync(t.Context(), legacy(text), options...)
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, p)
	}
}

// TestStolenSession: a session's cookie is worth nothing with another subject's token, and is not used up by it.
func TestStolenSession(t *testing.T) {
	r := startReplicas(t)
	ann, bob := r.p.token(t, "ann", "ann-1", auth.ScopeSubscribe), r.p.token(t, "bob", "bob-1", auth.ScopeSubscribe)
	page, cookies := r.b.page(t, loggedIn(ann))
	r.publish(t, r.a, "for ann", "ann")
	gets(t, "ann", page, "for ann")
	reset(page.NetConn())
	await(t, "the bridge knows that she is gone", func() bool {
		return strings.Contains(r.b.metrics(t, r.operator), "\nbridge_sessions_parked 1\n")
	})
	r.publish(t, r.b, "for ann meanwhile", "ann")
	r.publish(t, r.b, "for bob meanwhile", "bob")
	r.publish(t, r.b, "for everybody meanwhile")

	stolen := append(loggedIn(bob), cookies[1:]...)
	for name, b := range map[string]running{"a": r.a, "b": r.b} {
		thief, _ := b.page(t, stolen)
		r.publish(t, r.a, "for ann again", "ann")
		r.publish(t, r.a, "for bob at "+name, "bob")
		for got := range upTo(t, thief, "for bob at "+name) {
			if strings.HasPrefix(got, "for ann") {
				t.Errorf("the thief got %q", got)
			}
		}
		reset(thief.NetConn())
	}
	back, _ := r.b.page(t, cookies)
	r.publish(t, r.a, "for ann at last", "ann")
	got := slices.Collect(upTo(t, back, "for ann at last"))
	want := []string{
		"for ann meanwhile", "for everybody meanwhile", "for ann again", "for ann again", "for ann at last",
	}
	if len(got) > 0 && got[0] == "for ann" { // the bridge may not have known yet that it had come
		got = got[1:]
	}
	if !slices.Equal(got, want) {
		t.Errorf("ann, back, got %q, want %q", got, want)
	}
}

// upTo yields what comes, up to a text.
func upTo(t *testing.T, conn *websocket.Conn, last string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			var got struct{ Data struct{ Value string } }
			if err := json.Unmarshal([]byte(receive(t, conn)), &got); err != nil {
				t.Fatal(err)
			}
			if !yield(got.Data.Value) || got.Data.Value == last {
				return
			}
		}
	}
}
