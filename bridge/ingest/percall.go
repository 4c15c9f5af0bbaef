package ingest

import (
	"context"

	"google.golang.org/grpc"
)

// perCall lets an interceptor see calls but not their messages. The ones that wrap the stream take the time twice per
// message, whether or not they want to know it.
func perCall(intercept grpc.StreamServerInterceptor) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		return intercept(srv, stream, info, func(srv any, wrapped grpc.ServerStream) error {
			return handler(srv, bare{stream, wrapped.Context()})
		})
	}
}

// bare is a stream with the context that an interceptor gave it.
type bare struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (b bare) Context() context.Context { return b.ctx }
