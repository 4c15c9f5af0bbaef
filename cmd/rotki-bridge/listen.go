package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/rotki/notification-bridge/client"
)

// listenCommand prints what a subscriber gets.
type listenCommand struct {
	URL    string   `name:"url" default:"ws://127.0.0.1:5043/ws/" placeholder:"URL" help:"The bridge's websocket endpoint (${default})."`
	Types  []string `placeholder:"TYPE" help:"Only these types, separated by commas; all by default."`
	Since  string   `placeholder:"WHEN" help:"First what is no older than an age (30s), follows an id, or all that the bridge has (earliest)."`
	IDs    bool     `name:"ids" help:"Print each envelope's id before it."`
	Count  uint64   `placeholder:"N" help:"Exit after so many envelopes; 0, the default, goes on until interrupted."`
	Pretty bool     `help:"Indent the JSON over several lines."`
	tokenFlag
	authorityFlag
}

// withoutToken returns a URL as it can be shown.
func withoutToken(text string) string {
	u, err := url.Parse(text)
	if err != nil || !u.Query().Has("token") {
		return text
	}
	query := u.Query()
	query.Set("token", "…")
	u.RawQuery = query.Encode()
	return u.Redacted()
}

// Run prints one envelope per line, as it was received. Without Count, being interrupted is how it ends, and no
// error.
func (c *listenCommand) Run(ctx context.Context, streams stdio) error {
	token, err := c.source()
	if err != nil {
		return err
	}
	authorities, err := c.pool()
	if err != nil {
		return err
	}
	subscriber, err := client.NewSubscriber(client.SubscriberConfig{
		URL:       c.URL,
		Types:     c.Types,
		Since:     c.Since,
		Token:     token,
		TLS:       &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
		OnLost:    func(err error) { fmt.Fprintf(streams.Err, "lost: %v\n", err) },
		OnConnect: func() { fmt.Fprintf(streams.Err, "subscribed to %s\n", withoutToken(c.URL)) },
		OnOutage:  func(err error) { fmt.Fprintf(streams.Err, "retrying: %v\n", err) },
	})
	if err != nil {
		return err
	}
	printed := uint64(0)
	for m, err := range subscriber.Messages(ctx) {
		switch {
		case err != nil && ctx.Err() != nil && c.Count == 0:
			return nil
		case err != nil && ctx.Err() != nil:
			return fmt.Errorf("interrupted after %d of %d envelopes", printed, c.Count)
		case err != nil:
			if refused := (*client.HandshakeError)(nil); errors.As(err, &refused) && refused.Status == http.StatusUnauthorized {
				return fmt.Errorf("%w; --token-file names the file that holds one", err)
			}
			return err
		}
		var out bytes.Buffer
		if c.IDs {
			out.WriteString(m.ID + " ")
		}
		if c.Pretty {
			err = json.Indent(&out, m.Envelope, "", "  ")
		} else {
			_, err = out.Write(m.Envelope)
		}
		if err == nil {
			out.WriteByte('\n')
			_, err = streams.Out.Write(out.Bytes())
		}
		if err != nil {
			return fmt.Errorf("print an envelope: %w", err)
		}
		if printed++; printed == c.Count {
			return nil
		}
	}
	return nil
}
