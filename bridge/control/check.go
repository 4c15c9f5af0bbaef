package control

import (
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rotki/notification-bridge/bridge/delivery"
	adminv1 "github.com/rotki/notification-bridge/gen/go/rotki/bridge/admin/v1"
)

const (
	// defaultLimit and maxLimit are how many connections are listed.
	defaultLimit = 1000
	maxLimit     = 10_000
	// maxTokenID is how many bytes a token's id may have.
	maxTokenID = 256
	// maxRevocation is for how many years a token can be revoked.
	maxRevocation = 10
	// clockSkew is how much later another bridge's clock may be.
	clockSkew = time.Minute
)

func invalid(format string, arguments ...any) error {
	return status.Errorf(codes.InvalidArgument, format, arguments...)
}

func checkList(r *adminv1.ListConnectionsRequest) error {
	if r.GetLimit() > maxLimit {
		return invalid("limit is %d; not more than %d connections can be listed", r.GetLimit(), maxLimit)
	}
	if r.GetSelector() == nil {
		return nil
	}
	return checkSelector(r.GetSelector())
}

func checkSelector(s *adminv1.Selector) error {
	var field, value string
	switch by := s.GetBy().(type) {
	case *adminv1.Selector_Subject:
		field, value = "subject", by.Subject
	case *adminv1.Selector_Session:
		field, value = "session", by.Session
	case *adminv1.Selector_Connection:
		field, value = "connection", by.Connection
	default:
		return invalid("selector is empty; name a subject, a session or a connection")
	}
	if value == "" {
		return invalid("selector.%s is empty; it must say whose connections are meant", field)
	}
	return nil
}

// checkRevocation says whether a token can be revoked so. That it has expired is for checkUnexpired.
func checkRevocation(r *adminv1.RevokeTokenRequest) error {
	switch id, expires := r.GetTokenId(), r.GetExpiresAt(); {
	case id == "":
		return invalid("token_id is empty; it must be the token's \"jti\"")
	case len(id) > maxTokenID:
		return invalid("token_id has %d bytes; a \"jti\" that can be revoked has %d at the most", len(id), maxTokenID)
	case !utf8.ValidString(id):
		return invalid("token_id is not UTF-8")
	case expires == nil:
		return invalid("expires_at is missing; it must be when the token expires (its \"exp\")")
	case !expires.IsValid():
		return invalid("expires_at is no time that there is")
	case expires.AsTime().After(time.Now().AddDate(maxRevocation, 0, 0).Add(clockSkew)):
		return invalid("expires_at is %s; a token can be revoked for %d years at the most",
			expires.AsTime().Format(time.RFC3339), maxRevocation)
	}
	return nil
}

// checkUnexpired refuses to revoke a token that nobody would accept, however wrong clocks are.
func (s *Server) checkUnexpired(r *adminv1.RevokeTokenRequest) error {
	if expires := r.GetExpiresAt().AsTime(); !time.Now().Before(expires.Add(s.config.Leeway)) {
		return invalid("expires_at is %s, which is past; a token that has expired is refused anyway",
			expires.Format(time.RFC3339))
	}
	return nil
}

// selectorOf returns a selector that was checked, as delivery takes it; nil chooses all.
func selectorOf(s *adminv1.Selector) delivery.Selector {
	return delivery.Selector{Subject: s.GetSubject(), Session: s.GetSession(), Connection: s.GetConnection()}
}
