package auth

import (
	"bytes"
	"errors"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// payload is what a token says, not looked at before its signature has been checked.
type payload struct {
	jwt.RegisteredClaims // stays empty: it makes a payload something that the parser takes
	raw                  []byte
}

// UnmarshalJSON keeps the claims as they are.
func (p *payload) UnmarshalJSON(raw []byte) error {
	p.raw = bytes.Clone(raw)
	return nil
}

// header is what a token says of its signature.
type header struct {
	alg string
	kid string // empty for none
}

// headerOf returns what a token's header says. Extensions that must be understood (RFC 7515 §4.1.11), and encryption,
// are not known here.
func headerOf(fields map[string]any) (header, *Refusal) {
	for _, name := range []string{"crit", "enc", "zip"} {
		if _, ok := fields[name]; ok {
			return header{}, refuse(Malformed, "its header has %q, which is not supported", name)
		}
	}
	var h header
	var ok bool
	if h.alg, ok = fields["alg"].(string); !ok {
		return header{}, refuse(Malformed, "its header names no algorithm")
	}
	if kid, present := fields["kid"]; present {
		if h.kid, ok = kid.(string); !ok {
			return header{}, refuse(Malformed, "its key id is not a string")
		}
	}
	return h, nil
}

// open checks a token's signature, and returns its claims.
func (t *Tokens) open(token string) ([]byte, *Refusal) {
	if len(token) > maxToken {
		return nil, refuse(Malformed, "it has %d bytes; at most %d are accepted", len(token), maxToken)
	}
	// The decoder would pass over line ends.
	if strings.ContainsAny(token, "\r\n") {
		return nil, refuse(Malformed, "it is not a signed JSON Web Token")
	}
	var claims payload
	parsed, err := t.parser.ParseWithClaims(token, &claims, func(parsed *jwt.Token) (any, error) {
		h, refusal := headerOf(parsed.Header)
		if refusal != nil {
			return nil, refusal
		}
		fitting := t.fitting(h)
		if len(fitting) == 0 {
			return nil, t.misfit(h)
		}
		var set jwt.VerificationKeySet
		for _, k := range fitting {
			set.Keys = append(set.Keys, k.material)
		}
		return set, nil
	})
	if err == nil {
		return claims.raw, nil
	}
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return nil, refusal
	}
	if errors.Is(err, jwt.ErrTokenMalformed) {
		return nil, refuse(Malformed, "it is not a signed JSON Web Token")
	}
	h, refusal := headerOf(parsed.Header)
	if refusal != nil {
		return nil, refusal
	}
	return nil, t.misfit(h)
}

// published returns the key set's keys, and whether the set has been fetched.
func (t *Tokens) published() ([]key, bool) {
	if t.jwks == nil {
		return nil, false
	}
	keys := t.jwks.keys.Load()
	if keys == nil {
		return nil, false
	}
	return *keys, true
}

// fitting returns the keys that a token may have been signed with: those for its algorithm alone that it names, or that
// have no name.
func (t *Tokens) fitting(h header) []key {
	var fitting []key
	take := func(keys []key) {
		for _, k := range keys {
			if k.alg == h.alg && (h.kid == "" || k.id == "" || k.id == h.kid) {
				fitting = append(fitting, k)
			}
		}
	}
	take(*t.files.keys.Load())
	published, _ := t.published()
	take(published)
	return fitting
}

// misfit says why no key fits a token.
func (t *Tokens) misfit(h header) *Refusal {
	published, fetched := t.published()
	known, usable := false, false
	other := "" // the algorithm of the key that it names
	for _, keys := range [][]key{*t.files.keys.Load(), published} {
		for _, k := range keys {
			usable = usable || k.alg == h.alg
			if k.id == h.kid && h.kid != "" {
				known = known || k.alg == h.alg
				other = k.alg
			}
		}
	}
	publishable := t.jwks != nil && isPublic(h.alg)
	switch {
	case !usable && !publishable:
		return refuse(WrongAlgorithm, "it is signed with %s, and no key is for that", quoted(h.alg))
	case publishable && !fetched:
		return refuse(KeysUnavailable, "the key set could not be fetched yet, and no other key fits (its key id is %s)",
			quoted(h.kid))
	case other != "" && !known:
		return refuse(WrongAlgorithm, "it is signed with %s, and its key %s is for %s",
			quoted(h.alg), quoted(h.kid), other)
	case publishable && h.kid != "" && !known:
		return refuse(UnknownKey, "its key %s is not in the key set, and no other key fits", quoted(h.kid))
	case !usable:
		return refuse(WrongAlgorithm, "it is signed with %s, and no key is for that", quoted(h.alg))
	}
	return refuse(WrongKey, "no key for %s fits its signature (its key id is %s)", h.alg, quoted(h.kid))
}

// isPublic reports whether keys of an algorithm are in a key set.
func isPublic(alg string) bool {
	switch alg {
	case jwt.SigningMethodRS256.Alg(), jwt.SigningMethodES256.Alg(), jwt.SigningMethodEdDSA.Alg():
		return true
	}
	return false
}
