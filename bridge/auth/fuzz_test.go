package auth_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/rotki/notification-bridge/bridge/auth"
)

// FuzzVerify: whatever becomes of a token, it is accepted only if its header and claims are those that were signed.
func FuzzVerify(f *testing.F) {
	tokens, err := auth.NewTokens(context.Background(), auth.TokensConfig{
		SecretFile: file(f, []byte(secret)),
		KeyFiles:   []string{file(f, append(publicPEM(rsaKey()), publicPEM(ecKey())...)), file(f, publicPEM(edKey()))},
	})
	if err != nil {
		f.Fatal(err)
	}
	signed := make(map[string]bool)
	var last []string // the header, the claims and the signature of a sound token
	for _, s := range []*auth.Signer{hmacSigner(), signer(rsaKey()), signer(ecKey()), signer(edKey())} {
		for _, keyID := range []string{"", "k"} {
			c := good()
			c.Types, c.Scopes = []string{"a"}, []auth.Scope{auth.ScopeSubscribe}
			last = strings.Split(sign(f, s, c, keyID), ".")
			signed[last[0]+"."+last[1]] = true
			f.Add(last[0], last[1], last[2])
		}
	}
	for _, c := range slices.Concat(withClaims(), withSignatures()) {
		if parts := strings.SplitN(c.token, ".", 3); len(parts) == 3 && len(c.token) < 1<<10 {
			f.Add(parts[0], last[1], last[2])
			f.Add(last[0], parts[1], last[2])
			f.Add(last[0], last[1], parts[2])
		}
	}
	f.Fuzz(func(t *testing.T, header, claims, signature string) {
		caller, err := tokens.Verify(t.Context(), header+"."+claims+"."+signature, auth.ScopeSubscribe)
		if err == nil && !signed[header+"."+claims] {
			t.Fatalf("accepted as %q", caller.Subject)
		}
		if err != nil && (defectOf(t, err) == "" || caller.Subject != "" || caller.TokenID != "") {
			t.Fatalf("refused with %v, and still %+v", err, caller)
		}
	})
}
