package bridge_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/rotki/notification-bridge/gen/go/rotki/bridge/admin/v1"
)

// operate makes one call to AdminService with a token.
func operate[Q, A any](t testing.TB, b running, token string,
	method func(adminv1.AdminServiceClient, context.Context, Q, ...grpc.CallOption) (A, error), request Q,
) A {
	t.Helper()
	conn, err := grpc.NewClient(b.AdminGRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	response, err := method(adminv1.NewAdminServiceClient(conn), ctx, request, bearing(token))
	if err != nil {
		t.Fatalf("an operator's call: %v", err)
	}
	return response
}

// revoke revokes a token of an id, and returns how many connections that ended.
func (b running) revoke(t testing.TB, operator, id string) int {
	t.Helper()
	request := &adminv1.RevokeTokenRequest{TokenId: id, ExpiresAt: timestamppb.New(time.Now().Add(time.Hour))}
	return int(operate(t, b, operator, adminv1.AdminServiceClient.RevokeToken, request).GetDisconnected())
}

// disconnect ends the connections that are chosen, and returns how many.
func (b running) disconnect(t testing.TB, operator string, selector *adminv1.Selector) int {
	t.Helper()
	request := &adminv1.DisconnectRequest{Selector: selector}
	return int(operate(t, b, operator, adminv1.AdminServiceClient.Disconnect, request).GetDisconnected())
}

// connections lists the subscribers of all bridges.
func (b running) connections(t testing.TB, operator string) []*adminv1.Connection {
	t.Helper()
	request := new(adminv1.ListConnectionsRequest)
	return operate(t, b, operator, adminv1.AdminServiceClient.ListConnections, request).GetConnections()
}
