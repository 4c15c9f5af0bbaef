package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// minSecret is how many bytes a secret must have at least (RFC 7518 §3.2).
	minSecret = 32
	// minRSA is how many bits an RSA key must have at least (RFC 7518 §3.3).
	minRSA = 2048
	// maxKeyFile is how large a file with keys may be.
	maxKeyFile = 1 << 20
)

// key is one by which tokens are checked, good for one algorithm only.
type key struct {
	id        string // of a JWK Set's; empty for a file's
	algorithm string
	public    any // []byte for HS256, or else *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey
}

// algorithmOf returns the one algorithm that a public key is used with.
func algorithmOf(public any) (string, error) {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if public.N.BitLen() < minRSA {
			return "", fmt.Errorf("an RSA key of %d bits is too short: %d are the least", public.N.BitLen(), minRSA)
		}
		return jwt.SigningMethodRS256.Alg(), nil
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			return "", errors.New("of elliptic curves only P-256 (ES256) is used")
		}
		return jwt.SigningMethodES256.Alg(), nil
	case ed25519.PublicKey:
		return jwt.SigningMethodEdDSA.Alg(), nil
	}
	return "", fmt.Errorf("a key of type %T is no public key for RS256, ES256 or EdDSA", public)
}

// readKeys reads the files of a configuration.
func readKeys(config TokensConfig) ([]key, error) {
	var keys []key
	if config.SecretFile != "" {
		secret, err := readSecret(config.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("--jwt-secret-file: %w", err)
		}
		keys = append(keys, key{algorithm: jwt.SigningMethodHS256.Alg(), public: secret})
	}
	for _, path := range config.KeyFiles {
		text, err := readFile(path)
		if err != nil {
			return nil, fmt.Errorf("--jwt-key-files: %w", err)
		}
		found, err := parsePublicKeys(text)
		if err != nil {
			return nil, fmt.Errorf("--jwt-key-files: %s: %w", path, err)
		}
		keys = append(keys, found...)
	}
	return keys, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxKeyFile {
		return nil, fmt.Errorf("%s has %d bytes; keys take %d at most", path, info.Size(), maxKeyFile)
	}
	return os.ReadFile(path)
}

func readSecret(path string) ([]byte, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	secret := bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if block, _ := pem.Decode(secret); block != nil {
		return nil, fmt.Errorf("%s holds a %s in PEM, and no secret; a public key belongs to --jwt-key-files", path, block.Type)
	}
	if len(secret) < minSecret {
		return nil, fmt.Errorf("%s has %d bytes; a secret must have %d at least, such as `openssl rand -hex 32` makes", path, len(secret), minSecret)
	}
	return secret, nil
}

// parsePublicKeys reads the public keys and certificates in a PEM text.
func parsePublicKeys(text []byte) ([]key, error) {
	var keys []key
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		var public any
		var err error
		switch block.Type {
		case "PUBLIC KEY":
			public, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "RSA PUBLIC KEY":
			public, err = x509.ParsePKCS1PublicKey(block.Bytes)
		case "CERTIFICATE":
			var certificate *x509.Certificate
			if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
				public = certificate.PublicKey
			}
		case "EC PARAMETERS":
			continue // openssl writes them in front of a key
		default:
			return nil, fmt.Errorf("there is a %s; only public keys and certificates belong there", block.Type)
		}
		if err != nil {
			return nil, fmt.Errorf("read a %s: %w", block.Type, err)
		}
		algorithm, err := algorithmOf(public)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key{algorithm: algorithm, public: public})
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no public key in PEM")
	}
	return keys, nil
}

// algorithms returns those for which there is a key, each once.
func algorithms(keys []key) []string {
	var all []string
	for _, k := range keys {
		all = append(all, k.algorithm)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
