package keypair

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// readCertificate reads a certificate and its key.
func (c *Config) readCertificate() (tls.Certificate, error) {
	none := tls.Certificate{}
	chain, err := read(c.CertFlag, c.Cert)
	if err != nil {
		return none, err
	}
	certificates, err := parse(chain)
	if err != nil {
		return none, fmt.Errorf("--%s: %s: %w", c.CertFlag, c.Cert, err)
	}
	key, err := read(c.KeyFlag, c.Key)
	if err != nil {
		return none, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return none, fmt.Errorf("--%s: %s is no key for the certificate of --%s, %s: %w",
			c.KeyFlag, c.Key, c.CertFlag, c.Cert, err)
	}
	pair.Leaf = certificates[0]
	now := time.Now()
	if at := pair.Leaf.NotAfter; now.After(at) {
		return none, fmt.Errorf("--%s: the certificate in %s expired on %s; renew it", c.CertFlag, c.Cert, date(at))
	}
	if at := pair.Leaf.NotBefore; now.Before(at) {
		return none, fmt.Errorf("--%s: the certificate in %s is valid only from %s on; is this machine's clock right?",
			c.CertFlag, c.Cert, date(at))
	}
	return pair, nil
}

// readClientCA reads the authorities, and says how many there are.
func (c *Config) readClientCA() (*x509.CertPool, int, error) {
	data, err := read(c.ClientCAFlag, c.ClientCA)
	if err != nil {
		return nil, 0, err
	}
	certificates, err := parse(data)
	if err != nil {
		return nil, 0, fmt.Errorf("--%s: %s: %w", c.ClientCAFlag, c.ClientCA, err)
	}
	pool := x509.NewCertPool()
	for _, certificate := range certificates {
		pool.AddCert(certificate)
	}
	return pool, len(certificates), nil
}

func read(flag, path string) ([]byte, error) {
	if path == "" {
		return nil, fmt.Errorf("--%s is required for TLS", flag)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	return data, nil
}

// parse returns the certificates in a PEM file, at least one. encoding/pem passes over a block that does not end; here
// that is an error, since the file may be only half there.
func parse(data []byte) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	begun := bytes.Count(data, []byte("-----BEGIN "))
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		begun--
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("is no certificate: %w", err)
		}
		certificates = append(certificates, certificate)
	}
	if begun != 0 {
		return nil, errors.New("a PEM block in it is incomplete")
	}
	if len(certificates) == 0 {
		return nil, errors.New("there is no certificate in it (a PEM block CERTIFICATE)")
	}
	return certificates, nil
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
