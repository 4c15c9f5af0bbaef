package jetstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net/url"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// JetStream's codes for why it cannot create a stream.
const (
	codeNoPeers   = 10005 // a cluster that is forming has too few servers yet
	codeNoStorage = 10047
	codeNoMemory  = 10028
)

// mayMend reports whether an attempt to connect may succeed when it is made again.
func mayMend(err error) bool {
	for _, final := range []error{
		nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrSecureConnRequired,
		nats.ErrSecureConnWanted, os.ErrNotExist, os.ErrPermission,
	} {
		if errors.Is(err, final) {
			return false
		}
	}
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, address := errors.AsType[*url.Error](err)
	return !certificate && !address
}

// isTransient reports whether JetStream may do later what it could not do now.
func isTransient(err error) bool {
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return true // another bridge is creating it at this moment
	}
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok {
		switch refused.ErrorCode {
		case codeNoPeers:
			return true
		case codeNoStorage, codeNoMemory:
			return false
		}
		return refused.Code >= 500
	}
	for _, passing := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, jetstream.ErrJetStreamNotEnabled,
		nats.ErrDisconnected, nats.ErrReconnectBufExceeded,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}
