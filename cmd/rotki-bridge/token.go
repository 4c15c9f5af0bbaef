package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rotki/notification-bridge/bridge/auth"
	adminv1 "github.com/rotki/notification-bridge/gen/go/rotki/bridge/admin/v1"
)

// tokenCommand is about tokens.
type tokenCommand struct {
	Mint   mintCommand   `cmd:"" help:"Make a token, for tests."`
	Revoke revokeCommand `cmd:"" help:"Have every bridge refuse a token, and end its connections."`
}

// mintCommand makes tokens.
type mintCommand struct {
	KeyFile    string        `required:"" placeholder:"FILE" help:"A private key in PEM (RS256, ES256, EdDSA), or a secret (HS256)."`
	KeyID      string        `name:"key-id" placeholder:"KID" help:"The key's id in a JWK Set."`
	Subject    string        `required:"" placeholder:"SUB" help:"Whose token it is."`
	Scope      []auth.Scope  `placeholder:"SCOPE" help:"What it is good for: publish, subscribe, admin; subscribing only by default."`
	Types      []string      `placeholder:"TYPE" help:"Only these notification types."`
	Recipients []string      `placeholder:"SUB" help:"Publish to these recipients only."`
	Issuer     string        `placeholder:"ISS" help:"The issuer (iss)."`
	Audience   string        `placeholder:"AUD" help:"The audience (aud)."`
	TokenID    string        `name:"token-id" placeholder:"JTI" help:"The id (jti) by which it can be revoked."`
	ExpiresIn  time.Duration `default:"1h" placeholder:"DURATION" help:"How long it is valid (${default})."`
}

// Validate implements kong's hook.
func (c *mintCommand) Validate() error {
	if c.ExpiresIn <= 0 {
		return errors.New("--expires-in must be longer than 0")
	}
	for _, scope := range c.Scope {
		switch scope {
		case auth.ScopePublish, auth.ScopeSubscribe, auth.ScopeAdmin:
		default:
			return fmt.Errorf("--scope: %q is not known; it can be publish, subscribe or admin", scope)
		}
	}
	return nil
}

// Run prints a token.
func (c *mintCommand) Run(streams stdio) error {
	text, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return fmt.Errorf("--key-file: %w", err)
	}
	signer, err := auth.ParseSigner(text)
	if err != nil {
		return fmt.Errorf("--key-file %s: %w", c.KeyFile, err)
	}
	token, err := signer.Sign(auth.Claims{
		Subject: c.Subject, Issuer: c.Issuer, Audience: c.Audience, TokenID: c.TokenID, Scopes: c.Scope,
		Types: c.Types, Recipients: c.Recipients, Expires: time.Now().Add(c.ExpiresIn),
	}, c.KeyID)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(streams.Out, token)
	return err
}

// revokeCommand revokes a token.
type revokeCommand struct {
	operatorFlags
	TokenID   string        `arg:"" optional:"" placeholder:"JTI" help:"The token's id (jti)."`
	ExpiresIn time.Duration `default:"24h" placeholder:"DURATION" help:"How long it may still be valid (${default}). It must not be less than that, or the token would be good again."`
	Token     string        `placeholder:"FILE" help:"A file with the token itself, instead of its id and how long it is valid."`
}

// Validate implements kong's hook.
func (c *revokeCommand) Validate() error {
	switch {
	case (c.TokenID == "") == (c.Token == ""):
		return errors.New("say which token: its id, or --token FILE with the token itself")
	case c.ExpiresIn <= 0:
		return errors.New("--expires-in must be longer than 0")
	}
	return nil
}

// Run revokes the token and prints how many connections that has ended.
func (c *revokeCommand) Run(ctx context.Context, streams stdio) error {
	request := &adminv1.RevokeTokenRequest{TokenId: c.TokenID, ExpiresAt: timestamppb.New(time.Now().Add(c.ExpiresIn))}
	if c.Token != "" {
		var err error
		if request, err = revocationOf(c.Token); err != nil {
			return fmt.Errorf("--token %s: %w", c.Token, err)
		}
	}
	return c.call(ctx, func(ctx context.Context, admin adminv1.AdminServiceClient) error {
		response, err := admin.RevokeToken(ctx, request)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(streams.Out, "revoked until %s; disconnected: %d\n",
			request.GetExpiresAt().AsTime().Format(time.RFC3339), response.GetDisconnected())
		return err
	})
}

// revocationOf asks to revoke the token in a file. Whether it is signed does not matter.
func revocationOf(file string) (*adminv1.RevokeTokenRequest, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	id, expires, err := auth.Unverified(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, err
	}
	if id == "" || expires.IsZero() {
		return nil, errors.New("the token has no jti or no exp, and cannot be revoked; change the key that signs it")
	}
	return &adminv1.RevokeTokenRequest{TokenId: id, ExpiresAt: timestamppb.New(expires)}, nil
}
