package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/client"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// runBridge runs a bridge on free ports until stop is called.
func runBridge() (grpcAddr, websocketURL string, stop func()) {
	b, err := bridge.New(bridge.Config{HTTPAddr: "127.0.0.1:0", GRPCAddr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0", AdminGRPCAddr: "127.0.0.1:0"})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	return b.GRPCAddr(), "ws://" + b.HTTPAddr() + "/ws/", func() {
		cancel()
		if err := <-ended; err != nil {
			log.Fatal(err)
		}
	}
}

func ExamplePublisher_Publish() {
	ctx := context.Background()
	addr, _, stop := runBridge()
	defer stop()

	publisher, err := client.NewPublisher(client.PublisherConfig{Addr: addr})
	if err != nil {
		log.Fatal(err)
	}
	accepted, err := publisher.Publish(ctx, &notificationsv1.Notification{
		Payload: &notificationsv1.Notification_BalanceSnapshotError{
			BalanceSnapshotError: &notificationsv1.BalanceSnapshotError{
				Location: "poloniex",
				Error:    "Could not connect to poloniex",
			},
		},
	})
	fmt.Println(accepted.Subscribers, "subscribers,", err)

	_, err = publisher.Publish(ctx, &notificationsv1.Notification{
		Payload: &notificationsv1.Notification_LoginStatus{LoginStatus: &notificationsv1.LoginStatus{StartDbVersion: 26}},
	})
	if rejected := (*client.RejectedError)(nil); errors.As(err, &rejected) {
		fmt.Println(rejected.Field, rejected.Message)
	}
	if err := publisher.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 0 subscribers, <nil>
	// login_status.current_upgrade is required
}

// Progress goes out without waiting for each answer; Close makes sure that all arrived.
func ExamplePublisher_PublishAsync() {
	ctx := context.Background()
	addr, _, stop := runBridge()
	defer stop()

	publisher, err := client.NewPublisher(client.PublisherConfig{Addr: addr})
	if err != nil {
		log.Fatal(err)
	}
	for step := range uint32(9) {
		if _, err := publisher.PublishAsync(ctx, &notificationsv1.Notification{
			Payload: &notificationsv1.Notification_LoginStatus{LoginStatus: &notificationsv1.LoginStatus{
				StartDbVersion:  26,
				TargetDbVersion: 35,
				CurrentUpgrade:  &notificationsv1.CurrentUpgrade{FromDbVersion: 30, TotalSteps: 8, CurrentStep: step},
			}},
		}); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(publisher.Close(ctx))
	// Output: <nil>
}

func ExampleSubscriber_Messages() {
	ctx := context.Background()
	addr, url, stop := runBridge()
	defer stop()

	publisher, err := client.NewPublisher(client.PublisherConfig{Addr: addr})
	if err != nil {
		log.Fatal(err)
	}
	defer publisher.Close(ctx)
	subscriber, err := client.NewSubscriber(client.SubscriberConfig{
		URL:   url,
		Types: []string{"legacy"},
		OnConnect: func() {
			_, err := publisher.PublishAsync(ctx, &notificationsv1.Notification{
				Payload: &notificationsv1.Notification_Legacy{Legacy: &notificationsv1.Legacy{
					Verbosity: notificationsv1.Verbosity_VERBOSITY_WARNING,
					Value:     "A warning",
				}},
			})
			if err != nil {
				log.Fatal(err)
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	for message, err := range subscriber.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(message.Type, string(message.Envelope))
		if legacy := message.Notification.GetLegacy(); legacy != nil {
			fmt.Println(legacy.GetValue())
		}
		break
	}
	// Output:
	// legacy {"type":"legacy","data":{"verbosity":"warning","value":"A warning"}}
	// A warning
}
