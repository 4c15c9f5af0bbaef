package ingest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/ratelimit"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/limit"
)

// bound is what a publisher was kept from going beyond, as a metric label.
type bound string

const (
	rateBound        bound = "rate"
	streamsBound     bound = "streams"
	callsBound       bound = "calls"
	connectionsBound bound = "connections"
	addressBound     bound = "connections_per_address"
)

func newLimited(registerer prometheus.Registerer) map[bound]prometheus.Counter {
	vector := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_publishers_limited_total",
		Help: "How often a publisher was turned away because it went beyond a limit, by limit.",
	}, []string{"limit"})
	registerer.MustRegister(vector)
	counters := make(map[bound]prometheus.Counter)
	for _, b := range []bound{rateBound, streamsBound, callsBound, connectionsBound, addressBound} {
		counters[b] = vector.WithLabelValues(string(b))
	}
	return counters
}

// account is whose limits hold for a call: a subject's, or, for somebody anonymous, those of the address.
type account struct {
	subject string
	source  netip.Prefix
}

func accountOf(ctx context.Context) account {
	if caller := auth.FromContext(ctx); caller.Subject != "" {
		return account{subject: caller.Subject}
	}
	at, err := netip.ParseAddrPort(address(ctx))
	if err != nil {
		return account{}
	}
	return account{source: limit.Source(at.Addr())}
}

// Between these is how long a publisher that is beyond its rate is told to stay away. It gets as much done as its rate
// allows, for its allowance grows meanwhile, and does not open streams faster than it may.
const (
	shortestPause = time.Second / callsPerSecond
	longestPause  = 250 * time.Millisecond
)

// pauseFor returns how long a publisher should stay away that may send the next request only after a time.
func (c Config) pauseFor(next time.Duration) time.Duration {
	full := longestPause // until it may send a whole burst
	if seconds := float64(c.PublishBurst) / c.PublishRate; seconds < full.Seconds() {
		full = time.Duration(seconds * float64(time.Second))
	}
	return max(next, full, shortestPause)
}

// turnAway turns a call away that goes beyond a bound, and says when to come back.
func (s *Server) turnAway(ctx context.Context, b bound, message string, wait time.Duration) error {
	s.limited[b].Inc()
	s.notices[b].Log(ctx, slog.String("limit", string(b)),
		slog.String("peer", address(ctx)), slog.String("subject", auth.FromContext(ctx).Subject))
	limited := status.New(codes.ResourceExhausted, message)
	if detailed, err := limited.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)}); err == nil {
		limited = detailed
	}
	return limited.Err()
}

// tooManyConnections tells of one that was closed.
func (s *Server) tooManyConnections(from net.Addr, perAddress bool) {
	b := connectionsBound
	if perAddress {
		b = addressBound
	}
	s.limited[b].Inc()
	s.notices[b].Log(context.Background(), slog.String("limit", string(b)), slog.String("peer", from.String()))
}

var errTooManyCalls = errors.New("too many calls")

// callLimit is the limit for one call.
type callLimit struct {
	server *Server
	wait   time.Duration // set when the call is beyond it
}

// Limit implements ratelimit.Limiter.
func (c *callLimit) Limit(ctx context.Context) error {
	ok, wait := c.server.calls.Allow(accountOf(ctx), time.Now())
	if ok {
		return nil
	}
	c.wait = max(wait, time.Second) // many may come back at once
	return errTooManyCalls
}

// outcome is the middleware's, whose status does not say when to come back.
func (c *callLimit) outcome(ctx context.Context, err error) error {
	if c.wait == 0 {
		return err
	}
	return c.server.turnAway(ctx, callsBound, "too many calls or streams in too short a time; come back later", c.wait)
}

func (s *Server) limitStream(
	srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler,
) error {
	calls := &callLimit{server: s}
	return calls.outcome(stream.Context(), ratelimit.StreamServerInterceptor(calls)(srv, stream, info, handler))
}

func (s *Server) limitCall(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	calls := &callLimit{server: s}
	response, err := ratelimit.UnaryServerInterceptor(calls)(ctx, request, info, handler)
	return response, calls.outcome(ctx, err)
}
