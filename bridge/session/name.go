package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// Name is what a browser's cookie holds. It is random, so that nobody can guess another's.
type Name [16]byte

// NewName returns a name that no browser has.
func NewName() Name {
	var n Name
	_, _ = rand.Read(n[:]) // never fails (crypto/rand's documentation, since Go 1.24)
	return n
}

// String returns the name as a cookie's value: 22 characters of base64url.
func (n Name) String() string { return base64.RawURLEncoding.EncodeToString(n[:]) }

// ParseName reads what String returns, and nothing else.
func ParseName(text string) (n Name, ok bool) {
	if len(text) != base64.RawURLEncoding.EncodedLen(len(n)) {
		return Name{}, false
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(n[:], []byte(text)); err != nil {
		return Name{}, false
	}
	return n, n.String() == text
}

// KinOf returns by what a client is known to which no cookie comes back; 0 when the origin or the user agent is empty.
func KinOf(origin, userAgent string) uint64 {
	if origin == "" || userAgent == "" {
		return 0
	}
	return digest(origin, userAgent)
}

// digest returns 8 bytes that tell lists of texts apart, and are never all zero.
func digest(texts ...string) uint64 {
	h := sha256.New()
	var length [8]byte
	for _, text := range texts {
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		h.Write(length[:])
		h.Write([]byte(text))
	}
	return max(1, binary.BigEndian.Uint64(h.Sum(nil)))
}
