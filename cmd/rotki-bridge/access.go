package main

import (
	"time"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/delivery"
)

// accessFlags say who may come in.
type accessFlags struct {
	JWTSecretFile  string        `name:"jwt-secret-file" placeholder:"FILE" help:"The secret with which tokens are signed (HS256), 32 bytes at least. With this or one of the next two, subscribers and publishers need a token, and operators beyond loopback."`
	JWTKeyFiles    []string      `name:"jwt-key-files" placeholder:"FILE" help:"Public keys in PEM of those who sign tokens (RS256, ES256, EdDSA)."`
	JWTJWKSURL     string        `name:"jwt-jwks-url" placeholder:"URL" help:"A JWK Set with such keys, which is fetched again and again."`
	JWTJWKSRefresh time.Duration `name:"jwt-jwks-refresh" default:"5m" help:"How far apart fetches are."`
	JWTIssuer      string        `name:"jwt-issuer" placeholder:"ISS" help:"The issuer (iss) that tokens must name."`
	JWTAudience    string        `name:"jwt-audience" placeholder:"AUD" help:"The audience (aud) that tokens must name."`
	JWTLeeway      time.Duration `name:"jwt-leeway" default:"30s" help:"By how much clocks may differ."`
	JWTCookie      string        `name:"jwt-cookie" placeholder:"NAME" help:"A cookie in which a subscriber's token may be, too."`
	SubjectHeader  string        `placeholder:"NAME" help:"A header in which a trusted proxy says who the subscriber is, instead of a token."`
	TrustedProxies []string      `placeholder:"ADDRESS" help:"Proxies, as addresses or subnets, from which the bridge believes that header and X-Forwarded-For."`
	AdminToken     bool          `help:"Have operators show a token with the scope admin on loopback, too."`

	InsecureAllowAnonymous []auth.Scope `placeholder:"SCOPE" help:"publish, subscribe: anyone may, without a credential, wherever the bridge can be reached from. upstream: anyone may reach what --upstream passes on."`

	HTTPTLSCert     string   `name:"http-tls-cert" placeholder:"FILE" help:"Certificate for subscribers, in PEM with its chain; read again when it changes, like all of these."`
	HTTPTLSKey      string   `name:"http-tls-key" placeholder:"FILE" help:"Its key, in PEM."`
	GRPCTLSCert     string   `name:"grpc-tls-cert" placeholder:"FILE" help:"Certificate for publishers."`
	GRPCTLSKey      string   `name:"grpc-tls-key" placeholder:"FILE" help:"Its key."`
	GRPCClientCA    string   `name:"grpc-client-ca" placeholder:"FILE" help:"Authority whose certificates publishers must show, beside a token if tokens are asked for."`
	GRPCClientNames []string `name:"grpc-client-names" placeholder:"NAME" help:"Names in those certificates that may publish (DNS, with *. for one label, IP, URI or e-mail); all by default."`
	AdminTLSCert    string   `name:"admin-tls-cert" placeholder:"FILE" help:"Certificate for operators."`
	AdminTLSKey     string   `name:"admin-tls-key" placeholder:"FILE" help:"Its key."`
}

func (f accessFlags) config() bridge.AccessConfig {
	return bridge.AccessConfig{
		SecretFile:     f.JWTSecretFile,
		KeyFiles:       f.JWTKeyFiles,
		JWKSURL:        f.JWTJWKSURL,
		JWKSRefresh:    f.JWTJWKSRefresh,
		Issuer:         f.JWTIssuer,
		Audience:       f.JWTAudience,
		Leeway:         f.JWTLeeway,
		Cookie:         f.JWTCookie,
		SubjectHeader:  f.SubjectHeader,
		TrustedProxies: f.TrustedProxies,
		Anonymous:      f.InsecureAllowAnonymous,
		ClientNames:    f.GRPCClientNames,
		AdminToken:     f.AdminToken,
	}
}

// limitFlags bound what callers may do.
type limitFlags struct {
	MaxConnections           int `default:"0" help:"How many subscribers there may be; 0 for as many as the process may have files open."`
	MaxConnectionsPerSubject int `default:"0" help:"How many of one subject; 0 for no limit."`
	MaxConnectionsPerAddress int `default:"0" help:"How many from one address (of IPv6: a /64), and as many of publishers; 0 for no limit."`
	MaxHandshakes            int `default:"0" help:"How many handshakes may begin in a second; 0 for no limit."`
	MaxHandshakesPerAddress  int `default:"0" help:"How many from one address; 0 for no limit."`
	ClientRate               int `default:"1000" help:"How many messages a subscriber may send in a second. rotki's frontend sends none."`
	PublishRate              int `default:"0" help:"How many notifications a publisher may send in a second; 0 for no limit."`
	MaxStreams               int `default:"100" help:"How many streams a publisher may have open."`
	MaxPublishers            int `default:"0" help:"How many connections publishers may have; 0 for 10,000, or a sixteenth of the files that the process may have open if that is less."`
}

func (f limitFlags) config() delivery.Limits {
	return delivery.Limits{
		Connections:          f.MaxConnections,
		PerSubject:           f.MaxConnectionsPerSubject,
		PerAddress:           f.MaxConnectionsPerAddress,
		Handshakes:           float64(f.MaxHandshakes),
		HandshakesPerAddress: float64(f.MaxHandshakesPerAddress),
	}
}
