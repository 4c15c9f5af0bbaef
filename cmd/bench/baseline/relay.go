//go:build linux

package baseline

import (
	"io"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/grpc"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// relay accepts every request once nats.go says that its text is stored. It looks at nothing else.
type relay struct {
	notificationsv1.UnimplementedNotificationServiceServer
	stream *stream
}

func serveRelay(c Config, w io.Writer) error {
	s, err := openStream(c)
	if err != nil {
		return err
	}
	listener, err := listen()
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	notificationsv1.RegisterNotificationServiceServer(server, relay{stream: s})
	go func() { s.fail(server.Serve(listener)) }()
	if err := announce(w, Addresses{GRPC: listener.Addr().String()}); err != nil {
		return err
	}
	return <-s.failed
}

// Publish implements notificationsv1.NotificationServiceServer.
func (r relay) Publish(calls grpc.BidiStreamingServer[notificationsv1.PublishRequest, notificationsv1.PublishResponse]) error {
	js, err := r.stream.publisher()
	if err != nil {
		return err
	}
	defer js.Conn().Close()
	stored := make(chan jetstream.PubAckFuture, r.stream.config.Window)
	failed := make(chan error, 1)
	go func() {
		defer close(stored)
		for {
			request, err := calls.Recv()
			if err == nil {
				text := request.GetNotification().GetLegacy().GetValue()
				var future jetstream.PubAckFuture
				future, err = js.PublishMsgAsync(&nats.Msg{
					Subject: streamPrefix + streamType, Data: []byte(`{"verbosity":"warning","value":"` + text + `"}`),
				}, patient)
				if err == nil {
					select {
					case stored <- future:
					case <-calls.Context().Done(): // nobody reads any more
					}
					continue
				}
			}
			failed <- err
			return
		}
	}()
	for future := range stored {
		select {
		case ack := <-future.Ok():
			err = calls.Send(&notificationsv1.PublishResponse{Result: &notificationsv1.PublishResponse_Accepted{
				Accepted: &notificationsv1.Accepted{Position: strconv.FormatUint(ack.Sequence, 10)},
			}})
		case err = <-future.Err():
		}
		if err != nil {
			return err
		}
	}
	return <-failed
}
