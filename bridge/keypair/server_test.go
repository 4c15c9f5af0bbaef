package keypair_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rotki/notification-bridge/bridge/keypair"
	"github.com/rotki/notification-bridge/bridge/testcert"
)

// patience bounds how long a test waits for what must come; none expects it to pass.
const patience = 20 * time.Second

// server says on a real socket whatever it is told, with a Pair that looks at its files all the time.
type server struct {
	addr     string
	log      *records
	registry *prometheus.Registry
}

func serve(t *testing.T, config keypair.Config) *server {
	t.Helper()
	s := &server{log: newRecords(), registry: prometheus.NewRegistry()}
	config.Interval, config.Logger, config.Registerer = time.Millisecond, s.log.logger(), s.registry
	pair, err := keypair.Load(config)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", pair.TLS())
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = pair.Run(ctx) })
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		listener.Close()
		group.Wait()
	})
	return s
}

// try connects and exchanges bytes: with TLS 1.3 a client learns only then that its certificate was refused.
func (s *server) try(t *testing.T, config *tls.Config) (*tls.Conn, error) {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", s.addr, config)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	return conn, exchange(conn)
}

// dial does what try does, and must.
func (s *server) dial(t *testing.T, config *tls.Config) *tls.Conn {
	t.Helper()
	conn, err := s.try(t, config)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func exchange(conn *tls.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	said := []byte("over and out")
	if _, err := conn.Write(said); err != nil {
		return err
	}
	heard := make([]byte, len(said))
	if _, err := io.ReadFull(conn, heard); err != nil {
		return err
	}
	if string(heard) != string(said) {
		return fmt.Errorf("heard %q", heard)
	}
	return nil
}

// clientConfig is a client's that trusts an authority, and shows certificates.
func clientConfig(ca *testcert.CA, shown ...tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: ca.Pool(), Certificates: shown}
}

// records is a log that can be waited for.
type records struct {
	mu   sync.Mutex
	all  []slog.Record
	next chan slog.Record
}

func newRecords() *records { return &records{next: make(chan slog.Record, 100)} }

func (r *records) logger() *slog.Logger { return slog.New(r) }

// await returns the next line, which must have this message.
func (r *records) await(t *testing.T, message string) string {
	t.Helper()
	select {
	case record := <-r.next:
		if record.Message != message {
			t.Fatalf("the log says %q of %s, want %q", record.Message, attrs(record), message)
		}
		return attrs(record)
	case <-time.After(patience):
		t.Fatalf("the log never says %q", message)
	}
	return ""
}

func (r *records) lines() []slog.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all
}

func attrs(record slog.Record) (s string) {
	record.Attrs(func(a slog.Attr) bool {
		s += a.String() + " "
		return true
	})
	return s
}

// Enabled, Handle, WithAttrs and WithGroup implement slog.Handler.
func (r *records) Enabled(context.Context, slog.Level) bool { return true }

func (r *records) Handle(_ context.Context, record slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, record)
	r.next <- record
	return nil
}

func (r *records) WithAttrs([]slog.Attr) slog.Handler { return r }

func (r *records) WithGroup(string) slog.Handler { return r }
