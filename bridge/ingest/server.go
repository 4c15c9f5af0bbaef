// Package ingest is the gRPC server that publishers talk to.
//
// It answers each request of a Publish stream once and in order. What becomes of a request is the Sink's decision;
// this package knows streams, flow control, status codes and draining.
//
// # Concurrency
//
// A Server is safe for concurrent use. Each stream has two goroutines: gRPC's, which answers, and one that receives.
package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// Sink takes requests on their way to the subscribers.
type Sink interface {
	// Open is called for each stream before its first request is taken.
	Open() Publisher
}

// Publisher takes the requests of one stream.
type Publisher interface {
	// Publish takes a request. Requests come one after the other and must keep their order. The error is a *Rejection
	// when this request is refused, and wraps ErrUnavailable when this publisher can take no more.
	Publish(ctx context.Context, request *notificationsv1.PublishRequest) (Pending, error)
}

// Pending is a request on its way to being stored.
type Pending interface {
	// Settled reports whether Wait will return at once.
	Settled() bool
	// Wait returns once the request is stored, or cannot be, or ctx is done.
	Wait(ctx context.Context) (*notificationsv1.Accepted, error)
}

// Config says how to serve. Sink must be set; the zero value of everything else is its default.
type Config struct {
	// Sink takes the requests.
	Sink Sink
	// MaxMessageBytes is the largest request that is accepted; 1 MiB by default. A larger one is rejected by name, up to
	// 16 MiB; beyond that, and beyond MaxMessageBytes, gRPC ends the stream with RESOURCE_EXHAUSTED.
	MaxMessageBytes int
	// Logger gets a line per stream; none by default.
	Logger *slog.Logger
	// Registerer gets the metrics; none by default.
	Registerer prometheus.Registerer
}

const (
	// hardLimit is how many bytes of a request gRPC takes in, so that it can be rejected by name.
	hardLimit = 16 << 20
	// maxStreams is how many calls one connection may have open; a publisher needs one.
	maxStreams = 100
	// handshakeTimeout is how long a connection may take to begin to speak HTTP/2.
	handshakeTimeout = 10 * time.Second
)

// flushGrace is how long streams that have ended may take to get their last answers over the network.
const flushGrace = time.Second

func (c Config) withDefaults() Config {
	if c.MaxMessageBytes == 0 {
		c.MaxMessageBytes = 1 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	return c
}

// Server serves NotificationService, grpc.health.v1 and reflection.
type Server struct {
	notificationsv1.UnimplementedNotificationServiceServer

	config    Config
	grpc      *grpc.Server
	health    *health.Server
	publishes map[result]prometheus.Counter
	draining  chan struct{}
	conns     conns

	mu        sync.Mutex
	closed    bool           // draining is closed
	streams   sync.WaitGroup // handlers
	receivers sync.WaitGroup // their receiving goroutines, which end after them
}

// New returns a server that is ready to serve.
func New(config Config) *Server {
	config = config.withDefaults()
	s := &Server{
		config:    config,
		health:    health.NewServer(),
		publishes: newPublishes(config.Registerer),
		draining:  make(chan struct{}),
	}
	metrics := grpcprom.NewServerMetrics()
	config.Registerer.MustRegister(metrics)
	log := logging.LoggerFunc(func(ctx context.Context, level logging.Level, msg string, fields ...any) {
		config.Logger.Log(ctx, slog.Level(level), msg, fields...)
	})
	logFinished := logging.WithLogOnEvents(logging.FinishCall)
	recovered := recovery.WithRecoveryHandlerContext(s.recovered)
	s.grpc = grpc.NewServer(
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxRecvMsgSize(max(hardLimit, config.MaxMessageBytes)),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.ChainStreamInterceptor(
			metrics.StreamServerInterceptor(),
			perCall(logging.StreamServerInterceptor(log, logFinished)),
			recovery.StreamServerInterceptor(recovered),
		),
		grpc.ChainUnaryInterceptor(
			metrics.UnaryServerInterceptor(),
			logging.UnaryServerInterceptor(log, logFinished),
			recovery.UnaryServerInterceptor(recovered),
		),
	)
	notificationsv1.RegisterNotificationServiceServer(s.grpc, s)
	healthv1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	metrics.InitializeMetrics(s.grpc)
	s.SetServing(true)
	return s
}

// SetServing makes the health service say that publishes can be taken, as it does at first, or that they cannot. Streams
// are taken all the same. It has no effect once the server drains.
func (s *Server) SetServing(serving bool) {
	status := healthv1.HealthCheckResponse_NOT_SERVING
	if serving {
		status = healthv1.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", status)
	s.health.SetServingStatus(notificationsv1.NotificationService_ServiceDesc.ServiceName, status)
}

// recovered turns a panic into a status that tells the caller nothing of the bridge's inside.
func (s *Server) recovered(ctx context.Context, panicked any) error {
	s.config.Logger.ErrorContext(ctx, "panic", "value", fmt.Sprint(panicked), "stack", string(debug.Stack()))
	return status.Error(codes.Internal, "internal error; the bridge's log says more")
}

// Serve accepts publishers until Drain is called, and then returns nil.
func (s *Server) Serve(listener net.Listener) error {
	if err := s.grpc.Serve(s.conns.track(listener)); err != nil {
		return fmt.Errorf("serve gRPC on %s: %w", listener.Addr(), err)
	}
	return nil
}

// Drain takes no more requests, answers those that were taken, and ends every stream with UNAVAILABLE. When ctx is
// done before that, it cuts what is left. It returns when no stream is left.
func (s *Server) Drain(ctx context.Context) {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.draining)
	}
	s.mu.Unlock()
	s.health.Shutdown()
	ended := make(chan struct{})
	go func() {
		s.streams.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	// Other calls, such as a health check's Watch, would hold GracefulStop for ever.
	flushing, cancel := context.WithTimeout(ctx, flushGrace)
	defer cancel()
	stop := context.AfterFunc(flushing, func() {
		s.conns.cut() // grpc.Server.Stop waits for handshakes, which may take gRPC's two minutes
		s.grpc.Stop()
	})
	defer stop()
	s.grpc.GracefulStop()
	<-ended
	s.receivers.Wait()
}

// begin counts a stream, unless the server drains.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.streams.Add(1)
	return true
}
