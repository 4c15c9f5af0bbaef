package bridge

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/rotki/notification-bridge/bridge/auth"
)

// AccessConfig says who may come in. With nothing set, everybody may, which is why a bridge then listens on loopback
// only.
type AccessConfig struct {
	// SecretFile, KeyFiles and JWKSURL are where the keys come from by which tokens are checked: a shared secret (HS256),
	// PEM files with public keys (RS256, ES256, EdDSA), and a JWK Set that is fetched again and again. With any of them,
	// subscribers need a token (unless a SubjectHeader says who they are), and publishers; operators do beyond loopback.
	SecretFile string
	KeyFiles   []string
	JWKSURL    string
	// JWKSRefresh is how far apart fetches are; 5 minutes by default.
	JWKSRefresh time.Duration
	// Issuer and Audience are what tokens must name; with a JWKSURL both must be set.
	Issuer   string
	Audience string
	// Leeway is by how much clocks may differ; 30 s by default.
	Leeway time.Duration
	// Cookie is in which cookie a subscriber's token may be, too; in none by default.
	Cookie string
	// SubjectHeader is in which header a proxy says who the subscriber is, instead of a token; none by default.
	SubjectHeader string
	// TrustedProxies are addresses, or subnets, from which the bridge believes SubjectHeader and X-Forwarded-For.
	TrustedProxies []string
	// Anonymous are the scopes for which nobody needs a credential, wherever they come from: publish, subscribe, and
	// upstream, for which the bridge never asks for one.
	Anonymous []auth.Scope
	// ClientNames are the identities of client certificates that may publish: DNS names, IP addresses, URIs or e-mail
	// addresses; with GRPCTLS.ClientCA, all that it vouches for by default.
	ClientNames []string
	// AdminToken makes operators show a token on loopback, too.
	AdminToken bool
}

// TLSFiles are the PEM files of a listener. They are read again when they change. With none, it does not speak TLS.
type TLSFiles struct {
	Cert string
	Key  string
	// ClientCA is the authority whose certificates clients must show; none by default.
	ClientCA string
}

// tokens reports whether there are keys by which tokens are checked.
func (c AccessConfig) tokens() bool {
	return c.SecretFile != "" || len(c.KeyFiles) > 0 || c.JWKSURL != ""
}

// anonymous reports whether a scope needs no credential.
func (c AccessConfig) anonymous(scope auth.Scope) bool { return slices.Contains(c.Anonymous, scope) }

// scopeUpstream stands for what is passed on to Upstream, in AccessConfig.Anonymous.
const scopeUpstream auth.Scope = "upstream"

const tokenFlags = "--jwt-secret-file, --jwt-key-files or --jwt-jwks-url"

// check refuses what contradicts itself, in terms of the flags.
func (c AccessConfig) check(grpc TLSFiles) error {
	for _, scope := range c.Anonymous {
		if scope != auth.ScopePublish && scope != auth.ScopeSubscribe && scope != scopeUpstream {
			return fmt.Errorf("--insecure-allow-anonymous: %q is not known; it can be publish, subscribe, upstream, or several", scope)
		}
	}
	for _, setting := range []struct {
		flag  string
		set   bool
		needs string
		there bool
	}{
		{"jwt-jwks-refresh", other(c.JWKSRefresh, auth.DefaultJWKSRefresh), "--jwt-jwks-url", c.JWKSURL != ""},
		{"jwt-issuer", c.Issuer != "", tokenFlags, c.tokens()},
		{"jwt-audience", c.Audience != "", tokenFlags, c.tokens()},
		{"jwt-leeway", other(c.Leeway, auth.DefaultLeeway), tokenFlags, c.tokens()},
		{"jwt-cookie", c.Cookie != "", tokenFlags, c.tokens()},
		{"admin-token", c.AdminToken, tokenFlags, c.tokens()},
		{"subject-header", c.SubjectHeader != "", "--trusted-proxies: anyone could send that header", len(c.TrustedProxies) > 0},
		{"grpc-client-names", len(c.ClientNames) > 0, "--grpc-client-ca", grpc.ClientCA != ""},
		{"grpc-client-ca", grpc.ClientCA != "", "--grpc-tls-cert and --grpc-tls-key", grpc.Cert != ""},
	} {
		if setting.set && !setting.there {
			return fmt.Errorf("--%s means nothing without %s", setting.flag, setting.needs)
		}
	}
	if c.SubjectHeader != "" && c.Cookie != "" {
		return errors.New("--subject-header and --jwt-cookie cannot go together: either the proxy says who a subscriber is, or a token")
	}
	return nil
}

