package auth_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rotki/notification-bridge/bridge/auth"
)

// FuzzVerify: whatever becomes of a token, it is accepted only if its header and claims are those that were signed.
// An input says what to change in which sound token, since every process of the fuzzer has keys and times of its own.
func FuzzVerify(f *testing.F) {
	tokens, err := auth.NewTokens(context.Background(), auth.TokensConfig{
		SecretFile: file(f, []byte(secret)),
		KeyFiles:   []string{file(f, append(publicPEM(rsaKey()), publicPEM(ecKey())...)), file(f, publicPEM(edKey()))},
	})
	if err != nil {
		f.Fatal(err)
	}
	var sound []string
	for _, s := range []*auth.Signer{hmacSigner(), signer(rsaKey()), signer(ecKey()), signer(edKey())} {
		for _, keyID := range []string{"", "k"} {
			c := good()
			c.Expires = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
			c.Types, c.Scopes = []string{"a"}, []auth.Scope{auth.ScopeSubscribe}
			sound = append(sound, sign(f, s, c, keyID))
			f.Add(uint8(len(sound)-1), uint16(0), uint16(0), "")
		}
	}
	last := len(sound) - 1
	own := strings.Split(sound[last], ".")
	for _, c := range slices.Concat(withClaims(), withSignatures()) {
		parts := strings.Split(c.token, ".")
		if len(parts) != len(own) || len(c.token) >= 1<<10 {
			continue
		}
		at := 0
		for i, part := range parts {
			f.Add(uint8(last), uint16(at), uint16(len(own[i])), part)
			at += len(own[i]) + len(".")
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, at, cut uint16, insert string) {
		original := sound[int(which)%len(sound)]
		start := min(int(at), len(original))
		end := min(start+int(cut), len(original))
		token := original[:start] + insert + original[end:]
		caller, err := tokens.Verify(t.Context(), token, auth.ScopeSubscribe)
		if token == original && err != nil {
			t.Fatalf("a sound token is refused: %v", err)
		}
		if err == nil && signedText(token) != signedText(original) {
			t.Fatalf("accepted as %q", caller.Subject)
		}
		if err != nil && (defectOf(t, err) == "" || caller.Subject != "" || caller.TokenID != "") {
			t.Fatalf("refused with %v, and still %+v", err, caller)
		}
	})
}

// signedText returns the header and the claims of a token, as they are in it.
func signedText(token string) string { return token[:strings.LastIndexByte(token, '.')] }
