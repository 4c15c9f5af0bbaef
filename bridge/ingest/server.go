// Package ingest is the gRPC server that publishers talk to.
//
// It answers each request of a Publish stream once and in order. What becomes of a request is the Sink's decision;
// this package knows streams, flow control, status codes, draining, and how much a publisher may ask for. Who a publisher
// is, it is told.
//
// # Concurrency
//
// A Server is safe for concurrent use. Each stream has two goroutines: gRPC's, which answers, and one that receives.
package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/selector"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"

	"github.com/rotki/notification-bridge/bridge/limit"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// Server serves NotificationService, grpc.health.v1 and reflection.
type Server struct {
	notificationsv1.UnimplementedNotificationServiceServer

	config    Config
	grpc      *grpc.Server
	health    *health.Server
	calling   *grpcprom.ServerMetrics
	publishes map[result]prometheus.Counter
	limited   map[bound]prometheus.Counter
	notices   map[bound]*limit.Notice
	refusals  *limit.Notice
	failures  *limit.Notice         // of TLS handshakes
	rates     *limit.Rates[account] // of requests; nil for no limit
	calls     *limit.Rates[account]
	held      atomic.Bool // nothing is taken for now from those who have a token that can be revoked
	draining  chan struct{}
	conns     *limit.Conns
	streams   streams
	receivers sync.WaitGroup // the streams' receiving goroutines, which end after them
}

// New returns a server that is ready to serve.
func New(config Config) *Server {
	config = config.withDefaults()
	s := &Server{
		config:    config,
		health:    health.NewServer(),
		calling:   grpcprom.NewServerMetrics(),
		publishes: newPublishes(config.Registerer),
		limited:   newLimited(config.Registerer),
		notices:   make(map[bound]*limit.Notice),
		refusals:  limit.NewNotice(config.Logger, slog.LevelWarn, "a publisher's credential was refused"),
		failures:  limit.NewNotice(config.Logger, slog.LevelWarn, "a publisher's TLS handshake failed"),
		calls:     limit.NewRates[account](callsPerSecond, callsBurst),
		draining:  make(chan struct{}),
	}
	config.Registerer.MustRegister(s.calling)
	for b := range s.limited {
		s.notices[b] = limit.NewNotice(config.Logger, slog.LevelWarn, "a publisher was turned away")
	}
	if config.PublishRate > 0 {
		s.rates = limit.NewRates[account](config.PublishRate, config.PublishBurst)
	}
	s.conns = limit.NewConns(limit.ConnsConfig{
		Max: config.MaxConnections, PerAddress: config.MaxPerAddress, Trusted: config.Trusted, Refused: s.tooManyConnections,
	})
	s.grpc = grpc.NewServer(s.options()...)
	notificationsv1.RegisterNotificationServiceServer(s.grpc, s)
	healthv1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	s.calling.InitializeMetrics(s.grpc)
	s.SetServing(true)
	return s
}

// options configure gRPC. Only the calls that are let in get a line in the log.
func (s *Server) options() []grpc.ServerOption {
	config := s.config
	log := logging.LoggerFunc(func(ctx context.Context, level logging.Level, msg string, fields ...any) {
		config.Logger.Log(ctx, slog.Level(level), msg, fields...)
	})
	logFinished := logging.WithLogOnEvents(logging.FinishCall)
	recovered := recovery.WithRecoveryHandlerContext(s.recovered)
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxRecvMsgSize(max(hardLimit, config.MaxMessageBytes)),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(uint32(min(config.MaxStreams, math.MaxInt32)) + otherStreams),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.InTapHandle(limit.CallTime(config.CallTimeout, notificationsv1.NotificationService_Publish_FullMethodName,
			healthv1.Health_Watch_FullMethodName, reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName,
			reflectionv1alpha.ServerReflection_ServerReflectionInfo_FullMethodName)),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: maxIdle, Time: 30 * time.Second, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.ChainStreamInterceptor(
			s.calling.StreamServerInterceptor(),
			recovery.StreamServerInterceptor(recovered),
			s.authenticateStream(),
			s.limitStream,
			perCall(logging.StreamServerInterceptor(log, logFinished)),
		),
		grpc.ChainUnaryInterceptor(
			s.calling.UnaryServerInterceptor(),
			recovery.UnaryServerInterceptor(recovered),
			s.authenticateCall(),
			// Probes and whoever comes through the same proxy have one address, and nobody could be told from the other.
			selector.UnaryServerInterceptor(s.limitCall, selector.MatchFunc(needsCredential)),
			selector.UnaryServerInterceptor(logging.UnaryServerInterceptor(log, logFinished), selector.MatchFunc(needsCredential)),
		),
	}
	if config.TLS != nil {
		options = append(options, grpc.Creds(handshakes{credentials.NewTLS(config.TLS), s.handshakeFailed}))
	}
	return options
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
	if err := s.grpc.Serve(s.conns.Listen(listener)); err != nil {
		return fmt.Errorf("serve gRPC on %s: %w", listener.Addr(), err)
	}
	return nil
}

// Drain takes no more requests, answers those that were taken, and ends every stream with UNAVAILABLE. When ctx is
// done before that, it cuts what is left. It returns when no stream is left.
func (s *Server) Drain(ctx context.Context) {
	if s.streams.close() {
		close(s.draining)
	}
	s.health.Shutdown()
	ended := make(chan struct{})
	go func() {
		s.streams.running.Wait()
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
		s.conns.Cut() // grpc.Server.Stop waits for handshakes, which may take gRPC's two minutes
		s.grpc.Stop()
	})
	defer stop()
	s.grpc.GracefulStop()
	<-ended
	s.receivers.Wait()
}
