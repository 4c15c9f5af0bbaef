package auth_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"time"
)

// authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         tls.Certificate
}

func newAuthority() *authority {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	key := newEC()
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return &authority{must(x509.ParseCertificate(der)), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// names are what a certificate says whose it is.
type names struct {
	common string
	dns    []string
	uri    string
	email  string
	ip     string
}

// issue issues a certificate, for both ends of a connection.
func (a *authority) issue(n names, expires time.Time) tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: n.common}, DNSNames: n.dns,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: expires,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if n.uri != "" {
		template.URIs = []*url.URL{must(url.Parse(n.uri))}
	}
	if n.email != "" {
		template.EmailAddresses = []string{n.email}
	}
	if n.ip != "" {
		template.IPAddresses = []net.IP{net.ParseIP(n.ip)}
	}
	key := newEC()
	der := must(x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key.PrivateKey))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: must(x509.ParseCertificate(der))}
}
