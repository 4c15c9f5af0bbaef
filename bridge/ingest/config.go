package ingest

import (
	"context"
	"crypto/tls"
	"log/slog"
	"math"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rotki/notification-bridge/bridge/auth"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// Sink takes requests on their way to the subscribers.
type Sink interface {
	// Open is called for each stream before its first request is taken, with who opened it.
	Open(caller auth.Caller) Publisher
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
	// TLS is how connections are encrypted, and which client certificates they must show; not at all by default.
	TLS *tls.Config
	// Authenticate says who makes a call, by its context. Its error is an *auth.Refusal. By default everybody is anonymous.
	// Health checks need no credential.
	Authenticate func(ctx context.Context) (auth.Caller, error)
	// Revoked reports whether a token, by its id, is revoked; none is by default. It is called for each request of a caller
	// who has such a token, and so must be quick.
	Revoked func(tokenID string) bool
	// Lapsed reports whether a token may be revoked without the server's knowing: then nothing is taken from those whose
	// token can be, as on Hold; never by default. It must be safe for concurrent use, and quick.
	Lapsed func() bool
	// Refused is called for each credential that is refused, from many goroutines; by default nothing is.
	Refused func(auth.Defect)
	// PublishRate is how many requests per second a publisher may send over all its streams, 0 for any number. A publisher
	// is a subject, and an anonymous one an IP address (of IPv6, a /64).
	PublishRate float64
	// PublishBurst is how many requests a publisher may send at once; one second's worth of PublishRate by default.
	PublishBurst int
	// MaxStreams is how many Publish streams a publisher may have open; 100 by default.
	MaxStreams int
	// MaxConnections is how many connections there may be in all; 10,000 by default. One beyond that is closed at once.
	MaxConnections int
	// MaxPerAddress is how many of these may come from one address, of IPv6 from one /64; any number by default. It is not
	// for the addresses that are Trusted, those of proxies.
	MaxPerAddress int
	Trusted       []netip.Prefix
	// CallTimeout is how long a call may take that is no stream, its request included; 10 s by default.
	CallTimeout time.Duration
	// Logger gets a line per stream, and at most one a second for each kind of refusal and limit; none by default.
	Logger *slog.Logger
	// Registerer gets the metrics; none by default.
	Registerer prometheus.Registerer
}

// DefaultMaxConnections is how many connections publishers may have by default.
const DefaultMaxConnections = 10_000

const (
	// hardLimit is how many bytes of a request gRPC takes in, so that it can be rejected by name.
	hardLimit = 16 << 20
	// maxHeaderBytes is how large the headers of a call may be; a token is the largest of them.
	maxHeaderBytes = 16 << 10
	// otherStreams is how many calls one connection may have open beside its Publish streams.
	otherStreams = 28
	// maxIdle is how long a connection may have no call.
	maxIdle = time.Minute
	// handshakeTimeout is how long a connection may take to begin to speak HTTP/2, TLS included.
	handshakeTimeout = 10 * time.Second
	// callsPerSecond and callsBurst are how many calls, of which a stream is one, a publisher may begin.
	callsPerSecond, callsBurst = 50, 100
)

// flushGrace is how long streams that have ended may take to get their last answers over the network.
const flushGrace = time.Second

func (c Config) withDefaults() Config {
	if c.MaxMessageBytes == 0 {
		c.MaxMessageBytes = 1 << 20
	}
	if c.Revoked == nil {
		c.Revoked = func(string) bool { return false }
	}
	if c.Lapsed == nil {
		c.Lapsed = func() bool { return false }
	}
	if c.Refused == nil {
		c.Refused = func(auth.Defect) {}
	}
	if c.PublishBurst == 0 {
		c.PublishBurst = int(min(max(1, math.Ceil(c.PublishRate)), math.MaxInt32))
	}
	if c.MaxStreams == 0 {
		c.MaxStreams = 100
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = DefaultMaxConnections
	}
	if c.CallTimeout == 0 {
		c.CallTimeout = handshakeTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	return c
}
