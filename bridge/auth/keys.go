package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// The sizes that are accepted: of a secret in bytes (RFC 7518 §3.2: no shorter than the hash), of an RSA modulus in
// bits (RFC 7518 §3.3; beyond the most, checking a signature would take too long).
const (
	minSecret  = 32
	minRSABits = 2048
	maxRSABits = 8192
)

// key is one that tokens may be signed with.
type key struct {
	id  string // empty for one that a token cannot name
	alg string // the only algorithm that it is for
	// material is an *rsa.PublicKey, an *ecdsa.PublicKey, an ed25519.PublicKey or, for HS256 alone, a []byte.
	material crypto.PublicKey
}

// newKey returns a public key for the one algorithm of its kind.
func newKey(id string, public crypto.PublicKey) (key, error) {
	method, err := methodOf(public)
	if err != nil {
		return key{}, err
	}
	return key{id: id, alg: method.Alg(), material: public}, nil
}

// methodOf returns how tokens are signed whose public key this is.
func methodOf(public crypto.PublicKey) (jwt.SigningMethod, error) {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return nil, fmt.Errorf("an RSA key of %d bits; %d to %d are accepted", bits, minRSABits, maxRSABits)
		}
		return jwt.SigningMethodRS256, nil
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			return nil, fmt.Errorf("an EC key on the curve %s; only P-256 is accepted", public.Curve.Params().Name)
		}
		return jwt.SigningMethodES256, nil
	case ed25519.PublicKey:
		return jwt.SigningMethodEdDSA, nil
	}
	return nil, errors.New("a key that is neither RSA nor EC nor Ed25519")
}

// newSecret returns the key of what a secret's file holds.
func newSecret(content []byte) (key, error) {
	if isPEM(content) {
		return key{}, errors.New("a PEM block, and no secret: whoever knows a public key could sign with it")
	}
	secret := trimNewline(content)
	if len(secret) < minSecret {
		return key{}, fmt.Errorf("a secret of %d bytes; it needs at least %d", len(secret), minSecret)
	}
	return key{alg: jwt.SigningMethodHS256.Alg(), material: secret}, nil
}

func isPEM(content []byte) bool { return bytes.Contains(content, []byte("-----BEGIN ")) }

func trimNewline(content []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(content, []byte("\n")), []byte("\r"))
}

// parsePublic returns the keys of a PEM file.
func parsePublic(content []byte) ([]key, error) {
	var keys []key
	for {
		block, rest := pem.Decode(content)
		if block == nil {
			break
		}
		content = rest
		public, err := publicOf(block)
		if err != nil {
			return nil, err
		}
		k, err := newKey("", public)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if isPEM(content) {
		return nil, errors.New("a PEM block that is damaged")
	}
	if keys == nil {
		return nil, errors.New("no PEM block")
	}
	return keys, nil
}

// publicOf returns the public key in a block. A certificate stands for its key alone: when it expires is not looked at.
func publicOf(block *pem.Block) (crypto.PublicKey, error) {
	switch block.Type {
	case "PUBLIC KEY":
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("a public key that cannot be read: %w", err)
		}
		return public, nil
	case "RSA PUBLIC KEY":
		public, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("an RSA public key that cannot be read: %w", err)
		}
		return public, nil
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("a certificate that cannot be read: %w", err)
		}
		return certificate.PublicKey, nil
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("a private key; the bridge checks tokens, and needs the public key alone")
	}
	return nil, fmt.Errorf("a PEM block of the type %s; PUBLIC KEY and CERTIFICATE are accepted", quoted(block.Type))
}
