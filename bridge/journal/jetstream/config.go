package jetstream

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/rotki/notification-bridge/bridge/journal"
)

// The defaults of Config.
const (
	DefaultStream         = "rotki-notifications"
	DefaultMessages       = 1 << 20
	DefaultBytes          = 1 << 30
	DefaultAge            = 24 * time.Hour
	DefaultDedupWindow    = 2 * time.Minute
	DefaultConnectTimeout = 30 * time.Second
	DefaultAckTimeout     = 5 * time.Second
)

// defaultMaxData is how large an entry's data may be by default.
const defaultMaxData = 4 << 20

// Config says where the stream is and what it keeps. Exactly one of URLs and Server must be set; the zero value of
// everything else is its default.
type Config struct {
	// URLs are the servers of a NATS cluster that runs elsewhere. More of them are learned from the first that answers.
	URLs []string
	// Credentials is the path of a file with a user's JWT and NKey seed, NKey that of one with a seed alone. At most one
	// may be set; none by default.
	Credentials string
	NKey        string
	// TLS is how to speak to servers that want TLS; the system's roots and no client certificate by default.
	TLS *tls.Config
	// ConnectTimeout is how long Open waits for NATS to answer; 30 s by default.
	ConnectTimeout time.Duration
	// Server is a server in this process instead. The journal owns it, and shuts it down.
	Server *Server

	// AckTimeout is how long the stream may take to acknowledge, and to answer questions; 5 s by default.
	AckTimeout time.Duration

	// Stream is the name of the stream, which must not be empty, nor have dots, spaces, wildcards or slashes;
	// "rotki-notifications" by default.
	Stream string
	// Replicas is how many servers store each entry: 1, which is the default, 3 or 5.
	Replicas int
	// Messages, Bytes and Age are what the stream keeps at the most; 1,048,576, 1 GiB and 24 h by default.
	Messages int
	Bytes    int
	Age      time.Duration
	// DedupWindow is how long an ID is remembered; 2 minutes by default. The stream must keep what it remembers: Age
	// must not be shorter.
	DedupWindow time.Duration
	// InMemory keeps the stream in the servers' memory.
	InMemory bool

	// Window bounds what is at hand in this process.
	Window journal.WindowConfig
	// Logger gets a line for each change of what the journal can do; none by default.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = DefaultConnectTimeout
	}
	if c.AckTimeout == 0 {
		c.AckTimeout = DefaultAckTimeout
	}
	if c.Stream == "" {
		c.Stream = DefaultStream
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.Messages == 0 {
		c.Messages = DefaultMessages
	}
	if c.Bytes == 0 {
		c.Bytes = DefaultBytes
	}
	if c.Age == 0 {
		c.Age = DefaultAge
	}
	if c.DedupWindow == 0 {
		c.DedupWindow = DefaultDedupWindow
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) check() error {
	switch {
	case (len(c.URLs) == 0) == (c.Server == nil):
		return fmt.Errorf("a journal needs either the URLs of NATS servers or a server in its process")
	case c.Credentials != "" && c.NKey != "":
		return fmt.Errorf("both credentials and an NKey are set; choose one")
	case strings.ContainsAny(c.Stream, " \t\r\n\f.*>/\\"):
		return fmt.Errorf("%q cannot be the name of a stream; leave out dots, spaces, slashes, * and >", c.Stream)
	case c.Age < c.DedupWindow:
		return fmt.Errorf("the stream keeps a notification for %v, which is shorter than the %v for which its id must be remembered", c.Age, c.DedupWindow)
	case c.Server != nil && c.Replicas != 1:
		return fmt.Errorf("the server in the bridge's process is alone and cannot keep %d replicas", c.Replicas)
	case c.Replicas != 1 && c.Replicas != 3 && c.Replicas != 5:
		return fmt.Errorf("%d replicas are not possible; choose 1, 3 or 5", c.Replicas)
	}
	return nil
}

// place says where the stream is, for errors and logs.
func (c Config) place() string {
	if c.Server != nil {
		return c.Server.config.Dir
	}
	return strings.Join(redacted(c.URLs), ",")
}
