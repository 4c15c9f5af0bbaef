package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/rotki/notification-bridge/bridge/auth"
)

// TestParseSigner: every usual form of a private key signs, and what signs nothing is refused with a sentence.
func TestParseSigner(t *testing.T) {
	encode := func(kind string, der []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec := newEC(t)
	sec1, err := x509.MarshalECPrivateKey(ec.private.(*ecdsa.PrivateKey))
	for name, tc := range map[string]struct{ text, want string }{
		"SEC 1":             {encode("EC PRIVATE KEY", sec1, err), ""},
		"SEC 1, parameters": {encode("EC PARAMETERS", []byte{6, 0}, nil) + encode("EC PRIVATE KEY", sec1, err), ""},
		"secret":            {secret + "\r\n", ""},
		"short":             {secret[1:] + "\n", "needs at least 32"},
		"public key":        {string(ec.public), "holds no private key"},
		"broken":            {encode("PRIVATE KEY", []byte{1}, nil), "cannot be read"},
		"P-384":             {encode("PRIVATE KEY", pkcs8(t, p384), nil), "P-256"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := auth.ParseSigner([]byte(tc.text))
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want something with %q", err, tc.want)
			}
		})
	}
}

func pkcs8(t testing.TB, private any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
