// Command demo starts a bridge, subscribes to it, publishes one notification of every type and prints the envelopes
// that arrive. It exits with 0 only if each is what rotki's API document shows.
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

	"github.com/rotki/notification-bridge/bridge/envelope"
	"github.com/rotki/notification-bridge/client"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// samples holds an envelope of every type, a line each: first those of rotki's API document, with its values.
//
//go:embed envelopes.ndjson
var samples []byte

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
	contract, err := envelope.Compile((*notificationsv1.Notification)(nil).ProtoReflect().Descriptor())
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
	lines := bytes.Split(bytes.TrimSpace(samples), []byte("\n"))
	published := make(chan error, 1)
	go func() {
		defer close(published)
		select {
		case <-connected:
			published <- publish(ctx, contract, publisher, lines)
		case <-ctx.Done():
			published <- ctx.Err()
		}
	}()
	received := receive(ctx, subscriber, lines)
	return errors.Join(received, <-published, publisher.Close(ctx), complete(contract, lines))
}

// publish sends the samples as typed notifications.
func publish(ctx context.Context, contract *envelope.Contract, publisher *client.Publisher, lines [][]byte) error {
	for _, line := range lines {
		n := new(notificationsv1.Notification)
		if err := contract.Decode(line, n); err != nil {
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

// complete reports a type of the contract that has no sample.
func complete(contract *envelope.Contract, lines [][]byte) error {
	shown := make(map[string]bool)
	for _, line := range lines {
		var e struct{ Type string }
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
		shown[e.Type] = true
	}
	for _, name := range contract.Types() {
		if !shown[name] {
			return fmt.Errorf("envelopes.ndjson has no %s", name)
		}
	}
	return nil
}
