// Package testcert makes certificate authorities and certificates for tests, with ECDSA keys on P-256.
package testcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	// authorityAge lets an authority be older than any certificate that a test wants to be expired.
	authorityAge = 10 * 365 * 24 * time.Hour
	// validity is how long a certificate is valid, before and after now, unless its Options say otherwise.
	validity = 24 * time.Hour
)

// CA is a certificate authority. It is safe for concurrent use.
type CA struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewCA returns an authority of that name, valid for ten years before and after now. Two authorities of one name have
// different keys: neither vouches for what the other has signed.
func NewCA(t testing.TB, name string) *CA {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber:          serial(t),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-authorityAge),
		NotAfter:              time.Now().Add(authorityAge),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	return &CA{certificate: sign(t, template, template, key, key), key: key}
}

// Options describe a certificate. The zero value is a server's for loopback, valid now.
type Options struct {
	// Names are its subject alternative names: IP addresses, URIs (whatever has "://"), and DNS names. The first is
	// its common name too. Empty means 127.0.0.1, ::1 and localhost.
	Names []string
	// Client makes it good for a client, and for nothing else; otherwise it is a server's.
	Client bool
	// NotBefore and NotAfter bound its validity; zero means a day before and after now.
	NotBefore, NotAfter time.Time
}

// Leaf returns a certificate that the authority has signed and its key (PKCS #8), both as PEM.
func (ca *CA) Leaf(t testing.TB, o Options) (certPEM, keyPEM []byte) {
	t.Helper()
	if len(o.Names) == 0 {
		o.Names = []string{"127.0.0.1", "::1", "localhost"}
	}
	if o.NotBefore.IsZero() {
		o.NotBefore = time.Now().Add(-validity)
	}
	if o.NotAfter.IsZero() {
		o.NotAfter = time.Now().Add(validity)
	}
	usage := x509.ExtKeyUsageServerAuth
	if o.Client {
		usage = x509.ExtKeyUsageClientAuth
	}
	template := &x509.Certificate{
		SerialNumber: serial(t),
		Subject:      pkix.Name{CommonName: o.Names[0]},
		NotBefore:    o.NotBefore,
		NotAfter:     o.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{usage},
	}
	for _, name := range o.Names {
		addName(t, template, name)
	}
	key := newKey(t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encode(sign(t, template, ca.certificate, key, ca.key)),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// Certificate returns what Leaf does, ready for a tls.Config.
func (ca *CA) Certificate(t testing.TB, o Options) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(ca.Leaf(t, o))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// PEM returns the authority's own certificate.
func (ca *CA) PEM() []byte { return encode(ca.certificate) }

// Pool returns a pool that trusts the authority, and nothing else.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.certificate)
	return pool
}

func addName(t testing.TB, template *x509.Certificate, name string) {
	t.Helper()
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = append(template.IPAddresses, ip)
		return
	}
	if !strings.Contains(name, "://") {
		template.DNSNames = append(template.DNSNames, name)
		return
	}
	uri, err := url.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	template.URIs = append(template.URIs, uri)
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func serial(t testing.TB) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func sign(t testing.TB, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func encode(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
}
