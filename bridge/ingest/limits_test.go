package ingest_test

import (
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/rotki/notification-bridge/bridge/ingest"
)

func textLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// retryAfter returns the delay in a status that a limit caused.
func retryAfter(t *testing.T, err error) time.Duration {
	t.Helper()
	if s := status.Convert(err); s.Code() == codes.ResourceExhausted && len(s.Details()) == 1 {
		if info, ok := s.Details()[0].(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	t.Fatalf("%v has no RetryInfo", err)
	return 0
}

// limited checks how often each limit turned somebody away.
func limited(t *testing.T, registry *prometheus.Registry, rate, streams, calls, connections, perAddress int) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]int)
	for _, family := range families {
		if family.GetName() == "bridge_publishers_limited_total" {
			for _, metric := range family.GetMetric() {
				got[metric.GetLabel()[0].GetValue()] = int(metric.GetCounter().GetValue())
			}
		}
	}
	want := map[string]int{
		"rate": rate, "streams": streams, "calls": calls, "connections": connections, "connections_per_address": perAddress,
	}
	if !maps.Equal(got, want) {
		t.Errorf("turned away: %v, want %v", got, want)
	}
}

// TestRate: all streams of a publisher share its rate, and nobody else's.
func TestRate(t *testing.T) {
	sink, registry := new(quickSink), prometheus.NewRegistry()
	_, addr := listen(t, ingest.Config{
		Sink: sink, PublishRate: 0.01, PublishBurst: 3, Registerer: registry,
		Authenticate: people{"ann": {Subject: "ann"}, "bob": {Subject: "bob"}}.authenticate,
	})
	conn := dial(t, addr)
	one, two, bob := open(t, conn, "ann"), open(t, conn, "ann"), open(t, conn, "bob")
	send(t, one, "a", "b")
	expect(t, one, "a", "1")
	expect(t, one, "b", "2")
	send(t, two, "c", "beyond")
	expect(t, two, "c", "3")
	if _, err := two.Recv(); retryAfter(t, err) < 50*time.Second {
		t.Errorf("told to come back after %v, of 100 s", retryAfter(t, err))
	}
	send(t, one, "beyond")
	if _, err := one.Recv(); retryAfter(t, err) < 50*time.Second {
		t.Errorf("told to come back after %v, of 100 s", retryAfter(t, err))
	}
	send(t, bob, "d")
	expect(t, bob, "d", "4")
	limited(t, registry, 2, 0, 0, 0, 0)
}

// TestRateAnswersWhatWasTaken: also what the journal has not stored yet.
func TestRateAnswersWhatWasTaken(t *testing.T) {
	sink := &slowSink{taken: make(chan string, 10), store: make(chan struct{})}
	_, addr := listen(t, ingest.Config{Sink: sink, PublishRate: 0.01, PublishBurst: 2})
	s := open(t, dial(t, addr), "")
	send(t, s, "a", "b", "beyond")
	<-sink.taken
	<-sink.taken
	close(sink.store)
	expect(t, s, "a", "1")
	expect(t, s, "b", "2")
	_, err := s.Recv()
	retryAfter(t, err)
	if len(sink.taken) != 0 {
		t.Errorf("%s was taken", <-sink.taken)
	}
}

func TestTooManyStreams(t *testing.T) {
	log, registry := new(lines), prometheus.NewRegistry()
	_, addr := listen(t, ingest.Config{
		Sink: new(quickSink), MaxStreams: 2, Registerer: registry, Logger: textLogger(log),
		Authenticate: people{"ann": {Subject: "ann"}, "bob": {Subject: "bob"}}.authenticate,
	})
	conn := dial(t, addr)
	one, two := open(t, conn, "ann"), open(t, dial(t, addr), "ann")
	send(t, one, "a")
	expect(t, one, "a", "1")
	send(t, two, "b")
	expect(t, two, "b", "2")
	if _, err := open(t, conn, "ann").Recv(); retryAfter(t, err) != time.Second {
		t.Errorf("told to come back after %v", retryAfter(t, err))
	}
	bob := open(t, conn, "bob")
	send(t, bob, "c")
	expect(t, bob, "c", "3")
	if err := two.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := two.Recv(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	again := open(t, conn, "ann")
	send(t, again, "d")
	expect(t, again, "d", "4")
	limited(t, registry, 0, 1, 0, 0, 0)
	if text := log.String(); !strings.Contains(text, "limit=streams") || !strings.Contains(text, "subject=ann") {
		t.Errorf("the log does not tell of it:\n%s", text)
	}
}

func TestTooManyCalls(t *testing.T) {
	_, addr := listen(t, ingest.Config{Sink: new(quickSink)})
	client := healthv1.NewHealthClient(dial(t, addr))
	for n := 0; ; n++ {
		_, err := client.List(t.Context(), &healthv1.HealthListRequest{})
		if err == nil && n < 10_000 {
			continue
		}
		if d := retryAfter(t, err); n < 100 || d != time.Second {
			t.Errorf("call %d: told to come back after %v", n, d)
		}
		break
	}
	if _, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil { // a probe from the same address
		t.Error(err)
	}
}

func TestTooManyConnections(t *testing.T) {
	t.Run("in all", func(t *testing.T) { tooManyConnections(t, ingest.Config{MaxConnections: 2}, 3, 0) })
	t.Run("per address", func(t *testing.T) { tooManyConnections(t, ingest.Config{MaxPerAddress: 2}, 0, 3) })
}

func tooManyConnections(t *testing.T, config ingest.Config, inAll, perAddress int) {
	registry := prometheus.NewRegistry()
	config.Sink, config.Registerer = new(quickSink), registry
	_, addr := listen(t, config)
	first := dial(t, addr)
	s := open(t, first, "")
	send(t, s, "a")
	expect(t, s, "a", "1")
	second := open(t, dial(t, addr), "")
	send(t, second, "b")
	expect(t, second, "b", "2")
	for range 3 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a third connection: %d bytes, %v", n, err)
		}
	}
	limited(t, registry, 0, 0, 0, inAll, perAddress)
	send(t, s, "c")
	expect(t, s, "c", "3")
	_ = first.Close()
	// There is room again as soon as the bridge has seen that the first is gone.
	if _, err := healthv1.NewHealthClient(dial(t, addr)).Check(t.Context(), nil, grpc.WaitForReady(true)); err != nil {
		t.Error(err)
	}
}

// TestCallThatIsHeldOpen: whoever begins a call and does not send its request, for which nobody has asked him who he is
// yet, holds neither the call nor the connection for long.
func TestCallThatIsHeldOpen(t *testing.T) {
	_, addr := listen(t, ingest.Config{
		Sink: new(quickSink), CallTimeout: time.Millisecond, Authenticate: people{"ann": {Subject: "ann"}}.authenticate,
	})
	s := open(t, dial(t, addr), "ann") // which lasts
	send(t, s, "a")
	expect(t, s, "a", "1")
	for _, method := range []string{healthv1.Health_Check_FullMethodName, healthv1.Health_List_FullMethodName} {
		held, err := dial(t, addr).NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, method)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- held.RecvMsg(new(healthv1.HealthCheckResponse)) }()
		select {
		case err := <-ended:
			if status.Code(err) != codes.DeadlineExceeded {
				t.Errorf("%s ends with %v", method, err)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s is held open", method)
		}
	}
	send(t, s, "b")
	expect(t, s, "b", "2")
}
