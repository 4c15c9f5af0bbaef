package control

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/rotki/notification-bridge/bridge/auth"
	adminv1 "github.com/rotki/notification-bridge/gen/go/rotki/bridge/admin/v1"
)

// ListConnections implements adminv1.AdminServiceServer.
func (s *Server) ListConnections(
	ctx context.Context, r *adminv1.ListConnectionsRequest,
) (*adminv1.ListConnectionsResponse, error) {
	if err := checkList(r); err != nil {
		return nil, err
	}
	answers, err := everywhere[adminv1.ListConnectionsResponse](ctx, s, r)
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "not all connections are known: %v", err)
	}
	return merge(answers, limitOf(r)), nil
}

// Disconnect implements adminv1.AdminServiceServer.
func (s *Server) Disconnect(
	ctx context.Context, r *adminv1.DisconnectRequest,
) (*adminv1.DisconnectResponse, error) {
	if err := checkSelector(r.GetSelector()); err != nil {
		return nil, err
	}
	answers, err := everywhere[adminv1.DisconnectResponse](ctx, s, r)
	all := new(adminv1.DisconnectResponse)
	for _, answer := range answers {
		all.Disconnected += answer.GetDisconnected()
	}
	selected := selectorOf(r.GetSelector())
	s.config.Logger.InfoContext(ctx, "an operator disconnected subscribers", "by", auth.FromContext(ctx).Subject,
		"subject", selected.Subject, "session", selected.Session, "connection", selected.Connection,
		"disconnected", all.Disconnected)
	if err != nil {
		return nil, status.Errorf(codes.Unavailable,
			"%d connections were ended, and others may be left: %v; try again", all.Disconnected, err)
	}
	return all, nil
}

// RevokeToken implements adminv1.AdminServiceServer.
func (s *Server) RevokeToken(
	ctx context.Context, r *adminv1.RevokeTokenRequest,
) (*adminv1.RevokeTokenResponse, error) {
	if err := checkRevocation(r); err != nil {
		return nil, err
	}
	if err := s.checkUnexpired(r); err != nil {
		return nil, err
	}
	unkept := s.keep(ctx, r)
	answers, err := everywhere[adminv1.RevokeTokenResponse](ctx, s, r)
	all := new(adminv1.RevokeTokenResponse)
	for _, answer := range answers {
		all.Disconnected += answer.GetDisconnected()
	}
	s.config.Logger.InfoContext(ctx, "an operator revoked a token", "by", auth.FromContext(ctx).Subject,
		"jti", r.GetTokenId(), "expires", r.GetExpiresAt().AsTime(), "disconnected", all.Disconnected)
	switch {
	case unkept != nil:
		s.config.Logger.ErrorContext(ctx, "the revocation could not be stored", "jti", r.GetTokenId(), "err", unkept)
		return nil, status.Errorf(codes.Unavailable, "the revocation could not be stored: it holds at this bridge until"+
			" that restarts, and perhaps not at others (%d connections were ended); try again", all.Disconnected)
	case err != nil:
		return nil, status.Errorf(codes.Unavailable, "the revocation is stored, and holds where it is known (%d connections"+
			" were ended), but %v; try again to be told when it holds everywhere", all.Disconnected, err)
	}
	return all, nil
}

// keep has a revocation stored.
func (s *Server) keep(ctx context.Context, r *adminv1.RevokeTokenRequest) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.AskTimeout)
	defer cancel()
	return s.config.Revocations.Keep(ctx, r.GetTokenId(), s.untilOf(r))
}

// everywhere does what was asked for at this bridge and at all others, and returns what they answer. The error names
// those that do not.
func everywhere[T any, M interface {
	*T
	proto.Message
}](ctx context.Context, s *Server, request proto.Message) ([]M, error) {
	answers := []M{s.do(request).(M)}
	if s.config.Bus == nil {
		return answers, nil
	}
	data, err := encodeRequest(request)
	if err != nil {
		return answers, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.AskTimeout)
	defer cancel()
	others, silent, err := s.config.Bus.Ask(ctx, data)
	if err != nil {
		s.config.Logger.WarnContext(ctx, "other bridges could not be asked", "err", err)
		return answers, fmt.Errorf("other bridges cannot be reached; the log of bridge %s says why", s.config.Name)
	}
	for name, data := range others {
		answer := M(new(T))
		if err := decodeAnswer(data, answer); err != nil {
			s.config.Logger.WarnContext(ctx, "another bridge's answer is of no use", "bridge", name, "err", err)
			silent = append(silent, name)
			continue
		}
		answers = append(answers, answer)
	}
	if len(silent) > 0 {
		slices.Sort(silent)
		return answers, fmt.Errorf("of the bridges of this stream these do not answer: %s", strings.Join(silent, ", "))
	}
	return answers, nil
}
