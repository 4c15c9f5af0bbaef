package delivery_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
)

// TestConfirmsAfterIdling: that a client is asked when there is nothing to confirm does not keep it from being asked later.
func TestConfirmsAfterIdling(t *testing.T) {
	s := serveSessions(t, wire{}, delivery.Config{PingInterval: 2 * time.Second}, journal.MemoryConfig{})
	p := s.page()
	conn, _ := p.connect(t, "")
	pinged := make(chan struct{}, 100)
	answer := conn.PingHandler()
	conn.SetPingHandler(func(data string) error {
		pinged <- struct{}{}
		return answer(data)
	})
	messages := make(chan string, 1000)
	go func() {
		defer close(messages)
		for {
			_, text, err := conn.ReadMessage()
			if err != nil {
				return
			}
			messages <- string(text)
		}
	}()
	<-pinged // though there was nothing
	for i := range 10 {
		s.number(t, i, i)
		if got := <-messages; got != envelopeOf("legacy", fmt.Sprint(i)) {
			t.Fatalf("got %s", got)
		}
	}
	// Within a ping interval, or this would show nothing.
	await(t, "everything is confirmed", func() bool { return s.Unconfirmed() == 0 })
	reset(conn)
	await(t, "the connection has ended", func() bool { return s.Connections() == 0 })
	s.number(t, 10, 10)
	again, _ := p.connect(t, "")
	expect(t, again, 10, 10)
}

// TestAskedOnce: a client that leaves a question open is not asked again with every notification.
func TestAskedOnce(t *testing.T) {
	s := serveSessions(t, wire{}, delivery.Config{}, journal.MemoryConfig{})
	p := s.page()
	conn, _ := p.connect(t, "")
	asked := 0
	conn.SetPingHandler(func(string) error { // and leaves the question open
		asked++
		return nil
	})
	s.number(t, 1, 1000)
	expect(t, conn, 1, 1000)
	if asked != 1 {
		t.Errorf("a client that does not answer was asked %d times", asked)
	}
}

// TestAnswersAreNoTalk: a browser that answers as often as it is asked does not say too much.
func TestAnswersAreNoTalk(t *testing.T) {
	s := serveSessions(t, wire{}, delivery.Config{ClientRate: 10}, journal.MemoryConfig{})
	p := s.page()
	conn, _ := p.connect(t, "")
	asked := 0
	answer := conn.PingHandler()
	conn.SetPingHandler(func(data string) error {
		asked++
		return answer(data)
	})
	for i := range 200 {
		s.number(t, i, i)
		expect(t, conn, i, i)
	}
	if asked < 20 {
		t.Errorf("it was asked %d times only", asked)
	}
}
