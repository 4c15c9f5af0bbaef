// Package control is the gRPC server that operators talk to: who is subscribed, who is to go, which tokens are revoked.
//
// What is asked of one bridge is done at every bridge of the same stream: a Bus carries it there. A revocation is in a
// Store first, from which each bridge has it that the Bus does not reach.
//
// # Concurrency
//
// Everything here is safe for concurrent use. The goroutines are gRPC's, and those of Run and Revocations.Run, which
// return after theirs have ended.
package control

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/delivery"
	adminv1 "github.com/rotki/notification-bridge/gen/go/rotki/bridge/admin/v1"
)

// Connections are a bridge's subscribers.
type Connections interface {
	// List returns those that a selector chooses, in any order.
	List(delivery.Selector) []delivery.Connection
	// Disconnect ends those that a selector chooses, and returns how many. When it returns they get nothing more.
	Disconnect(s delivery.Selector, reason delivery.Disconnect) int
}

// Streams are a bridge's publish streams.
type Streams interface {
	// Recheck ends those whose token is revoked. When it returns nothing more is taken from them.
	Recheck()
}

// Bus reaches every other bridge of the same stream.
type Bus interface {
	// Serve answers what others ask until ctx is done. It calls lapsed with false once the others ask this bridge, with
	// true when they may begin to overlook it, and with false when they no longer do.
	Serve(ctx context.Context, handle func(ctx context.Context, request []byte) []byte, lapsed func(bool)) error
	// Lapsed reports whether others may overlook this bridge. Serve says so a moment later.
	Lapsed() bool
	// Ask returns each other bridge's answer by its name, and the names of those that have not answered when ctx is
	// done. The error says that it is not known which there are.
	Ask(ctx context.Context, request []byte) (answers map[string][]byte, silent []string, err error)
}

// The reasons that those who are disconnected are told.
var (
	byOperator   = delivery.Dismissed
	tokenRevoked = delivery.Revoked
)

// Config says what to control. Name, Connections, Streams and Revocations must be set; the zero value of everything
// else is its default.
type Config struct {
	// Name is this bridge's.
	Name string
	// Connections and Streams are what this bridge has.
	Connections Connections
	Streams     Streams
	// Revocations are the revoked tokens. Their Run is the server's.
	Revocations *Revocations
	// Bus reaches the other bridges; nil for a bridge of its own.
	Bus Bus
	// Hold is called with true when the others may overlook this bridge, so that it must deliver nothing and let nobody
	// in, and with false once it knows again what was revoked meanwhile and has ended what had to end. It must not block;
	// none by default.
	Hold func(hold bool)

	// Authenticate says who calls, and logs why not; the error is an *auth.Refusal. By default everybody may do
	// everything.
	Authenticate func(ctx context.Context) (auth.Caller, error)
	// TLS is how to speak to operators; without TLS by default.
	TLS *tls.Config
	// AskTimeout is how long other bridges may take to answer; 5 s by default.
	AskTimeout time.Duration
	// Leeway is how long past its expiry a token may still be accepted somewhere, so that it stays revoked; 5 minutes by
	// default.
	Leeway time.Duration
	// Logger gets a line per call, and one for whatever was disconnected or revoked; none by default.
	Logger *slog.Logger
	// Registerer gets the metrics; none by default.
	Registerer prometheus.Registerer
}

const (
	defaultAskTimeout = 5 * time.Second
	defaultLeeway     = 5 * time.Minute
)

func (c Config) withDefaults() Config {
	if c.AskTimeout == 0 {
		c.AskTimeout = defaultAskTimeout
	}
	if c.Leeway == 0 {
		c.Leeway = defaultLeeway
	}
	if c.Hold == nil {
		c.Hold = func(bool) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	return c
}

// Server serves AdminService, grpc.health.v1 and reflection.
type Server struct {
	adminv1.UnimplementedAdminServiceServer

	config  Config
	grpc    *grpc.Server
	health  *health.Server
	metrics *metrics
	ending  ending
	present presence
}

// New returns a server that is ready to run and to serve.
func New(config Config) *Server {
	config = config.withDefaults()
	s := &Server{
		config:  config,
		health:  health.NewServer(),
		metrics: newMetrics(config.Registerer),
		ending:  ending{untold: make(map[string]int)},
		present: newPresence(),
	}
	s.grpc = grpc.NewServer(s.options()...)
	adminv1.RegisterAdminServiceServer(s.grpc, s)
	healthv1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	s.health.SetServingStatus("", healthv1.HealthCheckResponse_SERVING)
	s.health.SetServingStatus(adminv1.AdminService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	return s
}
