package auth

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// DefaultJWKSRefresh is how often a key set is fetched by default.
	DefaultJWKSRefresh = 5 * time.Minute
	// DefaultLeeway is by how much clocks may differ by default.
	DefaultLeeway = 30 * time.Second

	// maxToken is how long a token may be, in bytes.
	maxToken = 16 << 10
)

// TokensConfig says which tokens are accepted. At least one of SecretFile, KeyFiles and JWKSURL is required.
type TokensConfig struct {
	// SecretFile holds the secret of HS256: its content, without one newline at the end, and at least 32 bytes.
	SecretFile string
	// KeyFiles are PEM files with one or more public keys or certificates each: RSA of 2,048 to 8,192 bits for RS256,
	// EC on P-256 for ES256, Ed25519 for EdDSA. A key in a file has no id: it is tried whichever id a token names.
	KeyFiles []string
	// JWKSURL is where an identity provider publishes its keys: https, or http on this host. Issuer and Audience are
	// then required.
	JWKSURL string
	// JWKSRefresh is how often the key set is fetched; DefaultJWKSRefresh by default. After a fetch that failed, JWKSRefetch
	// holds.
	JWKSRefresh time.Duration
	// JWKSRefetch is the least time between two fetches because of a key that is not known; 0 means ten seconds.
	JWKSRefetch time.Duration
	// Issuer is the "iss" and Audience one "aud" that a token must have; empty for any.
	Issuer, Audience string
	// Leeway is by how much the clocks of bridge and issuer may differ; DefaultLeeway by default.
	Leeway time.Duration
	// Revoked reports whether the token with this "jti" was revoked; nil for never. It must be safe for concurrent use.
	Revoked func(tokenID string) bool
	// Logger is for the operator; nil discards.
	Logger *slog.Logger
	// Registerer takes the metric bridge_jwks_fetches_total; nil keeps it from view.
	Registerer prometheus.Registerer
}

// Tokens checks signed JSON Web Tokens (RFC 7519).
type Tokens struct {
	config    TokensConfig
	parser    *jwt.Parser
	validator *jwt.Validator
	files     *keyFiles
	jwks      *jwks // nil for none
}

// NewTokens reads the files and fetches the key set once, for ten seconds at the most. The error says which flag is
// wrong; a key set that cannot be fetched is none, but a warning.
func NewTokens(ctx context.Context, config TokensConfig) (*Tokens, error) {
	config.JWKSRefresh = cmp.Or(config.JWKSRefresh, DefaultJWKSRefresh)
	config.JWKSRefetch = cmp.Or(config.JWKSRefetch, 10*time.Second)
	config.Leeway = cmp.Or(config.Leeway, DefaultLeeway)
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Registerer == nil {
		config.Registerer = prometheus.NewRegistry()
	}
	if config.SecretFile == "" && len(config.KeyFiles) == 0 && config.JWKSURL == "" {
		return nil, errors.New("tokens need keys: give --jwt-secret-file, --jwt-key-files or --jwt-jwks-url")
	}
	if config.JWKSURL != "" && (config.Issuer == "" || config.Audience == "") {
		return nil, errors.New("--jwt-jwks-url needs --jwt-issuer and --jwt-audience: " +
			"an identity provider signs tokens that are for others, too")
	}
	t := &Tokens{config: config, parser: jwt.NewParser(jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding())}
	checks := []jwt.ParserOption{jwt.WithExpirationRequired(), jwt.WithLeeway(config.Leeway)}
	if config.Issuer != "" {
		checks = append(checks, jwt.WithIssuer(config.Issuer))
	}
	if config.Audience != "" {
		checks = append(checks, jwt.WithAudience(config.Audience))
	}
	t.validator = jwt.NewValidator(checks...)
	var err error
	if t.files, err = newKeyFiles(config.SecretFile, config.KeyFiles, config.Logger); err != nil {
		return nil, err
	}
	if config.JWKSURL != "" {
		if t.jwks, err = newJWKS(config); err != nil {
			return nil, err
		}
		t.jwks.fetch(ctx, fetchTimeout, false)
	}
	return t, nil
}

// Run keeps the keys as they are in their files and at the identity provider, until ctx is done. It returns nil.
func (t *Tokens) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() { t.files.watch(ctx) })
	if t.jwks != nil {
		running.Go(func() { t.jwks.run(ctx) })
	}
	running.Wait()
	return nil
}

// Verify returns whose token it is, if it is good for what is asked. The error is a *Refusal. Verify may wait for keys
// to be fetched, for two seconds at the most.
//
// The caller's credential expires at the token's "exp" and the leeway: until then the same token would be accepted
// again.
func (t *Tokens) Verify(ctx context.Context, token string, scope Scope) (Caller, error) {
	caller, refusal := t.verify(ctx, token, scope)
	if refusal != nil {
		return Caller{}, refusal
	}
	return caller, nil
}

func (t *Tokens) verify(ctx context.Context, token string, scope Scope) (Caller, *Refusal) {
	raw, refusal := t.open(token)
	if t.jwks != nil && refusal != nil && (refusal.Defect == UnknownKey || refusal.Defect == KeysUnavailable) {
		t.jwks.demand(ctx)
		raw, refusal = t.open(token)
	}
	if refusal != nil {
		return Caller{}, refusal
	}
	return t.admit(raw, scope)
}
