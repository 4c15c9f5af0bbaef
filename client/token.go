package client

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// TokenSource returns the token to show to the bridge. It is called whenever one is shown, so that it may read a file
// that changes. An error counts as an outage.
type TokenSource func(ctx context.Context) (string, error)

// take returns a token; "" when there is no source.
func (s TokenSource) take(ctx context.Context) (string, error) {
	if s == nil {
		return "", nil
	}
	token, err := s(ctx)
	if err != nil {
		return "", fmt.Errorf("get a token: %w", err)
	}
	return strings.TrimSpace(token), nil
}

// bearer is a token for one gRPC call. It implements credentials.PerRPCCredentials.
type bearer struct {
	token     string
	encrypted bool // it goes over no other connection
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (b bearer) RequireTransportSecurity() bool { return b.encrypted }

// isLoopback reports whether an address, a gRPC target or the host of a URL, is certainly on this machine.
func isLoopback(addr string) bool {
	if strings.HasPrefix(addr, "unix:") || strings.HasPrefix(addr, "unix-abstract:") {
		return true
	}
	addr = strings.TrimPrefix(addr[strings.LastIndex(addr, "/")+1:], "dns:")
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = strings.Trim(addr, "[]")
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
