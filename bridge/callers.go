package bridge

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/keypair"
)

// callers is how a bridge knows who is calling: what the configuration says of it, with the files read.
type callers struct {
	config      Config
	tokens      *auth.Tokens // nil for none
	proxies     auth.Proxies
	subscribers *auth.Subscribers
	refusals    *refusals

	publishers *auth.Calls // nil when nobody is asked
	operators  *auth.Calls // nil when nobody can be

	http, grpc, admin *keypair.Pair // nil for no TLS
}

// openCallers reads the keys and certificates. revoked reports whether a token was revoked.
func (c Config) openCallers(ctx context.Context, revoked func(tokenID string) bool, registerer prometheus.Registerer) (*callers, error) {
	o := &callers{config: c, refusals: newRefusals(c.Logger, registerer)}
	var err error
	if o.proxies, err = auth.ParseProxies(c.Access.TrustedProxies); err != nil {
		return nil, err
	}
	for _, listener := range []struct {
		name   string
		files  TLSFiles
		protos []string
		into   **keypair.Pair
	}{
		{"http", c.HTTPTLS, []string{"http/1.1"}, &o.http}, // a websocket cannot be had of HTTP/2 here
		{"grpc", c.GRPCTLS, []string{"h2"}, &o.grpc},
		{"admin", c.AdminTLS, []string{"h2", "http/1.1"}, &o.admin},
	} {
		if listener.files.Cert == "" {
			continue
		}
		*listener.into, err = keypair.Load(keypair.Config{
			Cert: listener.files.Cert, CertFlag: listener.name + "-tls-cert",
			Key: listener.files.Key, KeyFlag: listener.name + "-tls-key",
			ClientCA: listener.files.ClientCA, ClientCAFlag: listener.name + "-client-ca",
			NextProtos: listener.protos,
			Listener:   listener.name,
			Logger:     c.Logger,
			Registerer: registerer,
		})
		if err != nil {
			return nil, err
		}
	}
	if c.Access.tokens() {
		o.tokens, err = auth.NewTokens(ctx, auth.TokensConfig{
			SecretFile:  c.Access.SecretFile,
			KeyFiles:    c.Access.KeyFiles,
			JWKSURL:     c.Access.JWKSURL,
			JWKSRefresh: c.Access.JWKSRefresh,
			Issuer:      c.Access.Issuer,
			Audience:    c.Access.Audience,
			Leeway:      c.Access.Leeway,
			Revoked:     revoked,
			Logger:      c.Logger,
			Registerer:  registerer,
		})
		if err != nil {
			return nil, err
		}
	}
	o.subscribers = auth.NewSubscribers(auth.SubscribersConfig{
		Tokens:        o.tokens,
		Cookie:        c.Access.Cookie,
		SubjectHeader: c.Access.SubjectHeader,
		Proxies:       o.proxies,
		Anonymous:     c.Access.anonymous(auth.ScopeSubscribe),
	})
	if certificates := c.GRPCTLS.ClientCA != ""; o.tokens != nil || certificates {
		calls := auth.CallsConfig{
			Tokens:       o.tokens,
			Scope:        auth.ScopePublish,
			Certificates: certificates,
			Anonymous:    c.Access.anonymous(auth.ScopePublish),
		}
		if len(c.Access.ClientNames) > 0 {
			calls.Names = c.Access.ClientNames
		}
		if o.publishers, err = auth.NewCalls(calls); err != nil {
			return nil, fmt.Errorf("--grpc-client-names: %w", err)
		}
	}
	if o.tokens != nil {
		if o.operators, err = auth.NewCalls(auth.CallsConfig{Tokens: o.tokens, Scope: auth.ScopeAdmin}); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// run follows files and key sets until ctx is done.
func (o *callers) run(ctx context.Context) {
	var following sync.WaitGroup
	defer following.Wait()
	if o.tokens != nil {
		following.Go(func() { _ = o.tokens.Run(ctx) })
	}
	for _, pair := range []*keypair.Pair{o.http, o.grpc, o.admin} {
		if pair != nil {
			following.Go(func() { _ = pair.Run(ctx) })
		}
	}
}

// operatorsAt returns how operators are authenticated at an address, nil when nobody is asked there.
func (o *callers) operatorsAt(addr net.Addr) *auth.Calls {
	if isLoopback(addr) && !o.config.Access.AdminToken {
		return nil
	}
	return o.operators
}

// secure returns a pair's TLS, nil for none.
func secure(pair *keypair.Pair) *tls.Config {
	if pair == nil {
		return nil
	}
	return pair.TLS()
}

// over returns a listener that speaks TLS, or the same one for none.
func over(pair *keypair.Pair, l net.Listener) net.Listener {
	if pair == nil {
		return l
	}
	return tls.NewListener(l, pair.TLS())
}
