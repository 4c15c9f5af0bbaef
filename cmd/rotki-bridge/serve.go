package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/alecthomas/kong"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/bridge/journal"
)

// serveCommand runs the bridge.
type serveCommand struct {
	Config      string `help:"A TOML file with settings, named like these flags."`
	PrintConfig bool   `help:"Print the settings in force as a file for --config, and exit."`

	HTTPAddr      string `default:"127.0.0.1:5043" help:"Where websocket subscribers connect. Port 0 chooses a free one."`
	GRPCAddr      string `default:"127.0.0.1:5044" help:"Where publishers connect."`
	AdminAddr     string `default:"127.0.0.1:5045" help:"Where /metrics, /healthz, /readyz and /debug/pprof/ are."`
	AdminGRPCAddr string `name:"admin-grpc-addr" default:"127.0.0.1:5046" help:"Where AdminService is, which lists and ends connections and revokes tokens."`

	AllowedOrigins []string `help:"Web origins whose pages may connect, beside those of the same host and of loopback; https://*.example.org stands for all subdomains."`
	Contract       string   `placeholder:"FILE" help:"A descriptor image whose contract is in force instead of the built-in one, which it must extend; SIGHUP reads it again."`
	Upstream       string   `help:"URL of a server that answers every HTTP request that is not the bridge's own."`
	DataAsString   bool     `help:"Send data as a string that holds JSON to clients that do not choose with data=."`

	Access accessFlags `embed:""`
	Limits limitFlags  `embed:""`

	Sessions         bool          `default:"true" negatable:"" help:"Give browsers a cookie by which they resume where their connection was lost."`
	SessionsByOrigin bool          `default:"true" negatable:"" help:"On this machine, where no cookie comes back, go by origin and user agent."`
	SessionTime      time.Duration `default:"1m" help:"How long a browser whose connection was lost may take to come back."`
	SessionLimit     int           `default:"65536" help:"How many browsers may be away at a time."`

	DrainTimeout    time.Duration `default:"10s" help:"How long stopping may take at the most."`
	PingInterval    time.Duration `default:"30s" help:"Time between websocket pings; a peer silent for two is dropped."`
	WriteTimeout    time.Duration `default:"30s" help:"How long a subscriber's socket may take no byte."`
	Compression     bool          `default:"true" negatable:"" help:"Compress for subscribers that offer permessage-deflate."`
	CompressFrom    int           `default:"1024" help:"From how many bytes on a notification is compressed."`
	SendBuffer      int           `default:"131072" help:"Bytes that the kernel buffers per subscriber."`
	MaxMessageBytes int           `default:"1048576" help:"Largest publish request that is accepted, in bytes."`

	JournalMessages int           `default:"65536" help:"Notifications that the journal keeps in memory at the most."`
	JournalBytes    int           `default:"67108864" help:"Memory that the journal takes at the most, in bytes."`
	JournalAge      time.Duration `default:"10m" help:"How long the journal keeps a notification in memory at the most."`
	DedupWindow     time.Duration `default:"2m" help:"How long a publisher's message id is remembered."`
	DedupIDs        int           `name:"dedup-ids" default:"262144" help:"How many message ids are remembered at the most, unless a stream keeps the journal."`

	NATSURL     []string      `name:"nats-url" help:"NATS servers that keep the journal, so that it outlives the bridge and several bridges share it."`
	NATSCreds   string        `placeholder:"FILE" help:"How to log in there: a file with a JWT and an NKey seed."`
	NATSNKey    string        `name:"nats-nkey" placeholder:"FILE" help:"How to log in there: a file with an NKey seed."`
	NATSCA      string        `name:"nats-ca" placeholder:"FILE" help:"Authorities that vouch for those servers, in PEM, instead of the system's."`
	NATSCert    string        `placeholder:"FILE" help:"The bridge's certificate for them, in PEM."`
	NATSKey     string        `placeholder:"FILE" help:"Its key, in PEM."`
	NATSTimeout time.Duration `default:"30s" help:"How long a start waits for them."`
	DataDir     string        `placeholder:"DIR" help:"Where a NATS server in the bridge keeps the journal, so that it outlives the bridge."`
	NATSListen  string        `placeholder:"HOST:PORT" help:"Where others can reach that server; nowhere by default."`
	SyncAlways  bool          `help:"Acknowledge nothing before the disk has it, so that it outlives a power cut too."`

	Stream         string        `default:"rotki-notifications" help:"Name of the stream that keeps the journal; created if absent."`
	StreamReplicas int           `default:"1" help:"How many NATS servers store each notification: 1, 3 or 5."`
	StreamMessages int           `default:"1048576" help:"Notifications that the stream keeps at the most."`
	StreamBytes    int           `default:"1073741824" help:"Bytes that the stream keeps at the most."`
	StreamAge      time.Duration `default:"24h" help:"How long the stream keeps a notification at the most."`

	LogLevel  slog.Level `default:"info" help:"debug, info, warn or error."`
	LogFormat string     `default:"text" enum:"text,json" help:"text or json."`
}

