package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// farewellTime is how long the closing handshake may take that this side begins.
const farewellTime = time.Second

// errStopped: the loop over the messages was left.
var errStopped = errors.New("stopped")

// subscription is one websocket connection of a Subscriber.
type subscription struct {
	conn    *websocket.Conn
	silence time.Duration
	logger  *slog.Logger
	heard   bool // something came, a ping at least

	mu      sync.Mutex
	leaving bool // the read deadline is the closing handshake's
}

func newSubscription(conn *websocket.Conn, config SubscriberConfig) *subscription {
	s := &subscription{conn: conn, silence: config.Silence, logger: config.Logger}
	pong := conn.PingHandler()
	conn.SetPingHandler(func(data string) error {
		s.heard = true
		s.extend()
		return pong(data)
	})
	return s
}

// extend gives the bridge time until the next sign of life.
func (s *subscription) extend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.leaving {
		_ = s.conn.SetReadDeadline(time.Now().Add(s.silence))
	}
}

// leave begins the closing handshake. It may be called more than once, and while another goroutine reads.
func (s *subscription) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving {
		return
	}
	s.leaving = true
	deadline := time.Now().Add(farewellTime)
	_ = s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), deadline)
	_ = s.conn.SetReadDeadline(deadline)
}

// deliver yields messages until the connection ends, ctx is done or yield returns false, and closes the connection.
// The error is never nil: errStopped in the last case, and a *ClosedError when the client should stay away.
func (s *subscription) deliver(ctx context.Context, yield func(Message, error) bool) error {
	defer s.conn.Close()
	left := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(left)
		s.leave()
	})
	defer func() {
		if !stop() {
			<-left
		}
	}()
	for {
		s.extend()
		kind, data, err := s.conn.ReadMessage()
		if err != nil {
			return ended(err)
		}
		s.heard = true
		if ctx.Err() != nil {
			continue // until the server has answered the closing handshake
		}
		m, err := newMessage(data)
		if err != nil || kind != websocket.TextMessage {
			s.logger.Warn("skipped a message that is no envelope", "bytes", len(data), "err", err)
			continue
		}
		if !yield(m, nil) {
			s.leave()
			for err == nil {
				_, _, err = s.conn.NextReader()
			}
			return errStopped
		}
	}
}

// ended turns gorilla's error into a *ClosedError when the close was clean and its code does not invite the client
// to come back. That is the rule by which rotki's frontend reconnects, but for the codes that it ignores.
func ended(err error) error {
	closed := (*websocket.CloseError)(nil)
	if !errors.As(err, &closed) {
		return fmt.Errorf("the connection was lost: %w", err)
	}
	switch closed.Code {
	case websocket.CloseAbnormalClosure, // gorilla's word for an end without a closing handshake
		websocket.CloseGoingAway, websocket.CloseInternalServerErr, websocket.CloseServiceRestart, websocket.CloseTryAgainLater:
		return fmt.Errorf("the connection was lost: %w", err)
	}
	return &ClosedError{Code: closed.Code, Reason: closed.Text}
}
