package bridge_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/rotki/notification-bridge/bridge"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// BenchmarkPublish holds a whole bridge against the least that a gRPC server can do: an echo that accepts each request
// as soon as it is received. The same publishers drive both.
func BenchmarkPublish(b *testing.B) {
	for _, streams := range []int{1, 8} {
		b.Run(fmt.Sprintf("server=echo/streams=%d", streams), func(b *testing.B) {
			benchmarkPublish(b, startEcho(b), streams)
		})
		b.Run(fmt.Sprintf("server=bridge/streams=%d", streams), func(b *testing.B) {
			benchmarkPublish(b, start(b, bridge.Config{}).GRPCAddr(), streams)
		})
	}
}

// benchmarkPublish publishes b.N requests in all over as many streams, each with a connection of its own.
func benchmarkPublish(b *testing.B, addr string, streams int) {
	var publishers []*benchPublisher
	for i := range streams {
		p := newBenchPublisher(b, addr, byte(i))
		p.run(b, 1) // the connection is there
		publishers = append(publishers, p)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i, p := range publishers {
		wg.Go(func() { p.run(b, (b.N+i)/streams) })
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
	for _, p := range publishers {
		if err := p.CloseSend(); err != nil {
			b.Error(err)
		}
		if _, err := p.Recv(); !errors.Is(err, io.EOF) {
			b.Errorf("the stream ended with %v", err)
		}
	}
}

// benchPublisher is one stream that keeps up to 256 requests in flight.
type benchPublisher struct {
	grpc.BidiStreamingClient[notificationsv1.PublishRequest, notificationsv1.PublishResponse]
	window chan struct{}
	uuid   [16]byte // of the request before
}

func newBenchPublisher(b *testing.B, addr string, number byte) *benchPublisher {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.Cleanup(func() {
		cancel()
		_ = conn.Close()
	})
	stream, err := notificationsv1.NewNotificationServiceClient(conn).Publish(ctx)
	if err != nil {
		b.Fatal(err)
	}
	return &benchPublisher{stream, make(chan struct{}, 256), [16]byte{15: number}}
}

// run publishes n requests and returns when all are accepted.
func (p *benchPublisher) run(b *testing.B, n int) {
	var answers sync.WaitGroup
	answers.Go(func() {
		for range n {
			response, err := p.Recv()
			if err != nil || response.GetAccepted() == nil || response.GetAccepted().GetDuplicate() {
				b.Errorf("answer %v, %v", response, err)
			}
			<-p.window
		}
	})
	request := &notificationsv1.PublishRequest{Notification: legacy("A warning of about the length that they have")}
	for range n {
		request.Id = p.nextID()
		p.window <- struct{}{}
		if err := p.Send(request); err != nil {
			b.Error(err)
		}
	}
	answers.Wait()
}

// nextID returns an id that looks like a UUID and costs less than one.
func (p *benchPublisher) nextID() string {
	for i := range p.uuid {
		if p.uuid[i]++; p.uuid[i] != 0 {
			break
		}
	}
	var text [36]byte
	for i, group := range [][2]int{{0, 4}, {4, 6}, {6, 8}, {8, 10}, {10, 16}} {
		at := 2*group[0] + i
		hex.Encode(text[at:], p.uuid[group[0]:group[1]])
		if i > 0 {
			text[at-1] = '-'
		}
	}
	return string(text[:])
}

// echo accepts each request where it is received.
type echo struct {
	notificationsv1.UnimplementedNotificationServiceServer
}

// Publish implements NotificationServiceServer.
func (echo) Publish(stream grpc.BidiStreamingServer[notificationsv1.PublishRequest, notificationsv1.PublishResponse]) error {
	for {
		if _, err := stream.Recv(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := stream.Send(&notificationsv1.PublishResponse{Result: &notificationsv1.PublishResponse_Accepted{
			Accepted: &notificationsv1.Accepted{Position: "1"},
		}}); err != nil {
			return err
		}
	}
}

// startEcho returns the address of an echo server with gRPC's defaults.
func startEcho(b *testing.B) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := grpc.NewServer()
	notificationsv1.RegisterNotificationServiceServer(server, echo{})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	b.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil {
			b.Errorf("the echo server: %v", err)
		}
	})
	return listener.Addr().String()
}