// Validate implements kong's hook: a zero would silently mean the default.
func (c *serveCommand) Validate(ctx *kong.Context) error {
	for _, flag := range ctx.Flags() {
		switch value := ctx.FlagValue(flag).(type) {
		case int:
			if value <= 0 && (value < 0 || flag.Default != "0") {
				return fmt.Errorf("--%s must be greater than 0", flag.Name)
			}
		case time.Duration:
			if value <= 0 {
				return fmt.Errorf("--%s must be longer than 0", flag.Name)
			}
		}
	}
	return nil
}

// Run serves until ctx is done, and drains.
func (c *serveCommand) Run(ctx context.Context, command *kong.Context, streams stdio) error {
	if c.PrintConfig {
		return printConfig(streams.Out, command.Selected())
	}
	var hangups hangups
	if c.Contract != "" { // else a terminal that is closed ends the bridge, as it ends any program
		hangups = trapHangups()
	}
	logger := c.logger(streams.Err)
	b, err := bridge.Open(ctx, bridge.Config{
		HTTPAddr:           c.HTTPAddr,
		GRPCAddr:           c.GRPCAddr,
		AdminAddr:          c.AdminAddr,
		AdminGRPCAddr:      c.AdminGRPCAddr,
		HTTPTLS:            bridge.TLSFiles{Cert: c.Access.HTTPTLSCert, Key: c.Access.HTTPTLSKey},
		GRPCTLS:            bridge.TLSFiles{Cert: c.Access.GRPCTLSCert, Key: c.Access.GRPCTLSKey, ClientCA: c.Access.GRPCClientCA},
		AdminTLS:           bridge.TLSFiles{Cert: c.Access.AdminTLSCert, Key: c.Access.AdminTLSKey},
		Access:             c.Access.config(),
		Limits:             c.Limits.config(),
		ClientRate:         c.Limits.ClientRate,
		PublishRate:        c.Limits.PublishRate,
		MaxStreams:         c.Limits.MaxStreams,
		MaxPublishers:      c.Limits.MaxPublishers,
		AllowedOrigins:     c.AllowedOrigins,
		Contract:           c.Contract,
		Upstream:           c.Upstream,
		StringData:         c.DataAsString,
		NoSessions:         !c.Sessions,
		NoSessionsByOrigin: !c.SessionsByOrigin,
		SessionTime:        c.SessionTime,
		SessionLimit:       c.SessionLimit,
		DrainTimeout:       c.DrainTimeout,
		PingInterval:       c.PingInterval,
		WriteTimeout:       c.WriteTimeout,
		CompressFrom:       c.compressFrom(),
		SendBuffer:         c.SendBuffer,
		MaxMessageBytes:    c.MaxMessageBytes,
		Journal: journal.MemoryConfig{
			Messages:    c.JournalMessages,
			Bytes:       c.JournalBytes,
			Age:         c.JournalAge,
			DedupWindow: c.DedupWindow,
			DedupIDs:    c.DedupIDs,
		},
		Stream: bridge.StreamConfig{
			URLs:        c.NATSURL,
			Credentials: c.NATSCreds,
			NKey:        c.NATSNKey,
			CA:          c.NATSCA,
			Cert:        c.NATSCert,
			Key:         c.NATSKey,
			Timeout:     c.NATSTimeout,
			Dir:         c.DataDir,
			Listen:      c.NATSListen,
			SyncAlways:  c.SyncAlways,
			Name:        c.Stream,
			Replicas:    c.StreamReplicas,
			Messages:    c.StreamMessages,
			Bytes:       c.StreamBytes,
			Age:         c.StreamAge,
		},
		Logger: logger,
	})
	if err != nil {
		return err
	}
	if c.Contract != "" {
		defer hangups.each(logger, b.Reload)()
	}
	tuning, stopTuning := context.WithCancel(ctx)
	var tuner sync.WaitGroup
	tuner.Go(func() { tuneMemory(tuning) })
	defer tuner.Wait()
	defer stopTuning()
	return b.Run(ctx)
}

// compressFrom returns a bridge's setting for the two flags.
func (c *serveCommand) compressFrom() int {
	if !c.Compression {
		return -1
	}
	return c.CompressFrom
}

func (c *serveCommand) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
