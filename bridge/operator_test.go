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

// operate calls AdminService with a token.
func operate[A any](t testing.TB, b running, token string,
	method func(adminv1.AdminServiceClient, context.Context) (A, error),
) A {
	t.Helper()
	conn, err := grpc.NewClient(b.AdminGRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(bearing(token)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	response, err := method(adminv1.NewAdminServiceClient(conn), ctx)
	if err != nil {
		t.Fatalf("an operator's call: %v", err)
	}
	return response
}

// revoke revokes a token of an id, and returns how many connections that ended.
func (b running) revoke(t testing.TB, operator, id string) int {
	t.Helper()
	request := &adminv1.RevokeTokenRequest{TokenId: id, ExpiresAt: timestamppb.New(time.Now().Add(time.Hour))}
	return int(operate(t, b, operator, func(c adminv1.AdminServiceClient, ctx context.Context) (*adminv1.RevokeTokenResponse, error) {
		return c.RevokeToken(ctx, request)
	}).GetDisconnected())
}

// disconnect ends the connections that are chosen, and returns how many.
func (b running) disconnect(t testing.TB, operator string, selector *adminv1.Selector) int {
	t.Helper()
	request := &adminv1.DisconnectRequest{Selector: selector}
	return int(operate(t, b, operator, func(c adminv1.AdminServiceClient, ctx context.Context) (*adminv1.DisconnectResponse, error) {
		return c.Disconnect(ctx, request)
	}).GetDisconnected())
}

// connections lists the subscribers of all bridges.
func (b running) connections(t testing.TB, operator string) []*adminv1.Connection {
	t.Helper()
	return operate(t, b, operator, func(c adminv1.AdminServiceClient, ctx context.Context) (*adminv1.ListConnectionsResponse, error) {
		return c.ListConnections(ctx, &adminv1.ListConnectionsRequest{})
	}).GetConnections()
}
