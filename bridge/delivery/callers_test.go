package delivery_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
	"github.com/rotki/notification-bridge/bridge/session"
)

// named believes a header who is calling, as a proxy's would be believed.
func named(r *http.Request) (auth.Caller, error) {
	c := auth.Caller{Subject: r.Header.Get("Subject"), TokenID: r.Header.Get("Token-Id")}
	if types := r.Header.Values("Types"); len(types) > 0 {
		c.Types = slices.DeleteFunc(types, func(typ string) bool { return typ == "-" }) // which stands for none
	}
	if lasts, err := time.ParseDuration(r.Header.Get("Lasts")); err == nil {
		c.Expires = time.Now().Add(lasts)
	}
	return c, nil
}

func (s *served) dialAs(t testing.TB, subject, query string, header ...string) *websocket.Conn {
	t.Helper()
	h := http.Header{"Subject": {subject}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	conn, response, err := s.dialer().DialContext(t.Context(), s.url(query), h)
	if err != nil {
		t.Fatalf("dial: %v (%v)", err, response)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (s *served) publishTo(t testing.TB, data string, recipients ...string) {
	t.Helper()
	if _, err := s.journal.Append(t.Context(), journal.Entry{Type: "legacy", Data: []byte(data), Recipients: recipients}); err != nil {
		t.Fatal(err)
	}
}

// TestRecipients: whoever a notification names gets it, on every connection, and nobody else does.
func TestRecipients(t *testing.T) { onEveryWire(t, testRecipients) }

func testRecipients(t *testing.T, w wire) {
	s := serveOn(t, w, delivery.Config{Authenticate: named}, journal.MemoryConfig{})
	const messages = 2000
	subjects := []string{"", "ann", "ann", "bob", "cy"} // of the connections; the first is anonymous
	var conns []*websocket.Conn
	for _, subject := range subjects {
		conns = append(conns, s.dialAs(t, subject, ""))
	}
	random := rand.New(rand.NewPCG(6, 0))
	want := make([][]string, len(subjects))
	publish := func(i int) {
		data := fmt.Sprint(i)
		var recipients []string
		for _, subject := range []string{"ann", "bob", "cy", "nobody"} {
			if random.IntN(3) == 0 {
				recipients = append(recipients, subject)
			}
		}
		for c, subject := range subjects {
			if len(recipients) == 0 || slices.Contains(recipients, subject) {
				want[c] = append(want[c], envelopeOf("legacy", data))
			}
		}
		expected := 0
		for c := range subjects {
			if n := len(want[c]); n > 0 && want[c][n-1] == envelopeOf("legacy", data) {
				expected++
			}
		}
		if got := s.Count("legacy", recipients); got != expected {
			t.Errorf("%v: counted %d, it is for %d", recipients, got, expected)
		}
		s.publishTo(t, data, recipients...)
	}
	for i := range messages {
		publish(i)
	}
	s.publishTo(t, `"last"`)
	for c, conn := range conns {
		for _, envelope := range append(want[c], envelopeOf("legacy", `"last"`)) {
			if got := receive(t, conn); got != envelope {
				t.Fatalf("connection %d of %q got %s, want %s", c, subjects[c], got, envelope)
			}
		}
	}
}

// TestRecipientsByEveryWay: by resuming, by a session's cookie and over events, too, each gets its own only.
func TestRecipientsByEveryWay(t *testing.T) {
	s := serve(t, delivery.Config{Authenticate: named, Sessions: session.New(session.Config{})}, journal.MemoryConfig{})
	pageOf := func(subject string) *page {
		p := s.page()
		p.header.Set("Subject", subject)
		return p
	}
	ann, bob := pageOf("ann"), pageOf("bob")
	for _, p := range []*page{ann, bob} {
		conn, _ := p.connect(t, "")
		reset(conn)
	}
	await(t, "both are gone", func() bool { return s.Connections() == 0 })
	s.publishTo(t, `"for ann"`, "ann")
	s.publishTo(t, `"for bob"`, "bob")
	s.publishTo(t, `"for all"`)
	for _, p := range []*page{ann, bob} {
		conn, _ := p.connect(t, "")
		own := envelopeOf("legacy", fmt.Sprintf(`"for %s"`, p.header.Get("Subject")))
		for _, want := range []string{own, envelopeOf("legacy", `"for all"`)} {
			if got := receive(t, conn); got != want {
				t.Errorf("%s got %s, want %s", p.header.Get("Subject"), got, want)
			}
		}
		reset(conn)
	}
	await(t, "both are gone again", func() bool { return s.Connections() == 0 })

	s.publishTo(t, `"ann again"`, "ann")
	thief := pageOf("bob")
	thief.cookie = ann.cookie // which carries no rights
	stolen, _ := thief.connect(t, "")
	s.publishTo(t, `"now"`)
	if got := receive(t, stolen); got != envelopeOf("legacy", `"now"`) {
		t.Errorf("with ann's cookie bob got %s", got)
	}
	resumed := s.dialAs(t, "bob", "?since=earliest")
	for _, want := range []string{`"for bob"`, `"for all"`, `"now"`} {
		if got := receive(t, resumed); !strings.Contains(got, want) {
			t.Errorf("bob resumed with %s, want %s", got, want)
		}
	}
}

// TestManyRecipients: notifications that name many reach just those, and whoever else is there gets past them at a cost
// that does not grow with how many they name.
func TestManyRecipients(t *testing.T) {
	s := serve(t, delivery.Config{Authenticate: named}, journal.MemoryConfig{})
	const messages, many = 100, 1000
	for i := range messages {
		var recipients []string
		for j := range many {
			recipients = append(recipients, fmt.Sprintf("%d-%d", j, i%2))
		}
		s.publishTo(t, fmt.Sprint(i), recipients...)
	}
	if passed, named, err := delivery.Shared(s.journal); err != nil || passed != messages || named > 0 {
		t.Errorf("a batch passes %d records, with %d names noted (%v)", passed, named, err)
	}
	s.publishTo(t, `"last"`)
	for subject, first := range map[string]int{"": messages, "nobody": messages, "7-0": 0, "999-1": 1} {
		conn := s.dialAs(t, subject, "?since=earliest")
		for i := first; i < messages; i += 2 {
			if got := receive(t, conn); !strings.Contains(got, fmt.Sprintf(`"data":%d,`, i)) {
				t.Fatalf("%q got %s, want %d", subject, got, i)
			}
		}
		if got := receive(t, conn); !strings.Contains(got, `"last"`) {
			t.Errorf("%q got %s at last", subject, got)
		}
	}
}

// TestTypesOfToken: a token may narrow what its bearer sees, whatever it asks for.
func TestTypesOfToken(t *testing.T) {
	s := serve(t, delivery.Config{Authenticate: named}, journal.MemoryConfig{})
	s.dialAs(t, "bob", "") // these two share their filters with nobody below
	s.dialAs(t, "bob", "?types=legacy,other")
	for name, tc := range map[string]struct {
		query string
		types []string
		want  []string
	}{
		"all":              {"", []string{"legacy", "other"}, []string{"legacy", "other"}},
		"one":              {"", []string{"other"}, []string{"other"}},
		"one, asked":       {"?types=other,legacy", []string{"other"}, []string{"other"}},
		"another is asked": {"?types=legacy", []string{"other"}, nil},
		"unknown ones":     {"", []string{"no_type"}, nil},
		"none":             {"", []string{"-"}, nil},
		"none, asked":      {"?types=legacy", []string{"-"}, nil},
		"a star":           {"", []string{"*"}, nil},
		"a comma":          {"", []string{"legacy,other"}, nil},
		"an empty one":     {"", []string{""}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			header := []string{"Token-Id", name}
			for _, typ := range tc.types {
				header = append(header, "Types", typ)
			}
			conn := s.dialAs(t, "ann", tc.query, header...)
			s.publish(t, "legacy", "1")
			s.publish(t, "other", "2")
			await(t, "it has got all", func() bool {
				c := s.List(delivery.Selector{TokenID: name})
				return len(c) == 1 && c[0].Lag == 0
			})
			s.Disconnect(delivery.Selector{TokenID: name}, delivery.Dismissed)
			for _, typ := range tc.want {
				if got := receive(t, conn); !strings.Contains(got, `"type":"`+typ+`"`) {
					t.Errorf("got %s, want %s", got, typ)
				}
			}
			endsAtOnce(t, conn) // and nothing else came before
		})
	}
}

// TestTypesAreNames: a token's types are names and nothing else, however they read, and its bearer's being there changes
// nothing for anybody else.
func TestTypesAreNames(t *testing.T) {
	for _, tc := range []struct{ claim, query string }{
		{"*", ""},
		{"legacy,other", "?types=legacy,other"},
		{`legacy" "other`, "?types=legacy,other"},
	} {
		for _, oddFirst := range []bool{true, false} {
			t.Run(fmt.Sprint(tc.claim, " first=", oddFirst), func(t *testing.T) {
				s := serve(t, delivery.Config{Authenticate: named}, journal.MemoryConfig{})
				var odd, other *websocket.Conn
				dial := []func(){
					func() { odd = s.dialAs(t, "ann", "", "Types", tc.claim, "Token-Id", "t1") },
					func() { other = s.dialAs(t, "bob", tc.query) },
				}
				if !oddFirst {
					slices.Reverse(dial)
				}
				for _, f := range dial {
					f()
				}
				s.publish(t, "legacy", "1")
				await(t, "all have got it", func() bool {
					listed := s.List(delivery.Selector{})
					return len(listed) == 2 && listed[0].Lag == 0 && listed[1].Lag == 0
				})
				s.Disconnect(delivery.Selector{}, delivery.Dismissed)
				if got := receive(t, other); got != envelopeOf("legacy", "1") {
					t.Errorf("bob got %s", got)
				}
				endsAtOnce(t, odd)
			})
		}
	}
}

// TestExpires: a connection ends with its credential, and others do not.
func TestExpires(t *testing.T) { onEveryWire(t, testExpires) }

func testExpires(t *testing.T, w wire) {
	s := serveOn(t, w, delivery.Config{Authenticate: named, PingInterval: patience}, journal.MemoryConfig{})
	short, long := s.dialAs(t, "ann", "", "Lasts", "100ms"), s.dialAs(t, "ann", "", "Lasts", "1h")
	if code := closeCode(t, short); code != websocket.ClosePolicyViolation {
		t.Errorf("the one that expires ended with %d", code)
	}
	s.publishTo(t, "1", "ann")
	if got := receive(t, long); got != envelopeOf("legacy", "1") {
		t.Errorf("the other got %s", got)
	}
	await(t, "it is counted as expired, and no longer as ann's", func() bool {
		return s.metric(t, "bridge_disconnects_total", "expired") == 1 && s.Count("legacy", []string{"ann"}) == 1
	})
}

// TestNotLetIn: who is refused is told what may be told, and no more.
func TestNotLetIn(t *testing.T) {
	const secret = "for the operator only"
	for name, tc := range map[string]struct {
		err      error
		status   int
		sentence string
	}{
		"refused": {&auth.Refusal{Defect: auth.Expired, Detail: secret}, http.StatusUnauthorized, "has expired"},
		"broken":  {errors.New(secret), http.StatusInternalServerError, "internal error"},
		"later":   {&auth.Refusal{Defect: auth.KeysUnavailable, Detail: secret}, http.StatusServiceUnavailable, "in a moment"},
	} {
		s := serve(t, delivery.Config{
			Authenticate: func(*http.Request) (auth.Caller, error) { return auth.Caller{Subject: "ann"}, tc.err },
		}, journal.MemoryConfig{})
		status, _, sentence := s.refusedAs(t, "ann")
		if status != tc.status || !strings.Contains(sentence, tc.sentence) || strings.Contains(sentence, secret) {
			t.Errorf("%s: told %d, %s", name, status, sentence)
		}
	}
}

// TestSubprotocol: what the handshake chooses is answered.
func TestSubprotocol(t *testing.T) {
	s := serve(t, delivery.Config{
		Subprotocol: func(r *http.Request) string { return websocket.Subprotocols(r)[1] },
	}, journal.MemoryConfig{})
	dialer := s.dialer()
	dialer.Subprotocols = []string{"a", "b"}
	if conn := s.dialWith(t, dialer, ""); conn.Subprotocol() != "b" {
		t.Errorf("answered with %q", conn.Subprotocol())
	}
}
