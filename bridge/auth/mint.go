package auth

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims are what a token is to say. What is zero is left out.
type Claims struct {
	Subject  string
	Issuer   string
	Audience string
	TokenID  string
	Scopes   []Scope
	// Types and Recipients limit the token; nil for no limit, and empty for none.
	Types, Recipients []string
	NotBefore         time.Time
	// Expires is required by those that check the token.
	Expires time.Time
}

// Signer signs tokens. It is safe for concurrent use.
type Signer struct {
	method jwt.SigningMethod
	key    crypto.PrivateKey // a []byte for HS256
}

// ParseSigner reads a key to sign with: the first private key of a PEM text (PKCS #8, PKCS #1, SEC 1) or, if it is
// none, a secret. The key decides on the algorithm, and has to be one that Tokens accepts.
func ParseSigner(content []byte) (*Signer, error) {
	if !isPEM(content) {
		secret, err := newSecret(content)
		if err != nil {
			return nil, fmt.Errorf("the key is %w", err)
		}
		return &Signer{jwt.SigningMethodHS256, secret.material}, nil
	}
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		private, err := privateOf(block)
		if err != nil {
			return nil, err
		}
		if private == nil {
			continue
		}
		signer, ok := private.(crypto.Signer)
		if !ok {
			return nil, errors.New("the key is one that nothing can be signed with")
		}
		method, err := methodOf(signer.Public())
		if err != nil {
			return nil, fmt.Errorf("the key is %w", err)
		}
		return &Signer{method, private}, nil
	}
	return nil, errors.New("the PEM text holds no private key")
}

// privateOf returns the private key in a block, and nil for a block without one.
func privateOf(block *pem.Block) (crypto.PrivateKey, error) {
	var private crypto.PrivateKey
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("the private key is encrypted; give it in the clear")
	default:
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the private key cannot be read: %w", err)
	}
	return private, nil
}

// Algorithm returns what tokens are signed with: HS256, RS256, ES256 or EdDSA.
func (s *Signer) Algorithm() string { return s.method.Alg() }

// Sign returns a token. The key's id tells those that check it which key to take; empty leaves it out.
func (s *Signer) Sign(c Claims, keyID string) (string, error) {
	token := jwt.NewWithClaims(s.method, c.claims())
	if keyID != "" {
		token.Header["kid"] = keyID
	}
	signed, err := token.SignedString(s.key)
	if err != nil {
		return "", fmt.Errorf("a token cannot be signed: %w", err)
	}
	return signed, nil
}

func (c Claims) claims() jwt.MapClaims {
	claims := jwt.MapClaims{}
	for name, value := range map[string]string{"sub": c.Subject, "iss": c.Issuer, "aud": c.Audience, "jti": c.TokenID} {
		if value != "" {
			claims[name] = value
		}
	}
	for name, at := range map[string]time.Time{"nbf": c.NotBefore, "exp": c.Expires} {
		if !at.IsZero() {
			claims[name] = at.Unix()
		}
	}
	for name, values := range map[string][]string{"types": c.Types, "recipients": c.Recipients} {
		if values != nil {
			claims[name] = values
		}
	}
	if c.Scopes != nil {
		scopes := make([]string, len(c.Scopes))
		for i, scope := range c.Scopes {
			scopes[i] = string(scope)
		}
		claims["scope"] = strings.Join(scopes, " ")
	}
	return claims
}
