package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// DefaultURL is where a bridge on its default settings takes subscribers.
const DefaultURL = "ws://127.0.0.1:5043/ws/"

// SubscriberConfig says how to subscribe. Its zero value subscribes to every notification of a bridge on this
// machine.
type SubscriberConfig struct {
	// URL is the bridge's websocket endpoint, ws or wss; DefaultURL by default. Its query is kept.
	URL string
	// Types are the only types of notifications to get; all by default.
	Types []string
	// Since is from where on: the ID of a Message, to get what followed it; an age such as 30s; earliest, for all that
	// the bridge has; by default only what is published once the client is subscribed.
	Since string
	// Token says who the subscriber is; by default nothing does. It is called for each handshake, which sends it as
	// Authorization. A ws URL gets one on this machine only.
	Token TokenSource
	// Header is sent with the handshake, for example Cookie.
	Header http.Header
	// TLS is for wss URLs; Dialer's by default.
	TLS *tls.Config
	// Dialer makes the connections; websocket.DefaultDialer by default.
	Dialer *websocket.Dialer
	// Backoff bounds the pauses between attempts to reach the bridge.
	Backoff Backoff
	// Silence is how long nothing may come of a bridge, which pings every 30 s, before its connection counts as
	// dead; 75 s by default.
	Silence time.Duration
	// Logger gets a line when the bridge cannot be reached, when it can again, and for what is no envelope; none by
	// default.
	Logger *slog.Logger
	// OnConnect is called when the client is subscribed: whatever is published from then on comes.
	OnConnect func()
	// OnLost is called when the bridge no longer has all that was missed, with its sentence. The client goes on with the
	// earliest that there is.
	OnLost func(err error)
	// OnOutage is called with the reason when the connection cannot be made or is lost, and then not again before
	// OnConnect.
	OnOutage func(err error)

	dialled string // URL as it is dialled; in URL itself a token is hidden, for logs and errors
}

func (c SubscriberConfig) withDefaults() (SubscriberConfig, error) {
	if c.URL == "" {
		c.URL = DefaultURL
	}
	if c.Dialer == nil {
		c.Dialer = websocket.DefaultDialer
	}
	if c.TLS != nil {
		dialer := *c.Dialer
		dialer.TLSClientConfig = c.TLS
		c.Dialer = &dialer
	}
	if c.Silence == 0 {
		c.Silence = 75 * time.Second
	}
	if c.Silence < 0 {
		return c, fmt.Errorf("silence of %v: it must be positive", c.Silence)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.OnConnect == nil {
		c.OnConnect = func() {}
	}
	if c.OnLost == nil {
		c.OnLost = func(error) {}
	}
	if c.OnOutage == nil {
		c.OnOutage = func(error) {}
	}
	var err error
	if c.Backoff, err = c.Backoff.withDefaults(); err != nil {
		return c, err
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
		shown, _, _ := strings.Cut(c.URL, "?") // there may be a token
		return c, fmt.Errorf("%q is not a ws or wss URL; write it like %s", shown, DefaultURL)
	}
	if c.Token != nil && u.Scheme == "ws" && !isLoopback(u.Hostname()) {
		return c, fmt.Errorf("the token would go to %s unencrypted: use a wss URL", u.Host)
	}
	query := u.Query()
	if len(c.Types) > 0 {
		query.Set("types", strings.Join(c.Types, ","))
	}
	if c.Since == "" {
		c.Since = sinceNow
		if query.Has("since") {
			c.Since = query.Get("since")
		}
	}
	query.Del("since")
	u.RawQuery = query.Encode()
	c.dialled = u.String()
	if query.Has("token") {
		query.Set("token", "hidden")
		u.RawQuery = query.Encode()
	}
	c.URL = u.String()
	return c, nil
}

// What a client gives for since that has no position.
const (
	sinceNow      = "now"
	sinceEarliest = "earliest"
)

// positionHeader is where a bridge says, in its answer to the handshake, at which position the client begins.
const positionHeader = "Bridge-Position"

// Subscriber gets notifications from a bridge's websocket.
type Subscriber struct {
	config SubscriberConfig
}

// NewSubscriber returns a subscriber. The error is about the configuration only.
func NewSubscriber(config SubscriberConfig) (*Subscriber, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("new subscriber: %w", err)
	}
	if _, err := contract(); err != nil {
		return nil, fmt.Errorf("new subscriber: %w", err)
	}
	return &Subscriber{config: config}, nil
}

