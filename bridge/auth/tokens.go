package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// DefaultJWKSRefresh is how far apart fetches of a JWK Set are by default.
	DefaultJWKSRefresh = 5 * time.Minute
	// DefaultLeeway is by how much clocks may differ by default.
	DefaultLeeway = 30 * time.Second

	defaultJWKSRefetch = 10 * time.Second
	// maxToken is how many bytes a token may have.
	maxToken = 16 << 10
	// lookInterval is how often files with keys are looked at.
	lookInterval = time.Second
)

// TokensConfig says how tokens are checked. SecretFile, KeyFiles or JWKSURL must be set; the zero value of everything else
// is its default.
type TokensConfig struct {
	// SecretFile is the path of a file with the secret of HS256, without the line's end; 32 bytes at least.
	SecretFile string
	// KeyFiles are paths of PEM files with public keys or certificates: RSA of 2048 bits at least for RS256, P-256 for
	// ES256, Ed25519 for EdDSA.
	KeyFiles []string
	// JWKSURL is where a JWK Set with such keys is, by https, or on this machine by http.
	JWKSURL string
	// JWKSRefresh is how far apart its fetches are; DefaultJWKSRefresh by default. JWKSRefetch is how far apart those are at
	// the least that the id of an unknown key causes; 10 s by default.
	JWKSRefresh time.Duration
	JWKSRefetch time.Duration
	// Issuer and Audience are what a token must name, where they are set; with JWKSURL both must be.
	Issuer   string
	Audience string
	// Leeway is by how much clocks may differ; DefaultLeeway by default.
	Leeway time.Duration
	// Revoked reports whether the token of an id was revoked; never by default. It must be safe for concurrent use.
	Revoked func(tokenID string) bool
	// Logger is told when keys change, and when they cannot be read; none by default.
	Logger *slog.Logger
	// Registerer gets the metrics; none by default.
	Registerer prometheus.Registerer
}

