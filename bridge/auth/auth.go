// Package auth finds out who is calling, and says no.
//
// A caller proves who it is with a token (Tokens), with a client certificate, or through a proxy that the operator trusts
// (Proxies). Subscribers asks HTTP requests for that, Calls asks gRPC calls. What is refused is a Refusal, of one of a
// closed set of Defects: its full text is for the operator, and what the caller is told gives nothing away.
//
// # Concurrency
//
// Everything here is safe for concurrent use.
package auth

import (
	"context"
	"time"
)

// Scope is what a token is good for. A token names its scopes in the claim "scope", separated by spaces (RFC 8693 §4.2).
// One without that claim may subscribe, and nothing else.
type Scope string

// Every scope.
const (
	ScopeSubscribe Scope = "subscribe"
	ScopePublish   Scope = "publish"
	ScopeAdmin     Scope = "admin"
)

// Caller is who is at the other end, as far as that is proved. The zero value is somebody anonymous.
type Caller struct {
	// Subject is the recipient id of a subscriber, and names a publisher; empty for somebody anonymous.
	Subject string
	// TokenID is the "jti" by which the token can be revoked; empty for none.
	TokenID string
	// Expires is when the credential ceases to be valid; zero for never.
	Expires time.Time
	// Types are the notification types that the caller may see or publish, sorted; nil for all, and empty for none.
	Types []string
	// Recipients are those that a publisher may name, sorted, and it must name some; nil for anybody, and empty for none.
	Recipients []string
}

type callerKey struct{}

// NewContext returns a context that says who is calling.
func NewContext(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// FromContext returns who is calling: somebody anonymous unless NewContext has said otherwise.
func FromContext(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
