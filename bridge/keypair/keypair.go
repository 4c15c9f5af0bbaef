// Package keypair is the TLS of a listener, from files that may change while it serves.
//
// A Pair holds a certificate with its key, and optionally the authorities by which clients have to be vouched for. It
// looks at the files now and then; what it finds there holds from the next handshake on, and connections that are
// there already stay.
//
// # Concurrency
//
// A Pair is safe for concurrent use; its Run is called once.
package keypair

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const defaultInterval = time.Second

// Config configures a Pair. Cert and Key are required.
type Config struct {
	// Cert and Key are paths of PEM files: the certificate, followed by those that lead to a root, and its key.
	Cert, Key string
	// ClientCA is the path of a PEM file with authorities; clients then have to show a certificate that one of them
	// vouches for. Empty means that clients show none.
	ClientCA string
	// CertFlag, KeyFlag and ClientCAFlag are how errors and logs name the three, like "http-tls-cert". They default to
	// "tls-cert", "tls-key" and "client-ca".
	CertFlag, KeyFlag, ClientCAFlag string
	// NextProtos are the protocols that are offered (ALPN), the best first; none by default.
	NextProtos []string
	// Interval is how often the files are looked at; a second by default.
	Interval time.Duration
	// Listener tells this pair from others in metrics and logs.
	Listener string
	// Logger gets a line for whatever changes; nil discards them.
	Logger *slog.Logger
	// Registerer gets the metrics, which all the pairs that have it share; nil keeps them to itself.
	Registerer prometheus.Registerer
}

// Pair is what a listener shows its clients, and asks of them.
type Pair struct {
	config  Config
	metrics *metrics
	parts   []*part // Run's, once Load has returned

	current atomic.Pointer[tls.Config] // what the next handshake uses; Run replaces it
}

// Load reads the files and checks them: the certificate must be valid now and the key must be its own, and there must
// be authorities where clients need one. An error is a sentence that names the flag and the file. A key that others
// than its owner can read is worth a warning in the log, no more.
func Load(config Config) (*Pair, error) {
	config.CertFlag = cmp.Or(config.CertFlag, "tls-cert")
	config.KeyFlag = cmp.Or(config.KeyFlag, "tls-key")
	config.ClientCAFlag = cmp.Or(config.ClientCAFlag, "client-ca")
	config.Interval = cmp.Or(config.Interval, defaultInterval)
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	config.Logger = config.Logger.With("listener", config.Listener)
	if config.Registerer == nil {
		config.Registerer = prometheus.NewRegistry()
	}
	p := &Pair{config: config}
	p.current.Store(p.base())
	p.parts = []*part{{name: "certificate", files: []string{config.Cert, config.Key}, load: p.loadCertificate}}
	if config.ClientCA != "" {
		p.parts = append(p.parts, &part{name: "client CA", files: []string{config.ClientCA}, load: p.loadClientCA})
	}
	for _, part := range p.parts {
		part.look()
		found, err := part.load()
		if err != nil {
			return nil, err
		}
		p.replace(found)
	}
	p.metrics = newMetrics(config.Registerer, config.Listener)
	p.metrics.expires(p.expiry())
	return p, nil
}

// TLS returns what a listener needs. TLS 1.2 and 1.3 are spoken, and with 1.2 only suites that authenticate what they
// encrypt, and that keep it secret should the key become known later.
//
// Where clients have to show a certificate there are no session tickets: a client that resumes a session shows none,
// so that it would come in on the word of an authority that is no longer trusted. Elsewhere they save the client a
// round of signatures, and a session that was begun under the old certificate may be resumed under the new one.
//
// A gRPC server needs "h2" among Config.NextProtos, unless its credentials add it, as credentials.NewTLS does.
func (p *Pair) TLS() *tls.Config {
	config := p.base()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return p.current.Load(), nil }
	return config
}

// Run looks at the files until the context is done; the error is always nil. Certificate and key are replaced together,
// and the authorities by themselves. What does not hold together, as while it is being written, is left alone and tried
// again; the log says so once for each change.
func (p *Pair) Run(ctx context.Context) error {
	ticker := time.NewTicker(p.config.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		for _, part := range p.parts {
			p.refresh(part)
		}
	}
}

// base is what handshakes have in common.
func (p *Pair) base() *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{ // of TLS 1.2; those of 1.3 are all good
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
			tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		NextProtos: p.config.NextProtos,
	}
	if p.config.ClientCA != "" {
		config.ClientAuth = tls.RequireAndVerifyClientCert
		config.SessionTicketsDisabled = true
	}
	return config
}

// replace has the next handshake use what was found, and the rest of what the last one used.
func (p *Pair) replace(found loaded) {
	config := p.current.Load().Clone()
	found.change(config)
	p.current.Store(config)
}

func (p *Pair) expiry() time.Time { return p.current.Load().Certificates[0].Leaf.NotAfter }