// checkTLS refuses half of a pair.
func checkTLS(listener string, files TLSFiles) error {
	if (files.Cert == "") != (files.Key == "") {
		return fmt.Errorf("--%s-tls-cert and --%[1]s-tls-key go together: a certificate is of no use without its key", listener)
	}
	return nil
}

// exposure is what others could do if they reached the bridge.
type exposure struct {
	safe bool   // somebody is asked who they are, or the operator insists
	risk string // what anyone could do else
	cure string // the settings that prevent it
}

// exposures returns what each address would let others do, by its flag, and what Upstream would.
func (c Config) exposures() map[string]exposure {
	admin := exposure{
		safe: c.Access.tokens(), risk: "see and end connections, and take profiles",
		cure: tokenFlags + " (operators then need a token with the scope admin)",
	}
	return map[string]exposure{
		"upstream": {
			safe: c.Upstream == "" || c.Access.anonymous(scopeUpstream),
			risk: "reach what --upstream passes on, for which the bridge asks nobody who they are",
			cure: "--insecure-allow-anonymous=upstream if that server asks by itself",
		},
		"http-addr": {
			safe: c.Access.tokens() || c.Access.SubjectHeader != "" || c.Access.anonymous(auth.ScopeSubscribe),
			risk: "read all notifications",
			cure: tokenFlags + " (subscribers then need a token), or --subject-header and --trusted-proxies (a proxy says who they are), or, if anyone may read, --insecure-allow-anonymous=subscribe",
		},
		"grpc-addr": {
			safe: c.Access.tokens() || c.GRPCTLS.ClientCA != "" || c.Access.anonymous(auth.ScopePublish),
			risk: "publish notifications",
			cure: tokenFlags + " (publishers then need a token with the scope publish), or --grpc-client-ca (they need a certificate), or, if anyone may publish, --insecure-allow-anonymous=publish",
		},
		"admin-addr":      admin,
		"admin-grpc-addr": admin,
		"nats-listen": {
			safe: c.Access.anonymous(auth.ScopeSubscribe) && c.Access.anonymous(auth.ScopePublish),
			risk: "read and publish notifications, end connections and revoke tokens, for the NATS server in the bridge asks nobody",
			cure: "--nats-url to a NATS server of its own, which does, or, if anyone may, --insecure-allow-anonymous=publish,subscribe",
		},
	}
}

// resolve reads an address to listen on. It refuses one that others can reach unless somebody is asked there who they are.
func (c Config) resolve(flag, addr string) (*net.TCPAddr, error) {
	resolved, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("--%s: %q is not host:port: %w", flag, addr, err)
	}
	if resolved.IP.IsLoopback() {
		return resolved, nil
	}
	exposures := c.exposures()
	refused := exposures[flag]
	if flag == "http-addr" && refused.safe {
		refused = exposures["upstream"]
	}
	if !refused.safe {
		return nil, fmt.Errorf("--%s %s can be reached from other machines, and anyone there could %s: set %s; or listen on 127.0.0.1",
			flag, addr, refused.risk, refused.cure)
	}
	return resolved, nil
}

// isLoopback reports whether only this machine can reach a listener.
func isLoopback(l net.Addr) bool {
	addr, err := netip.ParseAddrPort(l.String())
	return err == nil && addr.Addr().Unmap().IsLoopback()
}

// openToPages reports whether a page needs no token to subscribe: nobody does, or a proxy's header says who it is, which a
// page can send as well if its browser runs where the proxy does.
func (c AccessConfig) openToPages() bool {
	return !c.tokens() || c.SubjectHeader != "" || c.anonymous(auth.ScopeSubscribe)
}