// Messages connects and yields notifications in the bridge's order. When the connection ends in a way that asks the
// client to come back (lost, refused, 429, 503, close codes 1001 and 1013), it connects again, after a pause or when the
// server says that it should, and goes on after the last notification that was yielded: what was published in between comes too, unless the bridge no longer has it
// (OnLost). A bridge with its journal in memory has lost it when it was restarted. Breaking out of the loop closes the
// connection cleanly. Each call has a connection of its own.
//
// The last pair holds the error that ended it, with an empty Message:
//   - ctx's, when it is done;
//   - a *HandshakeError when the server refused the handshake for good, such as 400 for a type that it does not
//     know, or 401;
//   - a *ClosedError when the server closed the connection for good, such as 1008 for a client that may no longer
//     be there.
//
// While the loop's body runs nothing is read and no ping is answered, so that a body which takes a minute costs the
// connection.
func (s *Subscriber) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		pauses := pauses{bounds: s.config.Backoff}
		outage := false
		since := s.config.Since
		for {
			sub, err := s.subscribe(ctx, &since)
			if err == nil {
				outage = false
				s.config.Logger.Info("subscribed", "url", s.config.URL)
				s.config.OnConnect()
				err = sub.deliver(ctx, func(m Message, err error) bool {
					if m.ID != "" {
						since = m.ID
					}
					return yield(m, err)
				})
				if sub.heard {
					pauses.reset()
				}
			}
			if handshake := isGone(err); handshake != nil && since != handshake.resume {
				since = handshake.resume
				s.config.Logger.Warn("something was lost", "url", s.config.URL, "err", err)
				s.config.OnLost(err)
				continue
			}
			switch {
			case errors.Is(err, errStopped):
				return
			case ctx.Err() != nil:
				yield(Message{}, ctx.Err())
				return
			case endsForGood(err):
				s.config.Logger.Error("the server wants this subscriber to stay away", "url", s.config.URL, "err", err)
				yield(Message{}, err)
				return
			case !outage:
				outage = true
				s.config.Logger.Warn("the bridge cannot be reached, retrying", "url", s.config.URL, "err", err)
				s.config.OnOutage(err)
			}
			pause := time.NewTimer(pauses.pauseAfter(err))
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
			}
		}
	}
}

// subscribe makes one connection, from since on, which becomes the position that the bridge gives for that. The error is
// a *HandshakeError when the server answered that the client should stay away.
func (s *Subscriber) subscribe(ctx context.Context, since *string) (*subscription, error) {
	header := s.config.Header
	token, err := s.config.Token.take(ctx)
	if err != nil {
		return nil, err
	}
	if token != "" {
		header = header.Clone()
		if header == nil {
			header = make(http.Header)
		}
		header.Set("Authorization", "Bearer "+token)
	}
	conn, response, err := s.config.Dialer.DialContext(ctx, s.config.since(*since), header)
	if err == nil {
		if position := response.Header.Get(positionHeader); position != "" {
			*since = position
		}
		return newSubscription(conn, s.config), nil
	}
	if !errors.Is(err, websocket.ErrBadHandshake) || response == nil {
		return nil, fmt.Errorf("connect to %s: %w", s.config.URL, err)
	}
	body, _ := io.ReadAll(response.Body) // as much as the dialer has kept
	message := strings.TrimSpace(string(body))
	switch status := response.StatusCode; {
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		return nil, later(fmt.Errorf("connect to %s: %w: %s: %s", s.config.URL, err, response.Status, message), response)
	default:
		resume := cmp.Or(response.Header.Get(positionHeader), sinceEarliest)
		return nil, &HandshakeError{URL: s.config.URL, Status: status, Message: message, resume: resume}
	}
}

// since returns the URL with that parameter.
func (c SubscriberConfig) since(since string) string {
	separator := "?"
	if strings.Contains(c.dialled, "?") {
		separator = "&"
	}
	return c.dialled + separator + "since=" + url.QueryEscape(since)
}

// isGone returns the bridge's answer that it no longer has what follows a position; nil for anything else.
func isGone(err error) *HandshakeError {
	handshake := (*HandshakeError)(nil)
	if errors.As(err, &handshake) && handshake.Status == http.StatusGone {
		return handshake
	}
	return nil
}

// endsForGood reports whether the client should stay away.
func endsForGood(err error) bool {
	handshake, closed := (*HandshakeError)(nil), (*ClosedError)(nil)
	return errors.As(err, &handshake) || errors.As(err, &closed)
}
