package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/rotki/notification-bridge/bridge/delivery"
	"github.com/rotki/notification-bridge/bridge/journal"
	"github.com/rotki/notification-bridge/bridge/session"
)

// Default addresses. All are loopback: nobody else can reach the bridge unless its operator says so.
const (
	DefaultHTTPAddr      = "127.0.0.1:5043"
	DefaultGRPCAddr      = "127.0.0.1:5044"
	DefaultAdminAddr     = "127.0.0.1:5045"
	DefaultAdminGRPCAddr = "127.0.0.1:5046"
)

// DefaultDrainTimeout is how long a bridge takes to stop at the most.
const DefaultDrainTimeout = 10 * time.Second

// DefaultMaxMessageBytes is how large a publish request may be.
const DefaultMaxMessageBytes = 1 << 20

// jsonPerByte is how many bytes of JSON a byte of a publish request may become. It is less than two for text, but an
// empty message in a list takes two bytes and becomes an object with all its keys.
const jsonPerByte = 4

// Config says how a bridge runs. The zero value is a bridge on the default addresses.
type Config struct {
	// HTTPAddr is where websocket subscribers connect, GRPCAddr where publishers do, AdminAddr where operators look, and
	// AdminGRPCAddr where AdminService is. Each is host:port; port 0 chooses a free one.
	HTTPAddr      string
	GRPCAddr      string
	AdminAddr     string
	AdminGRPCAddr string
	// HTTPTLS, GRPCTLS and AdminTLS are the certificates of those listeners; none by default. Both for operators share one.
	HTTPTLS  TLSFiles
	GRPCTLS  TLSFiles
	AdminTLS TLSFiles
	// Access says who may come in: everybody by default, from this machine.
	Access AccessConfig
	// Limits bound subscribers; see delivery.Limits. By default they have no bounds but the process's file descriptors.
	// PerAddress is for publishers' connections, too, which count by themselves.
	Limits delivery.Limits
	// ClientRate is how many messages a subscriber may send in a second; 1,000 by default.
	ClientRate int
	// PublishRate is how many requests a publisher may send in a second; any number by default. It may send as many at once.
	PublishRate int
	// MaxStreams is how many streams a publisher may have open; 100 by default.
	MaxStreams int
	// MaxPublishers is how many connections publishers may have in all; 10,000 by default, or a sixteenth of the files that
	// the process may have open if that is less.
	MaxPublishers int
	// AllowedOrigins are web origins whose pages may connect beside those of the same host and of loopback.
	// https://*.example.org stands for all subdomains.
	AllowedOrigins []string
	// Contract is the path of a descriptor image whose contract is in force instead of the built-in one, of which it
	// must be a compatible extension; none by default. Reload reads it again.
	Contract string
	// Upstream is the http or https URL of a server that answers every request which is not the bridge's own; none
	// by default.
	Upstream string
	// StringData makes data a string that holds JSON for clients that do not choose with data=.
	StringData bool
	// NoSessions turns off the cookie by which browsers resume that know nothing of it.
	NoSessions bool
	// NoSessionsByOrigin turns off that a browser on this machine to which no cookie comes back resumes by its origin and
	// user agent.
	NoSessionsByOrigin bool
	// SessionTime is how long a browser whose connection was lost may take to come back; 1 minute by default.
	SessionTime time.Duration
	// SessionLimit is how many browsers may be away at a time; 65,536 by default. Beyond it the one that is longest away
	// is forgotten; of one subject's, if that has a sixteenth of them.
	SessionLimit int
	// DrainTimeout bounds how long Run takes to return once its context is done; 10 s by default.
	DrainTimeout time.Duration
	// PingInterval is the time between pings; 30 s by default.
	PingInterval time.Duration
	// WriteTimeout is how long a subscriber's socket may take no byte; 30 s by default.
	WriteTimeout time.Duration
	// CompressFrom is from how many bytes on a notification is compressed for subscribers that negotiate
	// permessage-deflate; 1 KiB by default. Negative: nothing is compressed, and nothing negotiated.
	CompressFrom int
	// SendBuffer bounds what the kernel buffers per subscriber, in bytes; 128 KiB by default.
	SendBuffer int
	// MaxMessageBytes is the largest publish request that is accepted; 1 MiB by default.
	MaxMessageBytes int
	// Journal bounds the journal in memory, or what of a stream is at hand there.
	Journal journal.MemoryConfig
	// Stream says where a journal is that outlives the process; nowhere by default.
	Stream StreamConfig
	// Logger is where the bridge logs; nowhere by default.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.HTTPAddr == "" {
		c.HTTPAddr = DefaultHTTPAddr
	}
	if c.GRPCAddr == "" {
		c.GRPCAddr = DefaultGRPCAddr
	}
	if c.AdminAddr == "" {
		c.AdminAddr = DefaultAdminAddr
	}
	if c.AdminGRPCAddr == "" {
		c.AdminGRPCAddr = DefaultAdminGRPCAddr
	}
	if c.DrainTimeout == 0 {
		c.DrainTimeout = DefaultDrainTimeout
	}
	if c.SessionTime == 0 {
		c.SessionTime = session.DefaultParkTime
	}
	if c.MaxMessageBytes == 0 {
		c.MaxMessageBytes = DefaultMaxMessageBytes
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// check refuses what cannot work. The zero of a field means its default and never gets here.
func (c Config) check() error {
	for _, bound := range []struct {
		flag  string
		value int64
	}{
		{"drain-timeout", int64(c.DrainTimeout)},
		{"ping-interval", int64(c.PingInterval)},
		{"write-timeout", int64(c.WriteTimeout)},
		{"send-buffer", int64(c.SendBuffer)},
		{"session-time", int64(c.SessionTime)},
		{"session-limit", int64(c.SessionLimit)},
		{"max-message-bytes", int64(c.MaxMessageBytes)},
		{"max-connections", int64(c.Limits.Connections)},
		{"max-connections-per-subject", int64(c.Limits.PerSubject)},
		{"max-connections-per-address", int64(c.Limits.PerAddress)},
		{"max-handshakes", int64(c.Limits.Handshakes)},
		{"max-handshakes-per-address", int64(c.Limits.HandshakesPerAddress)},
		{"client-rate", int64(c.ClientRate)},
		{"publish-rate", int64(c.PublishRate)},
		{"max-streams", int64(c.MaxStreams)},
		{"max-publishers", int64(c.MaxPublishers)},
		{"jwt-jwks-refresh", int64(c.Access.JWKSRefresh)},
		{"jwt-leeway", int64(c.Access.Leeway)},
		{"journal-messages", int64(c.Journal.Messages)},
		{"journal-bytes", int64(c.Journal.Bytes)},
		{"journal-age", int64(c.Journal.Age)},
		{"dedup-window", int64(c.Journal.DedupWindow)},
		{"dedup-ids", int64(c.Journal.DedupIDs)},
		{"nats-timeout", int64(c.Stream.Timeout)},
		{"stream-replicas", int64(c.Stream.Replicas)},
		{"stream-messages", int64(c.Stream.Messages)},
		{"stream-bytes", int64(c.Stream.Bytes)},
		{"stream-age", int64(c.Stream.Age)},
	} {
		if bound.value < 0 {
			return fmt.Errorf("--%s must be greater than 0", bound.flag)
		}
	}
	const maxSendBuffer = 1 << 30
	if c.SendBuffer > maxSendBuffer {
		return fmt.Errorf("--send-buffer is %d; at most %d are possible", c.SendBuffer, maxSendBuffer)
	}
	const maxMessage = 64 << 20
	if c.MaxMessageBytes > maxMessage {
		return fmt.Errorf("--max-message-bytes is %d; at most %d are possible", c.MaxMessageBytes, maxMessage)
	}
	for _, origin := range c.AllowedOrigins {
		if !isOrigin(origin) {
			return fmt.Errorf("--allowed-origins: %q is not an origin; write it as the browser does, for example https://rotki.example.org", origin)
		}
	}
	for listener, files := range map[string]TLSFiles{"http": c.HTTPTLS, "grpc": c.GRPCTLS, "admin": c.AdminTLS} {
		if err := checkTLS(listener, files); err != nil {
			return err
		}
	}
	if err := c.Access.check(c.GRPCTLS); err != nil {
		return err
	}
	return c.Stream.check()
}

// isOrigin reports whether s is what a browser sends as the Origin of a page, or that with a slash at its end, or stands
// for all subdomains of a domain, which must not be one that many share, such as *.org.
func isOrigin(s string) bool {
	// What it sends for pages without an origin of their own.
	if s == "null" || s == "file://" {
		return true
	}
	s = strings.TrimSuffix(s, "/")
	if scheme, domain, ok := strings.Cut(s, "://*."); ok {
		if !strings.Contains(strings.Trim(domain, "."), ".") {
			return false
		}
		s = scheme + "://" + domain
	}
	u, err := url.Parse(s)
	if err == nil && (u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80") {
		return false // a browser leaves the usual port out, and so this would be nobody's
	}
	return err == nil && u.Scheme != "" && u.Hostname() != "" && !strings.Contains(u.Host, "*") &&
		s == s[:len(u.Scheme)]+"://"+u.Host
}

// upstream returns the parsed Upstream, nil for none.
func (c Config) upstream() (*url.URL, error) {
	if c.Upstream == "" {
		return nil, nil
	}
	u, err := url.Parse(c.Upstream)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("--upstream: %q is not an http or https URL; write it like http://127.0.0.1:5042", c.Upstream)
	}
	return u, nil
}

// leadsTo reports whether a URL names an address of this machine on which l listens.
func leadsTo(u *url.URL, l net.Addr) bool {
	listening, ok := l.(*net.TCPAddr)
	if !ok {
		return false
	}
	named, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), u.Scheme)))
	if err != nil || named.Port != listening.Port {
		return false
	}
	return named.IP.Equal(listening.IP) || listening.IP.IsUnspecified() && named.IP.IsLoopback()
}

// listen opens a listener.
func (c Config) listen(flag, addr string, how net.ListenConfig) (net.Listener, error) {
	resolved, err := c.resolve(flag, addr)
	if err != nil {
		return nil, err
	}
	l, err := how.Listen(context.Background(), "tcp", resolved.String())
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("--%s: %s is in use; is another bridge running? Choose another address, or port 0 for any", flag, addr)
		}
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	return l, nil
}
