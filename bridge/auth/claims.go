package auth

import (
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

// maxName is how long a subject or a token's id may be, in bytes.
const maxName = 256

// lastTime is the end of the year 9999, beyond which times cannot be written down (RFC 3339).
var lastTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// claims are those of a token that the bridge knows.
type claims struct {
	Issuer     string           `json:"iss"`
	Audience   jwt.ClaimStrings `json:"aud"`
	Subject    string           `json:"sub"`
	ID         string           `json:"jti"`
	Expires    *jwt.NumericDate `json:"exp"`
	NotBefore  *jwt.NumericDate `json:"nbf"`
	Scope      *string          `json:"scope"`
	Types      []string         `json:"types"`
	Recipients []string         `json:"recipients"`
}

// notNull refuses null where a T is: it would be read as if the claim was not there, which allows more.
func notNull[T any]() *json.Unmarshalers {
	return json.UnmarshalFromFunc(func(decoder *jsontext.Decoder, _ *T) error {
		if decoder.PeekKind() == 'n' {
			return errors.New("null")
		}
		return errors.ErrUnsupported // goes on as usual
	})
}

var strict = json.WithUnmarshalers(json.JoinUnmarshalers(notNull[string](), notNull[*string](), notNull[[]string]()))

// readClaims reads claims. Their names are told apart by case, and none may be there twice: which of two "sub" an
// issuer means, and which of "sub" and "Sub" a user of it could set, is not to be guessed.
func readClaims(raw []byte) (claims, *Refusal) {
	var c claims
	err := json.Unmarshal(raw, &c, strict)
	if err == nil {
		return c, nil
	}
	if of, ok := errors.AsType[*json.SemanticError](err); ok {
		if name, _, _ := strings.Cut(strings.TrimPrefix(string(of.JSONPointer), "/"), "/"); name != "" {
			return claims{}, refuse(Malformed, "its claim %s has the wrong type", quoted(name))
		}
	}
	return claims{}, refuse(Malformed, "its claims are no JSON object, or have a name twice")
}

// Unverified returns a token's id, empty for none, and when it expires, zero for never, both as Tokens would read them.
// Who has signed it is not looked at.
func Unverified(token string) (id string, expires time.Time, err error) {
	var p payload
	if _, _, err := jwt.NewParser(jwt.WithStrictDecoding()).ParseUnverified(token, &p); err != nil {
		return "", time.Time{}, errors.New("this is no token")
	}
	c, refusal := readClaims(p.raw)
	if refusal != nil {
		return "", time.Time{}, refusal
	}
	if c.Expires != nil {
		expires = c.Expires.Time
	}
	return c.ID, expires, nil
}

// admit checks what a token says whose signature is right.
func (t *Tokens) admit(raw []byte, scope Scope) (Caller, *Refusal) {
	c, refusal := readClaims(raw)
	if refusal != nil {
		return Caller{}, refusal
	}
	if refusal := c.check(); refusal != nil {
		return Caller{}, refusal
	}
	if refusal := t.validate(c); refusal != nil {
		return Caller{}, refusal
	}
	switch {
	case !c.allows(scope):
		return Caller{}, refuse(WrongScope, "it is for %s, and not for %q", c.scopes(), string(scope))
	case c.ID != "" && t.config.Revoked != nil && t.config.Revoked(c.ID):
		return Caller{}, refuse(Revoked, "its id %s was revoked", quoted(c.ID))
	case c.Subject == "":
		return Caller{}, refuse(Unnamed, "it has no sub")
	}
	return Caller{
		Subject:    c.Subject,
		TokenID:    c.ID,
		Expires:    c.Expires.Add(t.config.Leeway),
		Types:      sorted(c.Types),
		Recipients: sorted(c.Recipients),
	}, nil
}

// check says what no token may have.
func (c claims) check() *Refusal {
	switch {
	case c.Expires == nil:
		return refuse(Malformed, "it has no exp")
	case !isTime(c.Expires.Time):
		return refuse(Malformed, "its exp is no time between the years 1970 and 9999")
	case c.NotBefore != nil && !isTime(c.NotBefore.Time):
		return refuse(Malformed, "its nbf is no time between the years 1970 and 9999")
	case !isName(c.Subject):
		return refuse(Malformed, "its sub is longer than %d bytes, or has control characters", maxName)
	case !isName(c.ID):
		return refuse(Malformed, "its jti is longer than %d bytes, or has control characters", maxName)
	}
	return nil
}

// validate checks when a token is valid, whose it is, and whom it is for.
func (t *Tokens) validate(c claims) *Refusal {
	err := t.validator.Validate(jwt.RegisteredClaims{
		Issuer: c.Issuer, Audience: c.Audience, ExpiresAt: c.Expires, NotBefore: c.NotBefore,
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuse(Expired, "it expired at %s", c.Expires.UTC().Format(time.RFC3339))
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return refuse(NotYetValid, "it is not valid before %s", c.NotBefore.UTC().Format(time.RFC3339))
	case t.config.Issuer != "" && c.Issuer != t.config.Issuer:
		return refuse(WrongIssuer, "its iss is %s, and not %q", quoted(c.Issuer), t.config.Issuer)
	}
	return refuse(WrongAudience, "its aud is %s, and not %q", quoted(strings.Join(c.Audience, " ")), t.config.Audience)
}

// allows reports whether a token is good for something.
func (c claims) allows(scope Scope) bool {
	if c.Scope == nil {
		return scope == ScopeSubscribe
	}
	return slices.Contains(strings.Fields(*c.Scope), string(scope))
}

// scopes returns what a token is for, as a detail may show it.
func (c claims) scopes() string {
	if c.Scope == nil {
		return `"subscribe" (it has no scope)`
	}
	return quoted(*c.Scope)
}

// isName reports whether a value can be a subject, or a token's id: it is shown to operators.
func isName(value string) bool {
	return len(value) <= maxName && utf8.ValidString(value) && !strings.ContainsFunc(value, unicode.IsControl)
}

// isTime reports whether a time can be written down. One that could not be held by a time.Time cannot.
func isTime(t time.Time) bool { return t.Unix() >= 0 && !t.After(lastTime) }

// sorted returns values in order, and each once; nil for nil.
func sorted(values []string) []string {
	slices.Sort(values)
	return slices.Compact(values)
}
