//go:build linux

package baseline

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// natsReady is how long a NATS server may take to start.
const natsReady = 10 * time.Second

// serveNATS runs a NATS server: alone, or one of a cluster if it has a route for itself.
func serveNATS(c Config, w io.Writer) error {
	options := natsOptions(c)
	options.Host, options.Port = "127.0.0.1", server.RANDOM_PORT
	if c.Route != "" {
		host, port, err := net.SplitHostPort(c.Route)
		if err != nil {
			return err
		}
		options.Cluster = server.ClusterOpts{Name: "bench", Host: host}
		if options.Cluster.Port, err = strconv.Atoi(port); err != nil {
			return err
		}
		for _, route := range c.Routes {
			options.Routes = append(options.Routes, &url.URL{Scheme: "nats", Host: route})
		}
	}
	s, err := startNATS(options)
	if err != nil {
		return err
	}
	if err := announce(w, Addresses{NATS: s.Addr().String()}); err != nil {
		return err
	}
	s.WaitForShutdown()
	return errors.New("the NATS server has shut down")
}

// natsOptions are what the bridge's own NATS server has, too.
func natsOptions(c Config) *server.Options {
	return &server.Options{
		ServerName: c.Server, JetStream: true, StoreDir: c.Dir,
		NoSigs: true, NoLog: true, DisableJetStreamBanner: true,
	}
}

func startNATS(options *server.Options) (*server.Server, error) {
	s, err := server.NewServer(options)
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(natsReady) || !s.JetStreamEnabled() {
		return nil, fmt.Errorf("a NATS server does not start within %v", natsReady)
	}
	return s, nil
}
