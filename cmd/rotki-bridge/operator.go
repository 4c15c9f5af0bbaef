package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rotki/notification-bridge/bridge/auth"
	adminv1 "github.com/rotki/notification-bridge/gen/go/rotki/bridge/admin/v1"
)

// maxOperatorAnswer is how many bytes an answer may have: 10,000 connections that each get many types.
const maxOperatorAnswer = 64 << 20

// operatorFlags say how an operator reaches a bridge.
type operatorFlags struct {
	AdminGRPCAddr string        `name:"admin-grpc-addr" default:"127.0.0.1:5046" placeholder:"HOST:PORT" help:"Where the bridge's AdminService is (${default})."`
	Timeout       time.Duration `default:"20s" placeholder:"DURATION" help:"Give up after so long (${default})."`
	tokenFlag
	authorityFlag
	TLS bool `name:"tls" help:"Encrypt the connection. --ca does so too."`
}

// call asks a bridge for something. The error is a sentence that says what to do.
func (f operatorFlags) call(ctx context.Context, do func(context.Context, adminv1.AdminServiceClient) error) error {
	token, err := f.source()
	if err != nil {
		return err
	}
	secure, err := tlsFlags{authorityFlag: f.authorityFlag, TLS: f.TLS}.config()
	if err != nil {
		return err
	}
	transport := insecure.NewCredentials()
	if secure != nil {
		transport = credentials.NewTLS(secure)
	}
	if host, _, err := net.SplitHostPort(f.AdminGRPCAddr); token != nil && secure == nil && (err != nil || !auth.LeadsHere(host)) {
		return fmt.Errorf("whoever is on the way to %s could read the token: give --ca or --tls", f.AdminGRPCAddr)
	}
	conn, err := grpc.NewClient(f.AdminGRPCAddr, grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxOperatorAnswer)))
	if err != nil {
		return fmt.Errorf("--admin-grpc-addr: %w", err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()
	if token != nil {
		text, err := token(ctx)
		if err != nil {
			return err
		}
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+text)
	}
	err = do(ctx, adminv1.NewAdminServiceClient(conn))
	return f.sentence(err, conn.GetState() == connectivity.Ready)
}

// sentence says what an error of a call means to an operator. reached says that a bridge was reached, and may have answered.
func (f operatorFlags) sentence(err error, reached bool) error {
	s, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	switch s.Code() {
	case codes.Unavailable:
		if reached {
			break
		}
		return fmt.Errorf("%s: %s; check that `rotki-bridge serve` runs there, and that --admin-grpc-addr is its AdminService's address", f.AdminGRPCAddr, plain(err))
	case codes.Unauthenticated, codes.PermissionDenied:
		return fmt.Errorf("the bridge refuses: %s; --token-file must name a file with a token of the scope admin", s.Message())
	case codes.DeadlineExceeded:
		return fmt.Errorf("the bridge at %s has not answered in %v", f.AdminGRPCAddr, f.Timeout)
	case codes.Unimplemented:
		return fmt.Errorf("what answers at %s is no AdminService; --admin-grpc-addr is where the bridge has it", f.AdminGRPCAddr)
	}
	return errors.New(s.Message())
}

// selectorFlags choose connections.
type selectorFlags struct {
	Subject    string `xor:"selector" placeholder:"SUBJECT" help:"Those of a subject."`
	Session    string `xor:"selector" placeholder:"SESSION" help:"Those of a browser's session, as connections lists it."`
	Connection string `xor:"selector" placeholder:"ID" help:"One, by its id."`
}

// selector returns what was chosen; nil for nothing.
func (f selectorFlags) selector() *adminv1.Selector {
	switch {
	case f.Subject != "":
		return &adminv1.Selector{By: &adminv1.Selector_Subject{Subject: f.Subject}}
	case f.Session != "":
		return &adminv1.Selector{By: &adminv1.Selector_Session{Session: f.Session}}
	case f.Connection != "":
		return &adminv1.Selector{By: &adminv1.Selector_Connection{Connection: f.Connection}}
	}
	return nil
}
