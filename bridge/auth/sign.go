package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims are what a token is to say. Zero fields are left out, but for Types and Recipients, of which empty ones mean none.
type Claims struct {
	Subject    string
	Issuer     string
	Audience   string
	TokenID    string
	Scopes     []Scope
	Types      []string
	Recipients []string
	NotBefore  time.Time
	Expires    time.Time
}

// Signer makes tokens, for tests and for operators who try things out.
type Signer struct {
	method jwt.SigningMethod
	key    any
}

// ParseSigner returns a signer for a private key in PEM (RS256, ES256, EdDSA), or else for a secret of 32 bytes at least
// (HS256), of which the line's end is no part.
func ParseSigner(text []byte) (*Signer, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "EC PARAMETERS" {
			continue
		}
		return privateSigner(block)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if len(secret) < minSecret {
		return nil, fmt.Errorf("this is neither a private key in PEM nor a secret of %d bytes at least", minSecret)
	}
	return &Signer{jwt.SigningMethodHS256, []byte(secret)}, nil
}

func privateSigner(block *pem.Block) (*Signer, error) {
	var private any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("a %s signs nothing; a private key does", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("read a %s: %w", block.Type, err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, errors.New("this private key cannot sign")
	}
	if _, err := algorithmOf(signer.Public()); err != nil {
		return nil, err
	}
	switch private.(type) {
	case *rsa.PrivateKey:
		return &Signer{jwt.SigningMethodRS256, private}, nil
	case *ecdsa.PrivateKey:
		return &Signer{jwt.SigningMethodES256, private}, nil
	case ed25519.PrivateKey:
		return &Signer{jwt.SigningMethodEdDSA, private}, nil
	}
	return nil, errors.New("this private key is for none of RS256, ES256 and EdDSA")
}

// Sign returns a token. The id of the key is left out when it is empty.
func (s *Signer) Sign(c Claims, keyID string) (string, error) {
	all := jwt.MapClaims{}
	for name, value := range map[string]string{"sub": c.Subject, "iss": c.Issuer, "aud": c.Audience, "jti": c.TokenID} {
		if value != "" {
			all[name] = value
		}
	}
	if len(c.Scopes) > 0 {
		names := make([]string, len(c.Scopes))
		for i, scope := range c.Scopes {
			names[i] = string(scope)
		}
		all["scope"] = strings.Join(names, " ")
	}
	for name, list := range map[string][]string{"types": c.Types, "recipients": c.Recipients} {
		if list != nil {
			all[name] = list
		}
	}
	for name, at := range map[string]time.Time{"nbf": c.NotBefore, "exp": c.Expires} {
		if !at.IsZero() {
			all[name] = jwt.NewNumericDate(at)
		}
	}
	token := jwt.NewWithClaims(s.method, all)
	if keyID != "" {
		token.Header["kid"] = keyID
	}
	signed, err := token.SignedString(s.key)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return signed, nil
}
