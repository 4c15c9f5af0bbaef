package bridge_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/grpc"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/testcert"
	"github.com/rotki/notification-bridge/client"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// keySetRefresh is how far apart fetches of the JWK Set are in the test of rotations.
const keySetRefresh = 300 * time.Millisecond

// crowd are subscribers over TLS that must get every number, in order, on one connection each.
type crowd struct {
	size    int
	reading sync.WaitGroup
	mu      sync.Mutex
	faults  []string // of those that ended before the end, or got something else than what was due
}

// join has a crowd subscribe; it is there when join returns.
func (c *crowd) join(t *testing.T, b running, trusts *x509.CertPool, token string) {
	t.Helper()
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: trusts}}
	for range c.size {
		conn, err := dialSecure(t.Context(), &dialer, b, token)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		c.reading.Go(func() { c.read(conn) })
	}
}

func dialSecure(ctx context.Context, dialer *websocket.Dialer, b running, token string) (*websocket.Conn, error) {
	header := http.Header{"Authorization": {"Bearer " + token}}
	conn, response, err := dialer.DialContext(ctx, "wss://"+b.HTTPAddr()+"/ws/", header)
	if response != nil && err != nil {
		text, _ := io.ReadAll(response.Body)
		return nil, fmt.Errorf("%s: %s", response.Status, text)
	}
	return conn, err
}

func (c *crowd) read(conn *websocket.Conn) {
	for due := 0; ; due++ {
		_, text, err := conn.ReadMessage()
		if string(text) == legacyEnvelope(theEnd) {
			return
		}
		if err != nil || string(text) != legacyEnvelope(strconv.Itoa(due)) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.faults = append(c.faults, fmt.Sprintf("%s, %v came when %d was due", text, err, due))
			return
		}
	}
}

// load publishes numbers until it is ended.
type load struct {
	published atomic.Int64
	outages   atomic.Int64
	connects  atomic.Int64
	err       error
}

// run publishes until stop is closed, and the end after that.
func (l *load) run(ctx context.Context, publisher *client.Publisher, stop <-chan struct{}) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-stop:
			_, l.err = publisher.Publish(ctx, legacy(theEnd))
			return
		}
		if _, l.err = publisher.Publish(ctx, legacy(strconv.FormatInt(l.published.Load(), 10))); l.err != nil {
			return
		}
		l.published.Add(1)
	}
}

// goesOn returns once some more has been published.
func (l *load) goesOn(t *testing.T) {
	t.Helper()
	before := l.published.Load()
	await(t, "notifications flow", func() bool { return l.published.Load() >= before+10 })
}

// rotation is a bridge whose keys and certificates change under load.
type rotation struct {
	*testing.T
	running
	p        *provider
	operator string
	dir      string // of the certificates
	trusts   *x509.CertPool
	subject  string // a token of a subscriber
	backend  string // a token of a publisher
	client   tls.Certificate
	load     load
}

// subscribes returns what somebody is told who subscribes.
func (r *rotation) subscribes(trusts *x509.CertPool, token string) string {
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: trusts}}
	conn, err := dialSecure(r.Context(), &dialer, r.running, token)
	if err != nil {
		return err.Error()
	}
	_ = conn.Close()
	return "in"
}

// publishes returns with which status somebody publishes who says nothing of interest.
func (r *rotation) publishes(certificate tls.Certificate, token string) string {
	v := visitor{trusts: r.trusts, certificate: certificate, token: token}
	return call(r, r.GRPCAddr(), v.credentials(), token, openStream).status
}

// openStream opens a Publish stream and ends it.
func openStream(ctx context.Context, conn *grpc.ClientConn, o ...grpc.CallOption) error {
	stream, err := notificationsv1.NewNotificationServiceClient(conn).Publish(ctx, o...)
	if err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if _, err = stream.Recv(); err == io.EOF {
		return nil
	}
	return err
}

// fetched returns how often the JWK Set was fetched.
func (r *rotation) fetched() int {
	r.Helper()
	const series = `bridge_jwks_fetches_total{result="ok"} `
	_, after, _ := strings.Cut(r.metrics(r, r.operator), series)
	line, _, _ := strings.Cut(after, "\n")
	n, err := strconv.Atoi(line)
	if err != nil {
		r.Fatal(err)
	}
	return n
}

// vouch changes the JWK Set, and returns once a fetch has ended that began after that: each is a refresh.
func (r *rotation) vouch(keys ...signingKey) {
	r.Helper()
	r.p.vouch(keys...)
	start, before := time.Now(), r.fetched()
	await(r, "the JWK Set is fetched again", func() bool { return r.fetched() >= before+2 })
	r.Logf("the JWK Set holds %d keys; it was fetched twice in %v, with a refresh time of %v",
		len(keys), time.Since(start).Round(time.Millisecond), keySetRefresh)
}

