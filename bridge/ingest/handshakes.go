package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"

	"google.golang.org/grpc/credentials"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/limit"
)

// noCertificate is how crypto/tls says, without a type, that a client has shown none.
const noCertificate = "tls: client didn't provide a certificate"

// handshakes are credentials that tell of each handshake that fails; gRPC does not. A connection ends when the
// certificate expires that its client has shown, for only on another can it show another.
type handshakes struct {
	credentials.TransportCredentials
	failed func(from net.Addr, err error)
}

// ServerHandshake implements credentials.TransportCredentials.
func (h handshakes) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	encrypted, info, err := h.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		h.failed(raw.RemoteAddr(), err)
	} else if of, ok := info.(credentials.TLSInfo); ok && len(of.State.PeerCertificates) > 0 {
		limit.CloseAt(raw, of.State.PeerCertificates[0].NotAfter)
	}
	return encrypted, info, err
}

// Clone implements credentials.TransportCredentials.
func (h handshakes) Clone() credentials.TransportCredentials {
	return handshakes{h.TransportCredentials.Clone(), h.failed}
}

func (s *Server) handshakeFailed(from net.Addr, err error) {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		s.config.Refused(auth.WrongCertificate)
	} else if err.Error() == noCertificate {
		s.config.Refused(auth.Missing)
	}
	s.failures.Log(context.Background(), slog.String("peer", from.String()), slog.String("err", err.Error()))
}
