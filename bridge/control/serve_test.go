package control_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/control"
	"github.com/rotki/notification-bridge/bridge/delivery"
	adminv1 "github.com/rotki/notification-bridge/gen/go/rotki/bridge/admin/v1"
)

// TestAuthenticate: an operator who is refused is told why as far as is good, and everybody may ask for health.
func TestAuthenticate(t *testing.T) {
	b := start(t, nil, control.Config{Name: "a", Authenticate: func(ctx context.Context) (auth.Caller, error) {
		values := metadata.ValueFromIncomingContext(ctx, "authorization")
		switch {
		case len(values) == 0:
			return auth.Caller{}, &auth.Refusal{Defect: auth.Missing, Detail: "no token"}
		case values[0] == "Bearer subscriber":
			return auth.Caller{}, &auth.Refusal{Defect: auth.WrongScope, Detail: "a secret of the operator's"}
		case values[0] == "Bearer broken":
			return auth.Caller{}, errors.New("a secret of the bridge's")
		case values[0] == "Bearer panic":
			panic("a secret of the bridge's")
		}
		return auth.Caller{Subject: "operator"}, nil
	}})
	for token, want := range map[string]codes.Code{
		"": codes.Unauthenticated, "subscriber": codes.PermissionDenied, "broken": codes.Internal, "panic": codes.Internal,
		"admin": codes.OK,
	} {
		ctx := t.Context()
		if token != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
		}
		_, err := b.admin.ListConnections(ctx, &adminv1.ListConnectionsRequest{})
		if status.Code(err) != want || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q gets %v", token, err)
		}
		stream, err := grpc_reflection_v1.NewServerReflectionClient(b.conn).ServerReflectionInfo(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.CloseSend()
		if _, err := stream.Recv(); (status.Code(err) == want) == (want == codes.OK) {
			t.Errorf("reflection: %q gets %v", token, err)
		}
	}
	if _, err := healthv1.NewHealthClient(b.conn).Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	server := control.New(control.Config{
		Name: "a", Connections: new(subscribers), Streams: new(subscribers),
		Revocations: control.NewRevocations(control.RevocationsConfig{}),
		TLS:         &tls.Config{Certificates: web.TLS.Certificates},
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	secure := credentials.NewTLS(&tls.Config{RootCAs: roots})
	conn := dial(t, listener.Addr().String(), grpc.WithTransportCredentials(secure))
	r, err := adminv1.NewAdminServiceClient(conn).ListConnections(t.Context(), &adminv1.ListConnectionsRequest{})
	if err != nil || r.GetTotal() != 0 {
		t.Errorf("%v, %v", r, err)
	}
	server.Shutdown(t.Context())
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestShutdown: calls on their way are waited for, as long as there is time.
func TestShutdown(t *testing.T) {
	b := start(t, nil, control.Config{Name: "a"})
	b.connect(delivery.Connection{ID: "1", Subject: "ann"})
	watch, err := healthv1.NewHealthClient(b.conn).Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	b.server.Shutdown(ctx)
	for err == nil {
		_, err = watch.Recv()
	}
	_, err = b.admin.ListConnections(t.Context(), &adminv1.ListConnectionsRequest{})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("a server that was shut down answers %v", err)
	}
}

// TestCallThatIsHeldOpen: whoever begins a call and does not send its request, which comes before he is asked who he is,
// does not hold it for long.
func TestCallThatIsHeldOpen(t *testing.T) {
	b := start(t, nil, control.Config{
		Name: "a", AskTimeout: time.Millisecond, Authenticate: func(context.Context) (auth.Caller, error) {
			return auth.Caller{}, &auth.Refusal{Defect: auth.Missing}
		},
	})
	held, err := b.conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, adminv1.AdminService_ListConnections_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- held.RecvMsg(new(adminv1.ListConnectionsResponse)) }()
	select {
	case err := <-ended:
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it is held open")
	}
}
