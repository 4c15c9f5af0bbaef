package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ServerConfig says how to run a NATS server in this process.
type ServerConfig struct {
	// Dir is where it stores streams; it is created if absent. No other process may use it at the same time.
	Dir string
	// Listen is host:port for others to connect to, who then may do what they like with the streams; by default only
	// this process can reach the server.
	Listen string
	// SyncAlways makes the server acknowledge nothing before the disk has it, so that nothing is lost in a power cut.
	SyncAlways bool
	// MaxData is how large an entry's data may be; 4 MiB by default.
	MaxData int
	// MaxStore is how many bytes all streams may take on the disk; by default three quarters of what is free when the
	// server starts.
	MaxStore int64
	// Logger gets what the server has to say; none by default.
	Logger *slog.Logger
}

// startTimeout is how long a server may take to recover its streams.
const startTimeout = 5 * time.Minute

// Server is a NATS server with JetStream in this process.
type Server struct {
	config ServerConfig
	nats   *server.Server
	lock   *os.File
}

// StartServer starts a server. The error says what is wrong with the directory or the address.
func StartServer(ctx context.Context, config ServerConfig) (*Server, error) {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.MaxData == 0 {
		config.MaxData = defaultMaxData
	}
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the data directory: %w", err)
	}
	lock, err := lockFile(filepath.Join(config.Dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("the data directory %s is in use by another process, or cannot be written to: %w", config.Dir, err)
	}
	s := &Server{config: config, lock: lock}
	if err := s.start(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	maxPayload := s.config.MaxData + 1<<16 // headers
	options := &server.Options{
		ServerName:             "rotki-bridge",
		JetStream:              true,
		StoreDir:               s.config.Dir,
		JetStreamMaxStore:      s.config.MaxStore,
		SyncAlways:             s.config.SyncAlways,
		DontListen:             s.config.Listen == "",
		MaxPayload:             int32(maxPayload),
		MaxPending:             max(server.MAX_PENDING_SIZE, 2*int64(maxPayload)),
		NoSigs:                 true,
		DisableJetStreamBanner: true,
	}
	if s.config.Listen != "" {
		address, err := net.ResolveTCPAddr("tcp", s.config.Listen)
		if err != nil {
			return fmt.Errorf("%q is not host:port: %w", s.config.Listen, err)
		}
		options.Host, options.Port = address.IP.String(), address.Port
		if address.Port == 0 {
			options.Port = server.RANDOM_PORT
		}
	}
	nats, err := server.NewServer(options)
	if err != nil {
		return fmt.Errorf("the NATS server in %s cannot be set up: %w", s.config.Dir, err)
	}
	log := &serverLog{log: s.config.Logger}
	nats.SetLoggerV2(log, false, false, false)
	s.nats = nats
	nats.Start() // recovers the streams before it returns
	deadline := time.Now().Add(startTimeout)
	for !nats.ReadyForConnections(100 * time.Millisecond) {
		if log.isFatal() || !nats.Running() || time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("the NATS server in %s does not start: %w", s.config.Dir, errors.Join(ctx.Err(), log.lastError()))
		}
	}
	if !nats.JetStreamEnabled() {
		return fmt.Errorf("the NATS server in %s cannot use its store: %w", s.config.Dir, log.lastError())
	}
	return nil
}

// Addr returns the address at which others reach the server, nil when none can.
func (s *Server) Addr() net.Addr {
	if s.config.Listen == "" {
		return nil
	}
	return s.nats.Addr()
}

// stop ends the server and lets go of its directory.
func (s *Server) stop() {
	if s.nats != nil {
		s.nats.Shutdown()
		s.nats.WaitForShutdown()
	}
	_ = s.lock.Close()
}
