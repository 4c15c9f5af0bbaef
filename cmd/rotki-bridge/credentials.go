package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/rotki/notification-bridge/client"
)

// tokenFlag is a token that a client shows.
type tokenFlag struct {
	TokenFile string `name:"token-file" placeholder:"FILE" help:"File that holds the token to show to the bridge; read again whenever it is shown, so that it may be replaced."`
}

// source returns where a client gets its token from; nil when it has none. The error says why there is none now.
func (f tokenFlag) source() (client.TokenSource, error) {
	if f.TokenFile == "" {
		return nil, nil
	}
	read := func(context.Context) (string, error) {
		content, err := os.ReadFile(f.TokenFile)
		if err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		token := strings.TrimSpace(string(content))
		if token == "" || strings.ContainsAny(token, " \t\r\n") {
			return "", fmt.Errorf("--token-file: %s does not hold a token, and nothing else", f.TokenFile)
		}
		return token, nil
	}
	if _, err := read(context.Background()); err != nil {
		return nil, err
	}
	return read, nil
}

// authorityFlag says whose certificates a client trusts.
type authorityFlag struct {
	CA string `name:"ca" placeholder:"FILE" help:"Certificates, in PEM, of the authorities that may vouch for the bridge; the system's by default."`
}

// pool returns the authorities; nil for the system's.
func (f authorityFlag) pool() (*x509.CertPool, error) {
	if f.CA == "" {
		return nil, nil
	}
	content, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("--ca: %s holds no certificate in PEM", f.CA)
	}
	return pool, nil
}

// tlsFlags say how a publisher's connection is encrypted.
type tlsFlags struct {
	authorityFlag
	TLS  bool   `name:"tls" help:"Encrypt the connection. --ca and --cert do so too."`
	Cert string `name:"cert" placeholder:"FILE" help:"Client certificate to show to the bridge, in PEM; needs --key."`
	Key  string `name:"key" placeholder:"FILE" help:"Its key, in PEM."`
}

// config returns what the flags ask for; nil for a connection that is not encrypted.
func (f tlsFlags) config() (*tls.Config, error) {
	if (f.Cert == "") != (f.Key == "") {
		return nil, errors.New("--cert and --key belong together: give both")
	}
	if !f.TLS && f.CA == "" && f.Cert == "" {
		return nil, nil
	}
	pool, err := f.pool()
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return nil, fmt.Errorf("--cert %s and --key %s: %w", f.Cert, f.Key, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
