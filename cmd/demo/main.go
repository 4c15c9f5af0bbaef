// Command demo starts a bridge, subscribes to it, publishes one notification of every type and prints the envelopes
// that arrive. It exits with 0 only if each is as it should be: what rotki's API document shows, or, for the types that it
// does not have, the example of the contract.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/rotki/notification-bridge/bridge/contract"
	"github.com/rotki/notification-bridge/bridge/contract/manual"
	"github.com/rotki/notification-bridge/client"
	image "github.com/rotki/notification-bridge/gen/contract"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// documented holds the envelopes of rotki's API document, a line each.
//
//go:embed documented.ndjson
var documented []byte

// patience is how long the whole demo may take.
const patience = time.Minute

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demo PATH-OF-ROTKI-BRIDGE")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := demo(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context, program string) (err error) {
	builtin, err := contract.Builtin()
	if err != nil {
		return err
	}
	lines, err := samples(builtin)
	if err != nil {
		return err
	}
	bridge, err := startBridge(ctx, program)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bridge.stop()) }()
	fmt.Printf("bridge: websocket ws://%s/ws/, gRPC %s\n", bridge.Websocket, bridge.GRPC)

	connected := make(chan struct{}, 1)
	subscriber, err := client.NewSubscriber(client.SubscriberConfig{
		URL:       "ws://" + bridge.Websocket + "/ws/",
		OnConnect: func() { connected <- struct{}{} },
	})
	if err != nil {
		return err
	}
	publisher, err := client.NewPublisher(client.PublisherConfig{Addr: bridge.GRPC})
	if err != nil {
		return err
	}
	published := make(chan error, 1)
	go func() {
		defer close(published)
		select {
		case <-connected:
			published <- publish(ctx, builtin, publisher, lines)
		case <-ctx.Done():
			published <- ctx.Err()
		}
	}()
	received := receive(ctx, subscriber, lines)
	return errors.Join(received, <-published, publisher.Close(ctx))
}

// publish sends the samples as typed notifications.
func publish(ctx context.Context, builtin *contract.Contract, publisher *client.Publisher, lines [][]byte) error {
	for _, line := range lines {
		n := new(notificationsv1.Notification)
		if err := builtin.Decode(line, n); err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
		if _, err := publisher.Publish(ctx, n); err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
	}
	return nil
}

// receive holds what arrives against the samples.
func receive(ctx context.Context, subscriber *client.Subscriber, lines [][]byte) error {
	count := len(lines)
	for message, err := range subscriber.Messages(ctx) {
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", message.Envelope)
		var got, want any
		if err := errors.Join(json.Unmarshal(message.Envelope, &got), json.Unmarshal(lines[0], &want)); err != nil {
			return err
		}
		if !reflect.DeepEqual(got, want) {
			return fmt.Errorf("expected %s", lines[0])
		}
		if lines = lines[1:]; len(lines) == 0 {
			fmt.Printf("all %d types arrived as they should\n", count)
			return nil
		}
	}
	return errors.New("the subscription ended")
}

// samples returns an envelope of every type: those of rotki's API document, and for every other type the example that
// the contract's comments give.
func samples(builtin *contract.Contract) ([][]byte, error) {
	lines := bytes.Split(bytes.TrimSpace(documented), []byte("\n"))
	shown := make(map[string]bool)
	for _, line := range lines {
		var e struct{ Type string }
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		shown[e.Type] = true
	}
	described, err := contract.Load(image.Image)
	if err != nil {
		return nil, err
	}
	examples, err := manual.New(described)
	if err != nil {
		return nil, err
	}
	for _, name := range builtin.Types() {
		if shown[name] {
			continue
		}
		entry, err := examples.Entry(name)
		if err != nil {
			return nil, err
		}
		lines = append(lines, entry.Envelope)
	}
	return lines, nil
}
