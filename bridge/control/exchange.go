package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	adminv1 "github.com/rotki/notification-bridge/gen/go/rotki/bridge/admin/v1"
)

// Bridges ask each other for what operators ask for: a request is a version, a kind, and the public request; an answer
// is the version, whether the request was understood, and the public response.
const exchangeVersion = 1

// kind says what is asked for.
type kind byte

const (
	kindList kind = iota + 1
	kindDisconnect
	kindRevoke
)

// How an answer begins, behind the version.
const (
	understood    = 1
	notUnderstood = 2
)

var errNotUnderstood = errors.New("it does not understand what it was asked; let all bridges be of one version")

// encodeRequest returns what decodeRequest reads.
func encodeRequest(request proto.Message) ([]byte, error) {
	var k kind
	switch request.(type) {
	case *adminv1.ListConnectionsRequest:
		k = kindList
	case *adminv1.DisconnectRequest:
		k = kindDisconnect
	case *adminv1.RevokeTokenRequest:
		k = kindRevoke
	default:
		return nil, fmt.Errorf("%T is nothing that bridges ask for", request)
	}
	return proto.MarshalOptions{}.MarshalAppend([]byte{exchangeVersion, byte(k)}, request)
}

// decodeRequest returns a request that an operator could have made, or an error.
func decodeRequest(data []byte) (proto.Message, error) {
	if len(data) < 2 || data[0] != exchangeVersion {
		return nil, errors.New("a request of another version")
	}
	var request proto.Message
	var check func() error
	switch kind(data[1]) {
	case kindList:
		r := new(adminv1.ListConnectionsRequest)
		request, check = r, func() error { return checkList(r) }
	case kindDisconnect:
		r := new(adminv1.DisconnectRequest)
		request, check = r, func() error { return checkSelector(r.GetSelector()) }
	case kindRevoke:
		r := new(adminv1.RevokeTokenRequest)
		request, check = r, func() error { return checkRevocation(r) }
	default:
		return nil, fmt.Errorf("a request of the kind %d", data[1])
	}
	if err := proto.Unmarshal(data[2:], request); err != nil {
		return nil, fmt.Errorf("a request that cannot be read: %w", err)
	}
	return request, check()
}

// decodeAnswer reads an answer into a response.
func decodeAnswer(data []byte, response proto.Message) error {
	if len(data) < 2 || data[0] != exchangeVersion || data[1] != understood {
		return errNotUnderstood
	}
	if err := proto.Unmarshal(data[2:], response); err != nil {
		return fmt.Errorf("its answer cannot be read: %w", err)
	}
	return nil
}

// answer does what another bridge asks for.
func (s *Server) answer(_ context.Context, data []byte) []byte {
	request, err := decodeRequest(data)
	if err != nil {
		s.config.Logger.Warn("another bridge asks for what is not understood", "err", err)
		return []byte{exchangeVersion, notUnderstood}
	}
	did := s.do(request)
	if ended, ok := did.(interface{ GetDisconnected() uint64 }); ok {
		s.config.Logger.Info("an operator at another bridge ended connections", "request",
			string(request.ProtoReflect().Descriptor().Name()), "disconnected", ended.GetDisconnected())
	}
	answer, err := proto.MarshalOptions{}.MarshalAppend([]byte{exchangeVersion, understood}, did)
	if err != nil {
		s.config.Logger.Error("an answer to another bridge cannot be written", "err", err)
		return []byte{exchangeVersion, notUnderstood}
	}
	return answer
}

// do does at this bridge what was asked for.
func (s *Server) do(request proto.Message) proto.Message {
	switch r := request.(type) {
	case *adminv1.ListConnectionsRequest:
		return s.list(r)
	case *adminv1.DisconnectRequest:
		n := s.config.Connections.Disconnect(selectorOf(r.GetSelector()), byOperator)
		return &adminv1.DisconnectResponse{Disconnected: uint64(n)}
	case *adminv1.RevokeTokenRequest:
		n := s.revoke(r.GetTokenId(), s.untilOf(r))
		return &adminv1.RevokeTokenResponse{Disconnected: uint64(n)}
	}
	return nil
}

// untilOf returns until when a token must be refused.
func (s *Server) untilOf(r *adminv1.RevokeTokenRequest) time.Time {
	return r.GetExpiresAt().AsTime().Add(s.config.Leeway)
}
