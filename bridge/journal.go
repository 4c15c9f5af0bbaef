package bridge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rotki/notification-bridge/bridge/control"
	"github.com/rotki/notification-bridge/bridge/journal"
	"github.com/rotki/notification-bridge/bridge/journal/jetstream"
	"github.com/rotki/notification-bridge/bridge/session"
)

// StreamConfig says which NATS stream keeps the journal. With neither URLs nor a directory, the journal is in memory.
type StreamConfig struct {
	// URLs are NATS servers that run elsewhere; none by default.
	URLs []string
	// Credentials is the path of a file with a JWT and an NKey seed, NKey that of one with a seed alone.
	Credentials string
	NKey        string
	// CA is the path of a PEM file with the authorities that may vouch for the NATS servers; the system's by default.
	// Cert and Key are those of a client certificate; none by default.
	CA   string
	Cert string
	Key  string
	// Timeout is how long a start waits for NATS; 30 s by default.
	Timeout time.Duration
	// Dir is where a NATS server in this process stores the stream; none by default.
	Dir string
	// Listen is where that server can be reached by others, as host:port; nowhere by default.
	Listen string
	// SyncAlways makes that server acknowledge nothing before the disk has it.
	SyncAlways bool
	// Name, Replicas, Messages, Bytes and Age are the stream's; see jetstream.Config for them and their defaults.
	Name     string
	Replicas int
	Messages int
	Bytes    int
	Age      time.Duration
}

// check refuses what contradicts itself, in terms of the flags.
func (c StreamConfig) check() error {
	elsewhere, here := len(c.URLs) > 0, c.Dir != ""
	if elsewhere && here {
		return errors.New("--nats-url and --data-dir cannot go together: the first uses NATS servers that run elsewhere, the second runs one in the bridge")
	}
	for _, setting := range []struct {
		flag  string
		set   bool
		needs string
		there bool
	}{
		{"nats-creds", c.Credentials != "", "--nats-url", elsewhere},
		{"nats-nkey", c.NKey != "", "--nats-url", elsewhere},
		{"nats-ca", c.CA != "", "--nats-url", elsewhere},
		{"nats-cert", c.Cert != "", "--nats-url", elsewhere},
		{"nats-key", c.Key != "", "--nats-url", elsewhere},
		{"nats-timeout", other(c.Timeout, jetstream.DefaultConnectTimeout), "--nats-url", elsewhere},
		{"stream-replicas", other(c.Replicas, 1), "--nats-url", elsewhere},
		{"nats-listen", c.Listen != "", "--data-dir", here},
		{"sync-always", c.SyncAlways, "--data-dir", here},
		{"stream", other(c.Name, jetstream.DefaultStream), "--nats-url or --data-dir", elsewhere || here},
		{"stream-messages", other(c.Messages, jetstream.DefaultMessages), "--nats-url or --data-dir", elsewhere || here},
		{"stream-bytes", other(c.Bytes, jetstream.DefaultBytes), "--nats-url or --data-dir", elsewhere || here},
		{"stream-age", other(c.Age, jetstream.DefaultAge), "--nats-url or --data-dir", elsewhere || here},
	} {
		if setting.set && !setting.there {
			return fmt.Errorf("--%s means nothing without %s", setting.flag, setting.needs)
		}
	}
	switch {
	case c.Credentials != "" && c.NKey != "":
		return errors.New("--nats-creds and --nats-nkey cannot go together: choose one way to log in")
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("--nats-cert and --nats-key go together: a certificate is of no use without its key")
	}
	return nil
}

// other reports whether a setting is neither its zero value nor the default.
func other[T comparable](value, byDefault T) bool {
	var zero T
	return value != zero && value != byDefault
}

