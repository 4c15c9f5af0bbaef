package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors"
	grpcauth "github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/auth"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/selector"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/limit"
)

const (
	// maxRequest and maxHeaders are how many bytes a call may take.
	maxRequest = 64 << 10
	maxHeaders = 64 << 10
	// maxStreams is how many calls one connection may have open.
	maxStreams = 100
	// maxIdle is how long a connection may have no call.
	maxIdle = time.Minute
	// flushGrace is how long calls that last, such as a health check's Watch, may hold Shutdown.
	flushGrace = time.Second
	// handshakeTimeout is how long a connection may take to begin to speak HTTP/2.
	handshakeTimeout = 3 * time.Second
	// asksPerCall is how often a call waits for AskTimeout at the most: for the store, and for the other bridges.
	asksPerCall = 2
)

func (s *Server) options() []grpc.ServerOption {
	log := logging.LoggerFunc(func(ctx context.Context, level logging.Level, msg string, fields ...any) {
		s.config.Logger.Log(ctx, slog.Level(level), msg, fields...)
	})
	logFinished := logging.WithLogOnEvents(logging.FinishCall)
	recovered := recovery.WithRecoveryHandlerContext(s.recovered)
	// A probe is nobody. Watch lasts, and is for those who may be here.
	guarded := selector.MatchFunc(func(_ context.Context, call interceptors.CallMeta) bool {
		return call.FullMethod() != healthv1.Health_Check_FullMethodName
	})
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.InTapHandle(limit.CallTime(asksPerCall*s.config.AskTimeout+handshakeTimeout,
			healthv1.Health_Watch_FullMethodName, reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName,
			reflectionv1alpha.ServerReflection_ServerReflectionInfo_FullMethodName)),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: maxIdle, Time: 30 * time.Second, Timeout: 20 * time.Second}),
		grpc.ChainUnaryInterceptor(
			s.metrics.count,
			recovery.UnaryServerInterceptor(recovered),
			selector.UnaryServerInterceptor(grpcauth.UnaryServerInterceptor(s.authenticate), guarded),
			logging.UnaryServerInterceptor(log, logFinished), // of those that are let in: others are noticed, once a second
		),
		grpc.ChainStreamInterceptor(
			recovery.StreamServerInterceptor(recovered),
			selector.StreamServerInterceptor(grpcauth.StreamServerInterceptor(s.authenticate), guarded),
			logging.StreamServerInterceptor(log, logFinished), // of those that are let in: others are noticed, once a second
		),
	}
	if s.config.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.config.TLS)))
	}
	return options
}

// authenticate says in the context who calls, or refuses the call.
func (s *Server) authenticate(ctx context.Context) (context.Context, error) {
	if s.config.Authenticate == nil {
		return ctx, nil
	}
	caller, err := s.config.Authenticate(ctx)
	if err == nil {
		return auth.NewContext(ctx, caller), nil
	}
	if refusal, ok := errors.AsType[*auth.Refusal](err); ok {
		return nil, status.Error(refusal.GRPCCode(), refusal.Told())
	}
	return nil, status.Error(codes.Internal, internalError)
}

const internalError = "internal error; the bridge's log says more"

// recovered turns a panic into a status that tells the caller nothing of the bridge's inside.
func (s *Server) recovered(ctx context.Context, panicked any) error {
	s.config.Logger.ErrorContext(ctx, "panic", "value", fmt.Sprint(panicked), "stack", string(debug.Stack()))
	return status.Error(codes.Internal, internalError)
}

// Serve accepts operators until Shutdown is called, which may be before, and then returns nil.
func (s *Server) Serve(listener net.Listener) error {
	if err := s.grpc.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve gRPC on %s: %w", listener.Addr(), err)
	}
	return nil
}

// Shutdown takes no more calls and waits a second for those that are on their way, unless ctx is done before that. Then it
// cuts what is left, which takes as long as a handshake may at the most.
func (s *Server) Shutdown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushGrace)
	defer cancel()
	s.health.Shutdown()
	stop := context.AfterFunc(ctx, s.grpc.Stop)
	defer stop()
	s.grpc.GracefulStop()
}
