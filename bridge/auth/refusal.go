package auth

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"google.golang.org/grpc/codes"
)

// Defect is what is wrong with a credential, as a label of metrics and logs.
type Defect string

// Every defect.
const (
	Missing          Defect = "missing"
	Malformed        Defect = "malformed"
	WrongAlgorithm   Defect = "wrong_algorithm" // "none", an HMAC where there are public keys, or one that no key is for
	UnknownKey       Defect = "unknown_key"
	WrongKey         Defect = "wrong_key"
	Expired          Defect = "expired"
	NotYetValid      Defect = "not_yet_valid"
	WrongIssuer      Defect = "wrong_issuer"
	WrongAudience    Defect = "wrong_audience"
	WrongScope       Defect = "wrong_scope"
	Revoked          Defect = "revoked"
	Unnamed          Defect = "unnamed"           // nothing says who it is
	UntrustedProxy   Defect = "untrusted_proxy"   // somebody else than the proxy says who it is
	WrongCertificate Defect = "wrong_certificate" // its names are not among those that may publish
	KeysUnavailable  Defect = "keys_unavailable"  // the keys could not be fetched yet
)

// verdict is what the caller gets for a defect. Before a signature is checked a caller is told only that it was refused:
// what exactly is wrong would help nobody but someone who makes tokens up.
type verdict struct {
	status int
	code   codes.Code
	told   string
}

const refusedToken = "the token was refused; the bridge's operator finds the reason in its log"

var verdicts = map[Defect]verdict{
	Missing:          {http.StatusUnauthorized, codes.Unauthenticated, "a token is required"},
	Malformed:        {http.StatusUnauthorized, codes.Unauthenticated, refusedToken},
	WrongAlgorithm:   {http.StatusUnauthorized, codes.Unauthenticated, refusedToken},
	UnknownKey:       {http.StatusUnauthorized, codes.Unauthenticated, refusedToken},
	WrongKey:         {http.StatusUnauthorized, codes.Unauthenticated, refusedToken},
	Expired:          {http.StatusUnauthorized, codes.Unauthenticated, "the token has expired; get a new one"},
	NotYetValid:      {http.StatusUnauthorized, codes.Unauthenticated, "the token is not valid yet"},
	WrongIssuer:      {http.StatusUnauthorized, codes.Unauthenticated, "the token is not for this bridge"},
	WrongAudience:    {http.StatusUnauthorized, codes.Unauthenticated, "the token is not for this bridge"},
	WrongScope:       {http.StatusForbidden, codes.PermissionDenied, "the token does not allow this"},
	Revoked:          {http.StatusUnauthorized, codes.Unauthenticated, "the token was revoked; get a new one"},
	Unnamed:          {http.StatusUnauthorized, codes.Unauthenticated, "the credential does not say who you are"},
	UntrustedProxy:   {http.StatusForbidden, codes.PermissionDenied, "come through the proxy"},
	WrongCertificate: {http.StatusForbidden, codes.PermissionDenied, "the certificate does not allow this"},
	KeysUnavailable:  {http.StatusServiceUnavailable, codes.Unavailable, "tokens cannot be checked now; try again in a moment"},
}

// Defects returns every defect, sorted, for metrics whose label sets are closed.
func Defects() []Defect { return slices.Sorted(maps.Keys(verdicts)) }

// Refusal is a credential that is not accepted.
type Refusal struct {
	Defect Defect
	// Detail says for the operator what is wrong. It holds no token, and of what one says only its algorithm, key id,
	// issuer, audience, times, scopes and its own id, each cut; never its subject.
	Detail string
}

// Error returns the defect and the detail, for the operator.
func (r *Refusal) Error() string { return string(r.Defect) + ": " + r.Detail }

// Told returns a sentence for the caller.
func (r *Refusal) Told() string { return verdicts[r.Defect].told }

// HTTPStatus returns the status with which an HTTP request is refused.
func (r *Refusal) HTTPStatus() int { return verdicts[r.Defect].status }

// GRPCCode returns the code with which a gRPC call is refused.
func (r *Refusal) GRPCCode() codes.Code { return verdicts[r.Defect].code }

// refuse returns a Refusal whose detail is formatted. Whatever a caller has sent goes into it through quoted.
func refuse(defect Defect, format string, args ...any) *Refusal {
	return &Refusal{Defect: defect, Detail: fmt.Sprintf(format, args...)}
}

// maxQuoted is how much of a value a detail shows, in bytes.
const maxQuoted = 64

// quoted returns a value as a detail may show it: in quotes, and cut.
func quoted(value string) string {
	if len(value) > maxQuoted {
		return strconv.Quote(value[:maxQuoted]) + "..."
	}
	return strconv.Quote(value)
}
