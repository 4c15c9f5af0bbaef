package limit

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc/tap"
)

// CallTime bounds how long a gRPC call may take, but for those that are lasting, by their full methods' names. The
// request is part of it: gRPC reads a unary one before any interceptor is asked, so that else somebody who shows no
// credential could hold calls open for ever, each with as much of a request as the server takes. It is for
// grpc.InTapHandle.
func CallTime(most time.Duration, lasting ...string) tap.ServerInHandle {
	return func(ctx context.Context, call *tap.Info) (context.Context, error) {
		if slices.Contains(lasting, call.FullMethodName) {
			return ctx, nil
		}
		ctx, cancel := context.WithTimeout(ctx, most)
		context.AfterFunc(ctx, cancel) // gRPC ends the context with the call
		return ctx, nil
	}
}
