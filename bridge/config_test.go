package bridge_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/journal"
	"github.com/rotki/notification-bridge/bridge/testcert"
)

// freeAddrs returns four addresses where nobody listens, on Linux of a loopback address of their own: on 127.0.0.1
// another package's test may take one of the ports before it is used.
func freeAddrs(t *testing.T) (addrs [4]string) {
	t.Helper()
	host := "127.0.0.1"
	if runtime.GOOS == "linux" {
		host = fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	}
	for i := range addrs {
		l := listen(t, host+":0")
		defer l.Close() // not before there are four, or two might be the same
		addrs[i] = l.Addr().String()
	}
	return addrs
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestRefusedSettings: New refuses what cannot work with a sentence that names the flag, and leaves nothing open.
func TestRefusedSettings(t *testing.T) {
	taken := listen(t, "127.0.0.1:0")
	defer taken.Close()
	const exposed = " can be reached from other machines"
	nats := []string{"nats://127.0.0.1:1"}
	const anonymous = "--insecure-allow-anonymous"
	everything := []auth.Scope{auth.ScopePublish, auth.ScopeSubscribe}
	authority := testcert.NewCA(t, "an authority")
	dir := t.TempDir()
	cert, key := authority.ServerFiles(t, dir, "localhost")
	ca := authority.File(t, dir, "ca.pem")
	secret := testcert.Write(t, dir, "secret", []byte("0123456789abcdef0123456789abcdef"))
	short := testcert.Write(t, dir, "short", []byte("secret"))
	for name, tc := range map[string]struct {
		change    func(*bridge.Config)
		sentences []string
	}{
		"http on all addresses":       {func(c *bridge.Config) { c.HTTPAddr = "0.0.0.0:0" }, []string{"--http-addr 0.0.0.0:0" + exposed, anonymous}},
		"http on all addresses, IPv6": {func(c *bridge.Config) { c.HTTPAddr = "[::]:0" }, []string{"--http-addr [::]:0" + exposed, anonymous}},
		"http without a host":         {func(c *bridge.Config) { c.HTTPAddr = ":0" }, []string{"--http-addr :0" + exposed, anonymous}},
		"grpc on all addresses":       {func(c *bridge.Config) { c.GRPCAddr = "0.0.0.0:0" }, []string{"--grpc-addr 0.0.0.0:0" + exposed, anonymous}},
		"http, anonymous may publish": {func(c *bridge.Config) {
			c.HTTPAddr, c.Access.Anonymous = "0.0.0.0:0", []auth.Scope{auth.ScopePublish}
		}, []string{"--http-addr 0.0.0.0:0" + exposed, "read all notifications", "--subject-header", "--insecure-allow-anonymous=subscribe"}},
		"grpc, anonymous may read": {func(c *bridge.Config) {
			c.GRPCAddr, c.Access.Anonymous = "0.0.0.0:0", []auth.Scope{auth.ScopeSubscribe}
		}, []string{"--grpc-addr 0.0.0.0:0" + exposed, "--grpc-client-ca", "--insecure-allow-anonymous=publish"}},
		"http, certificates for gRPC only": {func(c *bridge.Config) {
			c.HTTPAddr, c.GRPCTLS = "0.0.0.0:0", bridge.TLSFiles{Cert: cert, Key: key, ClientCA: ca}
		}, []string{"--http-addr 0.0.0.0:0" + exposed}},
		"grpc, a header for subscribers only": {func(c *bridge.Config) {
			c.GRPCAddr, c.Access.SubjectHeader, c.Access.TrustedProxies = "0.0.0.0:0", "X-User", []string{"192.0.2.1"}
		}, []string{"--grpc-addr 0.0.0.0:0" + exposed}},
		"admin on all addresses": {func(c *bridge.Config) {
			c.AdminAddr, c.Access.Anonymous = "0.0.0.0:0", everything
		}, []string{"--admin-addr 0.0.0.0:0" + exposed, "--jwt-secret-file, --jwt-key-files or --jwt-jwks-url", "scope admin"}},
		"admin gRPC on all addresses": {func(c *bridge.Config) {
			c.AdminGRPCAddr, c.Access.Anonymous = "0.0.0.0:0", everything
		}, []string{"--admin-grpc-addr 0.0.0.0:0" + exposed, "scope admin"}},
		"admin on another machine's": {func(c *bridge.Config) {
			c.AdminAddr, c.Access.SecretFile = "192.0.2.1:0", secret
		}, []string{"--admin-addr: ", "192.0.2.1:0", "cannot assign"}},

		"upstream on all addresses": {func(c *bridge.Config) {
			c.HTTPAddr, c.Upstream, c.Access.SecretFile = "0.0.0.0:0", "http://127.0.0.1:4242", secret
		}, []string{"--http-addr 0.0.0.0:0" + exposed, "reach what --upstream passes on", "--insecure-allow-anonymous=upstream"}},
		"anonymous operators":  {func(c *bridge.Config) { c.Access.Anonymous = []auth.Scope{auth.ScopeAdmin} }, []string{`--insecure-allow-anonymous: "admin" is not known`}},
		"admin token, no keys": {func(c *bridge.Config) { c.Access.AdminToken = true }, []string{"--admin-token means nothing without --jwt-secret-file"}},
		"issuer, no keys":      {func(c *bridge.Config) { c.Access.Issuer = "x" }, []string{"--jwt-issuer means nothing without --jwt-secret-file"}},
		"audience, no keys":    {func(c *bridge.Config) { c.Access.Audience = "x" }, []string{"--jwt-audience means nothing without"}},
		"cookie, no keys":      {func(c *bridge.Config) { c.Access.Cookie = "x" }, []string{"--jwt-cookie means nothing without"}},
		"leeway, no keys":      {func(c *bridge.Config) { c.Access.Leeway = time.Hour }, []string{"--jwt-leeway means nothing without"}},
		"refresh, no JWKS":     {func(c *bridge.Config) { c.Access.JWKSRefresh = time.Hour }, []string{"--jwt-jwks-refresh means nothing without --jwt-jwks-url"}},
		"JWKS, no issuer":      {func(c *bridge.Config) { c.Access.JWKSURL = "https://id.example.org/keys" }, []string{"--jwt-jwks-url needs --jwt-issuer and --jwt-audience"}},
		"JWKS by http": {func(c *bridge.Config) {
			c.Access.JWKSURL, c.Access.Issuer, c.Access.Audience = "http://id.example.org/keys", "a", "b"
		}, []string{"--jwt-jwks-url: ", "an https URL is needed"}},
		"short secret":        {func(c *bridge.Config) { c.Access.SecretFile = short }, []string{"--jwt-secret-file: ", "needs at least 32"}},
		"a key as the secret": {func(c *bridge.Config) { c.Access.SecretFile = cert }, []string{"--jwt-secret-file: ", "holds a PEM block, and no secret"}},
		"a private key":       {func(c *bridge.Config) { c.Access.KeyFiles = []string{key} }, []string{"--jwt-key-files: ", "needs the public key alone"}},
		"no such key":         {func(c *bridge.Config) { c.Access.KeyFiles = []string{"absent.pem"} }, []string{"--jwt-key-files: ", "absent.pem"}},
		"header, no proxies":  {func(c *bridge.Config) { c.Access.SubjectHeader = "X-User" }, []string{"--subject-header means nothing without --trusted-proxies: anyone could send that header"}},
		"header and cookie": {func(c *bridge.Config) {
			c.Access.SubjectHeader, c.Access.TrustedProxies, c.Access.SecretFile, c.Access.Cookie = "X-User", []string{"::1"}, secret, "x"
		}, []string{"--subject-header and --jwt-cookie cannot go together"}},
		"everybody a proxy":   {func(c *bridge.Config) { c.Access.TrustedProxies = []string{"0.0.0.0/0"} }, []string{"is everybody, and then anybody could say who they are"}},
		"a proxy's name":      {func(c *bridge.Config) { c.Access.TrustedProxies = []string{"nginx"} }, []string{`--trusted-proxies: "nginx" is neither an address nor a network`}},
		"certificate alone":   {func(c *bridge.Config) { c.HTTPTLS.Cert = cert }, []string{"--http-tls-cert and --http-tls-key go together"}},
		"key alone":           {func(c *bridge.Config) { c.AdminTLS.Key = key }, []string{"--admin-tls-cert and --admin-tls-key go together"}},
		"no such certificate": {func(c *bridge.Config) { c.GRPCTLS = bridge.TLSFiles{Cert: "absent.pem", Key: key} }, []string{"--grpc-tls-cert", "absent.pem"}},
		"authority, plain":    {func(c *bridge.Config) { c.GRPCTLS.ClientCA = ca }, []string{"--grpc-client-ca means nothing without --grpc-tls-cert"}},
		"a name that is none": {func(c *bridge.Config) {
			c.GRPCTLS, c.Access.ClientNames = bridge.TLSFiles{Cert: cert, Key: key, ClientCA: ca}, []string{"a.*.b"}
		}, []string{"--grpc-client-names: "}},
		"names, no authority":         {func(c *bridge.Config) { c.Access.ClientNames = []string{"a"} }, []string{"--grpc-client-names means nothing without --grpc-client-ca"}},
		"connections":                 {func(c *bridge.Config) { c.Limits.Connections = -1 }, []string{"--max-connections must be"}},
		"handshakes":                  {func(c *bridge.Config) { c.Limits.Handshakes = -1 }, []string{"--max-handshakes must be"}},
		"publish rate":                {func(c *bridge.Config) { c.PublishRate = -1 }, []string{"--publish-rate must be"}},
		"origin of a whole domain":    {func(c *bridge.Config) { c.AllowedOrigins = []string{"https://*.org"} }, []string{`--allowed-origins: "https://*.org" is not an origin`}},
		"origin with two wildcards":   {func(c *bridge.Config) { c.AllowedOrigins = []string{"https://*.*.example.org"} }, []string{"is not an origin"}},
		"origin with part of a label": {func(c *bridge.Config) { c.AllowedOrigins = []string{"https://a*.example.org"} }, []string{"is not an origin"}},

		"http in use":         {func(c *bridge.Config) { c.HTTPAddr = taken.Addr().String() }, []string{"--http-addr: " + taken.Addr().String() + " is in use", "is another bridge running?"}},
		"grpc in use":         {func(c *bridge.Config) { c.GRPCAddr = taken.Addr().String() }, []string{"--grpc-addr: " + taken.Addr().String() + " is in use", "is another bridge running?"}},
		"admin in use":        {func(c *bridge.Config) { c.AdminAddr = taken.Addr().String() }, []string{"--admin-addr: " + taken.Addr().String() + " is in use", "is another bridge running?"}},
		"the same port twice": {func(c *bridge.Config) { c.AdminAddr = c.GRPCAddr }, []string{"--admin-addr: ", " is in use"}},

		"origin without a scheme": {func(c *bridge.Config) { c.AllowedOrigins = []string{"rotki.example.org:443"} }, []string{"is not an origin"}},
		"origin's usual port":     {func(c *bridge.Config) { c.AllowedOrigins = []string{"https://*.example.org:443"} }, []string{"is not an origin"}},
		"origin without a host":   {func(c *bridge.Config) { c.AllowedOrigins = []string{"https://"} }, []string{"is not an origin"}},
		"origin with a query":     {func(c *bridge.Config) { c.AllowedOrigins = []string{"https://x?v=3"} }, []string{"is not an origin"}},
		"origin with a user":      {func(c *bridge.Config) { c.AllowedOrigins = []string{"https://a@x"} }, []string{"is not an origin"}},
		"no port":                 {func(c *bridge.Config) { c.HTTPAddr = "127.0.0.1" }, []string{`--http-addr: "127.0.0.1" is not host:port`}},
		"only a port":             {func(c *bridge.Config) { c.GRPCAddr = "5044" }, []string{`--grpc-addr: "5044" is not host:port`}},
		"port in words":           {func(c *bridge.Config) { c.GRPCAddr = "127.0.0.1:many" }, []string{`--grpc-addr: "127.0.0.1:many" is not host:port`}},
		"port too large":          {func(c *bridge.Config) { c.AdminAddr = "127.0.0.1:65536" }, []string{`--admin-addr: "127.0.0.1:65536" is not host:port`}},
		"IPv6 unbraced":           {func(c *bridge.Config) { c.AdminAddr = "::1:5045" }, []string{`--admin-addr: "::1:5045" is not host:port`}},
		"URL as address":          {func(c *bridge.Config) { c.HTTPAddr = "http://127.0.0.1:0" }, []string{`--http-addr: "http://127.0.0.1:0" is not host:port`}},
		"bare upstream":           {func(c *bridge.Config) { c.Upstream = "127.0.0.1:4242" }, []string{`--upstream: "127.0.0.1:4242" is not an http or https URL`}},
		"upstream's host":         {func(c *bridge.Config) { c.Upstream = "http:///api" }, []string{`--upstream: "http:///api" is not`}},
		"other upstream":          {func(c *bridge.Config) { c.Upstream = "ftp://127.0.0.1" }, []string{`--upstream: "ftp://127.0.0.1" is not`}},
		"broken upstream":         {func(c *bridge.Config) { c.Upstream = "http://%zz" }, []string{`--upstream: "http://%zz" is not`}},

		"bare origin":      {func(c *bridge.Config) { c.AllowedOrigins = []string{"rotki.example.org"} }, []string{`--allowed-origins: "rotki.example.org" is not an origin`}},
		"any origin":       {func(c *bridge.Config) { c.AllowedOrigins = []string{"*"} }, []string{`--allowed-origins: "*" is not an origin`}},
		"origin's path":    {func(c *bridge.Config) { c.AllowedOrigins = []string{"https://rotki.example.org/app"} }, []string{`/app" is not an origin`}},
		"one bad of three": {func(c *bridge.Config) { c.AllowedOrigins = []string{"https://a.example.org", "", "null"} }, []string{`--allowed-origins: "" is not an origin`}},

		"drain timeout":     {func(c *bridge.Config) { c.DrainTimeout = -1 }, []string{"--drain-timeout must be greater than 0"}},
		"ping interval":     {func(c *bridge.Config) { c.PingInterval = -time.Second }, []string{"--ping-interval must be"}},
		"write timeout":     {func(c *bridge.Config) { c.WriteTimeout = -time.Second }, []string{"--write-timeout must be"}},
		"send buffer":       {func(c *bridge.Config) { c.SendBuffer = -1 }, []string{"--send-buffer must be"}},
		"max message":       {func(c *bridge.Config) { c.MaxMessageBytes = -1 }, []string{"--max-message-bytes must be"}},
		"max message, huge": {func(c *bridge.Config) { c.MaxMessageBytes = 64<<20 + 1 }, []string{"--max-message-bytes is 67108865; at most 67108864"}},
		"journal messages":  {func(c *bridge.Config) { c.Journal.Messages = -1 }, []string{"--journal-messages must be"}},
		"journal bytes":     {func(c *bridge.Config) { c.Journal.Bytes = -1 }, []string{"--journal-bytes must be"}},
		"journal age":       {func(c *bridge.Config) { c.Journal.Age = -1 }, []string{"--journal-age must be"}},
		"dedup window":      {func(c *bridge.Config) { c.Journal.DedupWindow = -1 }, []string{"--dedup-window must be"}},
		"dedup ids":         {func(c *bridge.Config) { c.Journal.DedupIDs = -1 }, []string{"--dedup-ids must be"}},

		"two streams":          {func(c *bridge.Config) { c.Stream.URLs, c.Stream.Dir = nats, "data" }, []string{"--nats-url and --data-dir cannot go together"}},
		"credentials alone":    {func(c *bridge.Config) { c.Stream.Credentials = "file" }, []string{"--nats-creds means nothing without --nats-url"}},
		"NKey with data-dir":   {func(c *bridge.Config) { c.Stream.NKey, c.Stream.Dir = "file", "data" }, []string{"--nats-nkey means nothing without --nats-url"}},
		"two credentials":      {func(c *bridge.Config) { c.Stream.NKey, c.Stream.Credentials, c.Stream.URLs = "a", "b", nats }, []string{"--nats-creds and --nats-nkey cannot go together"}},
		"certificate, no key":  {func(c *bridge.Config) { c.Stream.Cert, c.Stream.URLs = "a", nats }, []string{"--nats-cert and --nats-key go together"}},
		"no authorities":       {func(c *bridge.Config) { c.Stream.CA, c.Stream.URLs = "absent.pem", nats }, []string{"--nats-ca: ", "absent.pem"}},
		"replicas alone":       {func(c *bridge.Config) { c.Stream.Replicas = 3 }, []string{"--stream-replicas means nothing without --nats-url"}},
		"stream alone":         {func(c *bridge.Config) { c.Stream.Name = "mine" }, []string{"--stream means nothing without --nats-url or --data-dir"}},
		"stream age alone":     {func(c *bridge.Config) { c.Stream.Age = time.Hour }, []string{"--stream-age means nothing without"}},
		"stream bytes":         {func(c *bridge.Config) { c.Stream.Bytes = -1 }, []string{"--stream-bytes must be"}},
		"sync alone":           {func(c *bridge.Config) { c.Stream.SyncAlways = true }, []string{"--sync-always means nothing without --data-dir"}},
		"NATS listener alone":  {func(c *bridge.Config) { c.Stream.Listen = "127.0.0.1:0" }, []string{"--nats-listen means nothing without --data-dir"}},
		"exposed NATS":         {func(c *bridge.Config) { c.Stream.Dir, c.Stream.Listen = t.TempDir(), "0.0.0.0:4222" }, []string{"--nats-listen 0.0.0.0:4222" + exposed}},
		"NATS away":            {func(c *bridge.Config) { c.Stream.URLs, c.Stream.Timeout = nats, time.Millisecond }, []string{"NATS at nats://127.0.0.1:1 does not answer"}},
		"directory is a file":  {func(c *bridge.Config) { c.Stream.Dir = "config_test.go" }, []string{"create the data directory", "config_test.go"}},
		"taken, with data-dir": {func(c *bridge.Config) { c.HTTPAddr, c.Stream.Dir = taken.Addr().String(), t.TempDir() }, []string{" is in use"}},
	} {
		t.Run(name, func(t *testing.T) {
			free := freeAddrs(t)
			config := bridge.Config{HTTPAddr: free[0], GRPCAddr: free[1], AdminAddr: free[2], AdminGRPCAddr: free[3]}
			tc.change(&config)
			_, err := bridge.New(config)
			if err == nil {
				t.Fatal("it was accepted")
			}
			t.Log(err)
			for _, sentence := range tc.sentences {
				if !strings.Contains(err.Error(), sentence) {
					t.Errorf("%q does not say %q", err, sentence)
				}
			}
			for _, addr := range free {
				listen(t, addr).Close()
			}
		})
	}
}

func TestAcceptedSettings(t *testing.T) {
	probe, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		_ = probe.Close()
	}
	hasIPv6 := err == nil
	authority := testcert.NewCA(t, "an authority")
	dir := t.TempDir()
	cert, key := authority.ServerFiles(t, dir, "localhost")
	ca := authority.File(t, dir, "ca.pem")
	secret := testcert.Write(t, dir, "secret", []byte("0123456789abcdef0123456789abcdef"))
	for name, config := range map[string]bridge.Config{
		"localhost": {HTTPAddr: "localhost:0", GRPCAddr: "localhost:0", AdminAddr: "localhost:0"},
		"IPv6":      {HTTPAddr: "[::1]:0", GRPCAddr: "[::1]:0", AdminAddr: "[::1]:0"},
		"anonymous on all addresses": {
			HTTPAddr: "0.0.0.0:0", GRPCAddr: ":0",
			Access: bridge.AccessConfig{Anonymous: []auth.Scope{auth.ScopePublish, auth.ScopeSubscribe}},
		},
		"tokens on all addresses": {
			HTTPAddr: "0.0.0.0:0", GRPCAddr: ":0", AdminAddr: "0.0.0.0:0", AdminGRPCAddr: "0.0.0.0:0",
			Access: bridge.AccessConfig{SecretFile: secret},
		},
		"proxy and certificates on all addresses": {
			HTTPAddr: "0.0.0.0:0", GRPCAddr: ":0", GRPCTLS: bridge.TLSFiles{Cert: cert, Key: key, ClientCA: ca},
			Access: bridge.AccessConfig{SubjectHeader: "X-User", TrustedProxies: []string{"192.0.2.0/24"}},
		},
		"origins": {AllowedOrigins: []string{
			"https://rotki.example.org", "http://rotki.lan:8080/", "app://rotki", "null", "https://*.example.org", "https://*.a.example.org:8443/",
		}},
		"upstream": {Upstream: "https://rotki.example.org/behind"},
		"largest":  {MaxMessageBytes: 64 << 20, Journal: journal.MemoryConfig{Messages: 1, Bytes: 1, Age: 1, DedupWindow: 1, DedupIDs: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "IPv6" && !hasIPv6 {
				t.Skip("this machine has no IPv6")
			}
			for _, addr := range []*string{&config.HTTPAddr, &config.GRPCAddr, &config.AdminAddr, &config.AdminGRPCAddr} {
				if *addr == "" {
					*addr = "127.0.0.1:0"
				}
			}
			b, err := bridge.New(config)
			if err != nil {
				t.Fatal(err)
			}
			addrs := []string{b.HTTPAddr(), b.GRPCAddr(), b.AdminAddr(), b.AdminGRPCAddr()}
			for _, addr := range addrs {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Errorf("nobody listens: %v", err)
					continue
				}
				_ = conn.Close()
			}
			// A bridge whose time is over when it starts ends at once, and ends all.
			over, cancel := context.WithCancel(t.Context())
			cancel()
			if err := b.Run(over); err != nil {
				t.Errorf("Run: %v", err)
			}
			for _, addr := range addrs {
				listen(t, addr).Close()
			}
		})
	}
}
