package ingest

import (
	"context"
	"math"
	"time"

	"github.com/rotki/notification-bridge/bridge/auth"
)

// allowed returns why no more requests may be taken from a stream, if so. The gate must be held.
func (p *publishing) allowed(ctx context.Context) error {
	if p.shut != nil {
		return p.shut
	}
	if p.caller.Expires.IsZero() && p.caller.TokenID == "" && p.server.rates == nil {
		return nil
	}
	now := time.Now()
	if !p.caller.Expires.IsZero() && !now.Before(p.caller.Expires) {
		return p.end(auth.Expired)
	}
	if p.isRevoked() {
		return p.end(auth.Revoked)
	}
	if p.caller.TokenID != "" && (p.server.held.Load() || p.server.config.Lapsed()) {
		return errHeld
	}
	if p.server.rates == nil {
		return nil
	}
	if ok, next := p.server.rates.Allow(p.account, now); !ok {
		return p.server.turnAway(ctx, rateBound, "too many requests in too short a time; send what was not answered again, later",
			p.server.config.pauseFor(next))
	}
	return nil
}

func (p *publishing) isRevoked() bool {
	return p.caller.TokenID != "" && p.server.config.Revoked(p.caller.TokenID)
}

// recheck shuts the gate if the stream's token is revoked. It waits for a request that is on its way to the sink.
func (p *publishing) recheck() {
	if p.isRevoked() {
		p.gate.Lock()
		defer p.gate.Unlock()
		_ = p.end(auth.Revoked)
	}
}

// expiry fires when the credential expires, or never.
func (p *publishing) expiry() *time.Timer {
	if p.caller.Expires.IsZero() {
		return time.NewTimer(math.MaxInt64)
	}
	return time.NewTimer(time.Until(p.caller.Expires))
}

// expire shuts the gate.
func (p *publishing) expire() {
	p.gate.Lock()
	defer p.gate.Unlock()
	_ = p.end(auth.Expired)
}

// end shuts the gate, which must be held, because the credential is no longer good. It returns why it is shut.
func (p *publishing) end(defect auth.Defect) error {
	if p.shut == nil {
		refusal := &auth.Refusal{Defect: defect, Detail: "while its publish stream was open"}
		p.shut = p.server.refuse(p.stream.Context(), refusal)
		close(p.ended)
	}
	return p.shut
}
