package ingest

import (
	"context"
	"errors"
	"log/slog"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors"
	middleware "github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/auth"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/selector"
	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/rotki/notification-bridge/bridge/auth"
)

// authenticateStream and authenticateCall refuse calls without a credential, and let those through in whose context is
// who makes them.
func (s *Server) authenticateStream() grpc.StreamServerInterceptor {
	all := middleware.StreamServerInterceptor(s.authenticate)
	return selector.StreamServerInterceptor(all, selector.MatchFunc(needsCredential))
}

func (s *Server) authenticateCall() grpc.UnaryServerInterceptor {
	all := middleware.UnaryServerInterceptor(s.authenticate)
	return selector.UnaryServerInterceptor(all, selector.MatchFunc(needsCredential))
}

// needsCredential: what balances load and supervises the bridge asks for its health, and is nobody. Watch lasts, and is for
// those who may be here.
func needsCredential(_ context.Context, call interceptors.CallMeta) bool {
	return call.FullMethod() != healthv1.Health_Check_FullMethodName
}

func (s *Server) authenticate(ctx context.Context) (context.Context, error) {
	if s.config.Authenticate == nil {
		return ctx, nil
	}
	caller, err := s.config.Authenticate(ctx)
	if err != nil {
		refusal, ok := errors.AsType[*auth.Refusal](err)
		if !ok {
			return nil, s.streamError(err)
		}
		return nil, s.refuse(ctx, refusal)
	}
	return auth.NewContext(ctx, caller), nil
}

// refuse tells the operator why a credential is refused, and returns what the caller is told.
func (s *Server) refuse(ctx context.Context, refusal *auth.Refusal) error {
	s.config.Refused(refusal.Defect)
	s.refusals.Log(ctx, slog.String("peer", address(ctx)), slog.String("why", refusal.Error()))
	return status.Error(refusal.GRPCCode(), refusal.Told())
}

// address returns where a call comes from.
func address(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		return p.Addr.String()
	}
	return ""
}
