//go:build linux

package baseline

import (
	"errors"
	"io"

	"google.golang.org/grpc"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// echo accepts every request.
type echo struct {
	notificationsv1.UnimplementedNotificationServiceServer
}

func serveEcho(w io.Writer) error {
	listener, err := listen()
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	notificationsv1.RegisterNotificationServiceServer(server, echo{})
	if err := announce(w, Addresses{GRPC: listener.Addr().String()}); err != nil {
		return err
	}
	return server.Serve(listener)
}

// Publish implements notificationsv1.NotificationServiceServer.
func (echo) Publish(stream grpc.BidiStreamingServer[notificationsv1.PublishRequest, notificationsv1.PublishResponse]) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		err = stream.Send(&notificationsv1.PublishResponse{
			Id:     request.GetId(),
			Result: &notificationsv1.PublishResponse_Accepted{Accepted: &notificationsv1.Accepted{Position: "1"}},
		})
		if err != nil {
			return err
		}
	}
}
