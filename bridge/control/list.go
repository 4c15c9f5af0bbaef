package control

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rotki/notification-bridge/bridge/delivery"
	adminv1 "github.com/rotki/notification-bridge/gen/go/rotki/bridge/admin/v1"
)

// maxAnswer is how many bytes of connections an answer to another bridge may have: NATS carries 1 MiB by default.
const maxAnswer = 900 << 10

// list returns this bridge's connections, the longest connected first: as many as were asked for, and as one answer can
// carry.
func (s *Server) list(r *adminv1.ListConnectionsRequest) *adminv1.ListConnectionsResponse {
	have := s.config.Connections.List(selectorOf(r.GetSelector()))
	slices.SortFunc(have, func(a, b delivery.Connection) int {
		return cmp.Or(a.ConnectedAt.Compare(b.ConnectedAt), strings.Compare(a.ID, b.ID))
	})
	response := &adminv1.ListConnectionsResponse{Total: uint64(len(have))}
	size := 0
	for _, c := range have[:min(len(have), limitOf(r))] {
		connection := s.connection(c)
		size += 1 + protowire.SizeBytes(proto.Size(connection))
		if size > maxAnswer {
			break
		}
		response.Connections = append(response.Connections, connection)
	}
	return response
}

func limitOf(r *adminv1.ListConnectionsRequest) int { return int(cmp.Or(r.GetLimit(), defaultLimit)) }

func (s *Server) connection(c delivery.Connection) *adminv1.Connection {
	out := &adminv1.Connection{
		Id:          c.ID,
		Bridge:      s.config.Name,
		Subject:     strings.ToValidUTF8(c.Subject, "\uFFFD"),
		Session:     c.Session,
		TokenId:     strings.ToValidUTF8(c.TokenID, "\uFFFD"),
		Entrance:    adminv1.Entrance_ENTRANCE_WEBSOCKET,
		Types:       c.Types,
		ConnectedAt: timestamppb.New(c.ConnectedAt),
		Lag:         c.Lag,
	}
	if c.Events {
		out.Entrance = adminv1.Entrance_ENTRANCE_EVENTS
	}
	if c.Address.IsValid() {
		out.Address = c.Address.String()
	}
	if !c.ExpiresAt.IsZero() {
		out.ExpiresAt = timestamppb.New(c.ExpiresAt)
	}
	return out
}

// merge returns the connections of several bridges as one list, cut to a limit.
func merge(answers []*adminv1.ListConnectionsResponse, limit int) *adminv1.ListConnectionsResponse {
	all := new(adminv1.ListConnectionsResponse)
	for _, answer := range answers {
		all.Total += answer.GetTotal()
		all.Connections = append(all.Connections, answer.GetConnections()...)
	}
	slices.SortFunc(all.Connections, func(a, b *adminv1.Connection) int {
		return cmp.Or(
			a.GetConnectedAt().AsTime().Compare(b.GetConnectedAt().AsTime()),
			strings.Compare(a.GetId(), b.GetId()),
		)
	})
	all.Connections = all.Connections[:min(len(all.Connections), limit)]
	return all
}