// TestRotation: certificates, the publishers' authority, and the keys of tokens are replaced under load. Nobody is
// dropped; the new ones are good, and the old ones no longer.
func TestRotation(t *testing.T) {
	c := &crowd{size: 200}
	if testing.Short() {
		c.size = 20
	}
	p, by, dir := newProvider(t), newPublishers(t), t.TempDir()
	cert, key := by.server.ServerFiles(t, dir)
	access := p.access()
	access.JWKSRefresh = keySetRefresh
	log := new(transcript)
	r := &rotation{T: t, p: p, dir: dir, trusts: by.server.Pool(), client: by.certificate}
	r.running = start(t, bridge.Config{
		Access:  access,
		HTTPTLS: bridge.TLSFiles{Cert: cert, Key: key},
		GRPCTLS: bridge.TLSFiles{Cert: cert, Key: key, ClientCA: by.clients.File(t, dir, "clients.pem")},
		Logger:  log.logger(),
	})
	r.operator = p.ec.sign(t, claims("operator", "operator-1", string(auth.ScopeAdmin)))
	r.subject = p.token(t, "ann", "ann-1", auth.ScopeSubscribe)
	r.backend = p.token(t, "backend", "backend-1", auth.ScopePublish)
	c.join(t, r.running, r.trusts, r.subject)
	end := r.publishing()

	r.certificates()
	r.authority(by.clients)
	r.keys()
	end()

	c.reading.Wait()
	dropped := len(c.faults)
	t.Logf("%d notifications to %d subscribers; dropped: %d; the publisher connected %d times",
		r.load.published.Load(), c.size, dropped, r.load.connects.Load())
	for _, fault := range c.faults[:min(dropped, 5)] {
		t.Error(fault)
	}
	if r.load.err != nil || r.load.outages.Load() != 0 || r.load.connects.Load() != 1 {
		t.Errorf("the publisher: %v, %d outages", r.load.err, r.load.outages.Load())
	}
	log.holdsNone(t, []string{r.subject, r.backend, r.operator})
}

// publishing has notifications flow until end is called.
func (r *rotation) publishing() (end func()) {
	r.Helper()
	publisher, err := client.NewPublisher(client.PublisherConfig{
		Addr: r.GRPCAddr(), Token: showing(r.backend),
		TLS:       &tls.Config{RootCAs: r.trusts, Certificates: []tls.Certificate{r.client}},
		OnConnect: func() { r.load.connects.Add(1) },
		OnOutage:  func(error) { r.load.outages.Add(1) },
	})
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { r.load.run(ctx, publisher, stop) })
	end = sync.OnceFunc(func() {
		close(stop)
		running.Wait()
		_ = publisher.Close(ctx)
		cancel()
	})
	r.Cleanup(end)
	r.load.goesOn(r.T)
	return end
}

// certificates replaces the bridge's, by one of another authority.
func (r *rotation) certificates() {
	r.Helper()
	old, next := r.trusts, testcert.NewCA(r, "the server's next")
	next.ServerFiles(r, r.dir)
	r.trusts = next.Pool()
	await(r, "subscribers' handshakes see the new certificate", func() bool {
		return r.subscribes(r.trusts, r.subject) == "in"
	})
	await(r, "publishers' handshakes see the new certificate", func() bool {
		return r.publishes(r.client, r.backend) == "OK"
	})
	if told := r.subscribes(old, r.subject); !strings.Contains(told, "unknown authority") {
		r.Errorf("the old certificate is still shown: %s", told)
	}
	r.load.goesOn(r.T)
}

// authority replaces the one that vouches for publishers.
func (r *rotation) authority(old *testcert.CA) {
	r.Helper()
	next := testcert.NewCA(r, "the publishers' next")
	newcomer := next.Certificate(r, testcert.Options{Names: []string{publisherName}, Client: true})
	if got := r.publishes(newcomer, r.backend); got != "Unavailable" {
		r.Errorf("a certificate of an authority that is not known yet: %s", got)
	}
	next.File(r, r.dir, "clients.pem")
	await(r, "the new authority is known", func() bool { return r.publishes(newcomer, r.backend) == "OK" })
	if got := r.publishes(r.client, r.backend); got != "Unavailable" {
		r.Errorf("a certificate of the old authority: %s", got)
	}
	r.client = newcomer
	r.load.goesOn(r.T)
}

// keys adds a key to the JWK Set, and takes the old one away after that.
func (r *rotation) keys() {
	r.Helper()
	next := newRSA(r, "next-key-of-the-issuer")
	subject := next.sign(r, claims("ann", "ann-2", string(auth.ScopeSubscribe)))
	backend := next.sign(r, claims("backend", "backend-2", string(auth.ScopePublish)))
	for _, step := range []struct {
		known    []signingKey
		old, new bool // are good
	}{
		{[]signingKey{r.p.rsa, next}, true, true},
		{[]signingKey{next}, false, true},
	} {
		r.vouch(step.known...)
		for _, token := range []struct {
			subject, backend string
			good             bool
		}{
			{r.subject, r.backend, step.old}, {subject, backend, step.new},
		} {
			subscribes, publishes := "401", "Unauthenticated"
			if token.good {
				subscribes, publishes = "in", "OK"
			}
			if told := r.subscribes(r.trusts, token.subject); !strings.HasPrefix(told, subscribes) {
				r.Errorf("with %d keys a subscriber is told: %s", len(step.known), told)
			}
			if told := r.publishes(r.client, token.backend); told != publishes {
				r.Errorf("with %d keys a publisher is told: %s", len(step.known), told)
			}
		}
		r.load.goesOn(r.T)
	}
}
