package auth_test

import (
	"testing"

	"github.com/rotki/notification-bridge/bridge/auth"
)

// TestHosts: a name counts as this machine's own only if nobody can make it lead elsewhere, or here.
func TestHosts(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]struct{ loopback, own bool }{
		"":                       {false, true},
		"localhost":              {true, true},
		"LocalHost":              {true, true},
		"rotki.localhost":        {true, true},
		"127.0.0.1":              {true, true},
		"127.9.9.9":              {true, true},
		"192.0.2.7":              {false, true},
		"0.0.0.0":                {false, true},
		"evillocalhost":          {false, false},
		"localhost.evil.example": {false, false},
		"localhost.":             {false, false},
		"127.0.0.1.evil.example": {false, false},
		"2130706433":             {false, false}, // resolvers take it for 127.0.0.1
		"0x7f.1":                 {false, false},
		"bridge.example":         {false, false},
	} {
		if got := auth.IsLoopbackName(host); got != want.loopback {
			t.Errorf("%q is loopback: %v", host, got)
		}
		for _, port := range []string{"", ":5043"} {
			if got := auth.IsOwnName(host + port); got != want.own {
				t.Errorf("%q is this machine's own: %v", host+port, got)
			}
		}
	}
	for host, want := range map[string]struct{ loopback, own bool }{
		"::1": {true, true}, "::ffff:127.0.0.1": {true, true}, "2001:db8::1": {false, true},
	} {
		if auth.IsLoopbackName(host) != want.loopback || auth.IsOwnName("["+host+"]:5043") != want.own {
			t.Errorf("%q is loopback: %v", host, !want.loopback)
		}
	}
}
