package bridge_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/rotki/notification-bridge/bridge"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// startNATS starts a NATS server in a directory. Port 0 chooses a free one.
func startNATS(t *testing.T, dir string, port int) (_ *server.Server, url string, usedPort int) {
	t.Helper()
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS does not start")
	}
	return s, "nats://" + s.Addr().String(), s.Addr().(*net.TCPAddr).Port
}

func stopNATS(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// TestDataDir: what was acknowledged is known after a restart, and goes on being counted.
func TestDataDir(t *testing.T) {
	config := bridge.Config{Stream: bridge.StreamConfig{Dir: t.TempDir()}}
	request := &notificationsv1.PublishRequest{Id: "once", Notification: legacy("kept")}
	b := start(t, config)
	conn := b.subscribe(t, "")
	first := b.publisher(t).accepted(t, request)
	if first.GetDuplicate() || first.GetSubscribers() != 1 {
		t.Errorf("the first: %v", first)
	}
	if got := receive(t, conn); !sameJSON(t, got, legacyEnvelope("kept")) {
		t.Errorf("received %s", got)
	}
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}

	b = start(t, config)
	if again := b.publisher(t).accepted(t, request); !again.GetDuplicate() || again.GetPosition() != first.GetPosition() || again.GetSubscribers() != 1 {
		t.Errorf("first %v, again %v", first, again)
	}
	if b.metric(t, "bridge_journal_connected") != 1 || b.metric(t, `bridge_journal_unavailable_total{reason="refused"}`) != 0 {
		t.Error("the metrics say that the journal is not well")
	}
}

// TestNATSAway: two bridges on one stream, whose server goes away and comes back. Meanwhile both say that they are not
// ready, publishers are told to come back, and subscribers stay and go on.
func TestNATSAway(t *testing.T) {
	dir := t.TempDir()
	nats, url, port := startNATS(t, dir, 0)
	defer func() { stopNATS(nats) }()
	config := bridge.Config{Stream: bridge.StreamConfig{URLs: []string{url}}}
	a, b := start(t, config), start(t, config)
	defer func() { _, _ = a.stop(), b.stop() }()
	conn := b.subscribe(t, "")
	p := a.publisher(t)
	p.accepted(t, &notificationsv1.PublishRequest{Notification: legacy("before")})
	if got := receive(t, conn); !sameJSON(t, got, legacyEnvelope("before")) {
		t.Errorf("received %s", got)
	}

	stopNATS(nats)
	await(t, "/readyz says that NATS is away", func() bool {
		code, body := get(t, "http://"+a.AdminAddr()+"/readyz")
		return code == 503 && strings.Contains(body, "NATS at "+url+" is away")
	})
	awaitHealth(t, a, healthv1.HealthCheckResponse_NOT_SERVING)
	if err := p.Send(&notificationsv1.PublishRequest{Id: "meanwhile", Notification: legacy("meanwhile")}); err != nil {
		t.Fatal(err)
	}
	if answer, err := p.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("a publish meanwhile: %v, %v", answer, err)
	}

	nats, _, _ = startNATS(t, dir, port)
	awaitHealth(t, a, healthv1.HealthCheckResponse_SERVING)
	await(t, "/readyz says that the other is ready", func() bool {
		code, _ := get(t, "http://"+b.AdminAddr()+"/readyz")
		return code == 200
	})
	a.publisher(t).accepted(t, &notificationsv1.PublishRequest{Id: "meanwhile", Notification: legacy("meanwhile")})
	if got := receive(t, conn); !sameJSON(t, got, legacyEnvelope("meanwhile")) {
		t.Errorf("received %s", got)
	}
}

// awaitHealth waits until gRPC's health service says what it should.
func awaitHealth(t *testing.T, b running, want healthv1.HealthCheckResponse_ServingStatus) {
	t.Helper()
	conn, err := grpc.NewClient(b.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	watch, err := healthv1.NewHealthClient(conn).Watch(context.WithoutCancel(t.Context()), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		says, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if says.GetStatus() == want {
			return
		}
	}
}