func (c TokensConfig) withDefaults() TokensConfig {
	if c.JWKSRefresh == 0 {
		c.JWKSRefresh = DefaultJWKSRefresh
	}
	if c.JWKSRefetch == 0 {
		c.JWKSRefetch = defaultJWKSRefetch
	}
	if c.Leeway == 0 {
		c.Leeway = DefaultLeeway
	}
	if c.Revoked == nil {
		c.Revoked = func(string) bool { return false }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	return c
}

// Tokens checks JSON Web Tokens (RFC 7519).
type Tokens struct {
	config TokensConfig
	files  atomic.Pointer[[]key]
	set    *keySet // nil for none
	parser *jwt.Parser
}

// NewTokens reads the keys. The error says which file or setting is wrong, in terms of the bridge's flags. A JWK Set that
// cannot be fetched is none: it is tried again by Run.
func NewTokens(ctx context.Context, config TokensConfig) (*Tokens, error) {
	config = config.withDefaults()
	if config.SecretFile == "" && len(config.KeyFiles) == 0 && config.JWKSURL == "" {
		return nil, errors.New("there is nothing to check tokens by: neither a secret, nor public keys, nor a JWK Set")
	}
	t := &Tokens{config: config}
	keys, err := readKeys(config)
	if err != nil {
		return nil, err
	}
	t.files.Store(&keys)
	if config.JWKSURL != "" {
		if t.set, err = newKeySet(config); err != nil {
			return nil, err
		}
		t.set.fetch(ctx)
	}
	options := []jwt.ParserOption{
		jwt.WithExpirationRequired(), jwt.WithLeeway(config.Leeway), jwt.WithStrictDecoding(),
	}
	if config.Issuer != "" {
		options = append(options, jwt.WithIssuer(config.Issuer))
	}
	if config.Audience != "" {
		options = append(options, jwt.WithAudience(config.Audience))
	}
	t.parser = jwt.NewParser(options...)
	return t, nil
}

// Run reads files again that have changed, and fetches the JWK Set again and again, until ctx is done.
func (t *Tokens) Run(ctx context.Context) error {
	var fetching sync.WaitGroup
	defer fetching.Wait()
	if t.set != nil {
		fetching.Go(func() { t.set.run(ctx) })
	}
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	seen := t.look()
	for {
		select {
		case <-ticker.C:
			if now := t.look(); now != seen {
				seen = now
				t.reread()
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// look returns what changes when a file does.
func (t *Tokens) look() string {
	var all strings.Builder
	for _, path := range append([]string{t.config.SecretFile}, t.config.KeyFiles...) {
		if info, err := os.Stat(path); err == nil {
			fmt.Fprintf(&all, "%d %d\n", info.ModTime().UnixNano(), info.Size())
		}
	}
	return all.String()
}

func (t *Tokens) reread() {
	keys, err := readKeys(t.config)
	if err != nil {
		t.config.Logger.Warn("keys have changed and cannot be read; those that were known stay", "err", err)
		return
	}
	t.files.Store(&keys)
	t.config.Logger.Info("keys read again", "keys", len(keys))
}

// claims are what a token says that the bridge looks at.
type claims struct {
	jwt.RegisteredClaims
	Scope      *string   `json:"scope"`
	Types      *[]string `json:"types"`
	Recipients *[]string `json:"recipients"`
}

// Verify returns who a token is of, if it is good for the scope. The error is a *Refusal. What a token claims is looked at
// once its signature is known to be right. It may take 2 s, when the key has to be fetched.
func (t *Tokens) Verify(ctx context.Context, token string, scope Scope) (Caller, error) {
	if len(token) > maxToken {
		return Caller{}, &Refusal{Malformed, fmt.Sprintf("the token has %d bytes, %d are the most", len(token), maxToken)}
	}
	// What the library says of the claims is looked into once the signature is right.
	c := new(claims)
	_, err := t.parser.ParseWithClaims(token, c, func(token *jwt.Token) (any, error) { return t.keysFor(ctx, token) })
	if err != nil {
		return Caller{}, t.refusal(err, c)
	}
	switch {
	case !grants(c.Scope, scope):
		return Caller{}, &Refusal{WrongScope, fmt.Sprintf("the scope %q is not among the token's", scope)}
	case c.ID != "" && t.config.Revoked(c.ID):
		return Caller{}, &Refusal{Revoked, "the token was revoked"}
	case c.Subject == "":
		return Caller{}, &Refusal{Unnamed, "the token has no sub"}
	}
	return Caller{
		Subject:    c.Subject,
		TokenID:    c.ID,
		Expires:    c.ExpiresAt.Add(t.config.Leeway),
		Types:      sorted(c.Types),
		Recipients: sorted(c.Recipients),
	}, nil
}

// grants reports whether a scope is among a token's.
func grants(scopes *string, scope Scope) bool {
	if scopes == nil {
		return scope == ScopeSubscribe
	}
	return slices.Contains(strings.Fields(*scopes), string(scope))
}

func sorted(list *[]string) []string {
	if list == nil {
		return nil
	}
	own := append([]string{}, *list...)
	slices.Sort(own)
	return slices.Compact(own)
}

// keysFor returns the keys by one of which a token must be signed.
func (t *Tokens) keysFor(ctx context.Context, token *jwt.Token) (any, error) {
	algorithm := token.Method.Alg()
	if _, critical := token.Header["crit"]; critical {
		return nil, &Refusal{Malformed, "the token has a crit header, of which the bridge knows no extension (RFC 7515 §4.1.11)"}
	}
	id, ok := token.Header["kid"].(string)
	if given := token.Header["kid"]; given != nil && !ok {
		return nil, &Refusal{Malformed, "the token's kid is no string"}
	}
	keys := t.candidates(algorithm, id)
	if len(keys) == 0 && t.set != nil && algorithm != jwt.SigningMethodHS256.Alg() && t.set.awaitFetch(ctx) {
		keys = t.candidates(algorithm, id)
	}
	if len(keys) > 0 {
		return jwt.VerificationKeySet{Keys: keys}, nil
	}
	all := algorithms(slices.Concat(*t.files.Load(), t.set.known()))
	switch {
	case t.set != nil && t.set.known() == nil && algorithm != jwt.SigningMethodHS256.Alg():
		return nil, &Refusal{KeysUnavailable, "the JWK Set was not fetched yet, and no other key is for " + algorithm}
	case !slices.Contains(all, algorithm):
		return nil, &Refusal{WrongAlgorithm, fmt.Sprintf("the token is signed with %.16q; there are keys for %s", algorithm, strings.Join(all, ", "))}
	}
	return nil, &Refusal{UnknownKey, fmt.Sprintf("the token is signed with the key %.64q, which is not known for %s", id, algorithm)}
}

// candidates returns the keys that are for an algorithm: those of the JWK Set that have the id, if there is one, and those
// of files.
func (t *Tokens) candidates(algorithm, id string) []jwt.VerificationKey {
	var keys []jwt.VerificationKey
	for _, k := range *t.files.Load() {
		if k.algorithm == algorithm {
			keys = append(keys, k.public)
		}
	}
	for _, k := range t.set.known() {
		if k.algorithm == algorithm && (id == "" || k.id == id) {
			keys = append(keys, k.public)
		}
	}
	return keys
}

// refusal says what the library found wrong. It checks signatures before claims.
func (t *Tokens) refusal(err error, c *claims) *Refusal {
	refused := (*Refusal)(nil)
	syntax, typed := (*json.SyntaxError)(nil), (*json.UnmarshalTypeError)(nil)
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &syntax) || errors.As(err, &typed) || errors.Is(err, jwt.ErrTokenMalformed):
		return &Refusal{Malformed, "this is no token, or a claim is of the wrong type"}
	case errors.Is(err, jwt.ErrTokenUnverifiable):
		return &Refusal{WrongAlgorithm, "the token's algorithm is not known"}
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return &Refusal{WrongKey, "the token's signature fits no key"}
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing) && c.ExpiresAt == nil:
		return &Refusal{Malformed, "the token has no exp"}
	case errors.Is(err, jwt.ErrTokenExpired):
		return &Refusal{Expired, fmt.Sprintf("the token expired at %v", c.ExpiresAt)}
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return &Refusal{NotYetValid, fmt.Sprintf("the token is valid from %v on", c.NotBefore)}
	case errors.Is(err, jwt.ErrTokenInvalidIssuer) || t.config.Issuer != "" && c.Issuer == "":
		return &Refusal{WrongIssuer, fmt.Sprintf("the token's iss is %.64q, it must be %q", c.Issuer, t.config.Issuer)}
	case errors.Is(err, jwt.ErrTokenInvalidAudience) || t.config.Audience != "" && len(c.Audience) == 0:
		return &Refusal{WrongAudience, fmt.Sprintf("the token's aud is %.64q, it must be %q", c.Audience, t.config.Audience)}
	}
	return &Refusal{Malformed, "the token's claims are not valid"}
}