// tls returns how to speak TLS to the NATS servers, nil for the usual way.
func (c StreamConfig) tls() (*tls.Config, error) {
	if c.CA == "" && c.Cert == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("--nats-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--nats-ca: %s has no certificate in PEM", c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("--nats-cert and --nats-key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// keeper is a journal as the bridge needs it.
type keeper interface {
	journal.Journal
	// Ready returns nil, or why nothing can be stored.
	Ready() error
	// Changed gets something whenever Ready may say something else; nil when it never will.
	Changed() <-chan struct{}
	// Seal makes every later Append fail; Close ends the journal.
	Seal()
	Close(ctx context.Context) error
	// Sessions returns where sessions are kept that outlast the bridge, nil for nowhere.
	Sessions(ctx context.Context, ttl time.Duration) (session.Store, error)
	// Revoked returns where revoked tokens are kept that outlast the bridge, nil for nowhere.
	Revoked(ctx context.Context) (control.Store, error)
	// Bus returns how the other bridges of the stream can be reached, nil where there are none.
	Bus(ctx context.Context, name string) (control.Bus, error)
	// Stats returns how many records are at hand and about how many bytes they take.
	Stats() (records, bytes int)
}

// inMemory is the journal in memory as a keeper.
type inMemory struct{ *journal.Memory }

func (inMemory) Ready() error                  { return nil }
func (inMemory) Changed() <-chan struct{}      { return nil }
func (m inMemory) Seal()                       { m.Memory.Close() }
func (m inMemory) Close(context.Context) error { m.Memory.Close(); return nil }

func (inMemory) Sessions(context.Context, time.Duration) (session.Store, error) { return nil, nil }
func (inMemory) Revoked(context.Context) (control.Store, error)                 { return nil, nil }
func (inMemory) Bus(context.Context, string) (control.Bus, error)               { return nil, nil }

// inStream is the journal in a stream as a keeper.
type inStream struct{ *jetstream.Journal }

func (s inStream) Sessions(ctx context.Context, ttl time.Duration) (session.Store, error) {
	return s.Journal.Sessions(ctx, ttl)
}

func (s inStream) Revoked(ctx context.Context) (control.Store, error) { return s.Journal.Revoked(ctx) }

func (s inStream) Bus(ctx context.Context, name string) (control.Bus, error) {
	return s.Journal.Bus(ctx, jetstream.BusConfig{Name: name})
}

// openJournal opens the journal that a configuration asks for.
func (c Config) openJournal(ctx context.Context, registerer prometheus.Registerer) (keeper, error) {
	if len(c.Stream.URLs) == 0 && c.Stream.Dir == "" {
		return inMemory{journal.NewMemory(c.Journal)}, nil
	}
	secure, err := c.Stream.tls()
	if err != nil {
		return nil, err
	}
	config := jetstream.Config{
		URLs:           c.Stream.URLs,
		Credentials:    c.Stream.Credentials,
		NKey:           c.Stream.NKey,
		TLS:            secure,
		ConnectTimeout: c.Stream.Timeout,
		Stream:         c.Stream.Name,
		Replicas:       c.Stream.Replicas,
		Messages:       c.Stream.Messages,
		Bytes:          c.Stream.Bytes,
		Age:            c.Stream.Age,
		DedupWindow:    c.Journal.DedupWindow,
		Window:         journal.WindowConfig{Messages: c.Journal.Messages, Bytes: c.Journal.Bytes, Age: c.Journal.Age},
		Logger:         c.Logger,
	}
	if c.Stream.Dir != "" {
		if config.Server, err = c.startServer(ctx); err != nil {
			return nil, err
		}
	}
	j, err := jetstream.Open(ctx, config)
	if err != nil {
		return nil, err
	}
	registerStream(registerer, j)
	return inStream{j}, nil
}

func (c Config) startServer(ctx context.Context) (*jetstream.Server, error) {
	listen := c.Stream.Listen
	if listen != "" {
		address, err := c.resolve("nats-listen", listen)
		if err != nil {
			return nil, err
		}
		listen = address.String()
	}
	return jetstream.StartServer(ctx, jetstream.ServerConfig{
		Dir:        c.Stream.Dir,
		Listen:     listen,
		SyncAlways: c.Stream.SyncAlways,
		MaxData:    jsonPerByte * c.MaxMessageBytes,
		Logger:     c.Logger,
	})
}

func registerJournal(registerer prometheus.Registerer, j keeper) {
	registerer.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bridge_journal_records",
			Help: "Notifications that the journal has at hand.",
		}, func() float64 {
			records, _ := j.Stats()
			return float64(records)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bridge_journal_bytes",
			Help: "About how many bytes of memory they take.",
		}, func() float64 {
			_, bytes := j.Stats()
			return float64(bytes)
		}),
	)
}

// registerStream registers what only a journal in a stream can tell.
func registerStream(registerer prometheus.Registerer, j *jetstream.Journal) {
	registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bridge_journal_connected",
		Help: "1 while there is a connection to NATS, else 0.",
	}, func() float64 {
		if j.Connected() {
			return 1
		}
		return 0
	}))
	for _, failure := range jetstream.Failures {
		registerer.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name:        "bridge_journal_unavailable_total",
			Help:        "How many times notifications on their way to the stream failed, by why.",
			ConstLabels: prometheus.Labels{"reason": string(failure)},
		}, func() float64 { return float64(j.FailureCount(failure)) }))
	}
}
