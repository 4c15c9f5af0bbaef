package delivery

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/auth"
)

func (e *Engine) refuseUnavailable(w http.ResponseWriter, err error) {
	e.unread.Log(context.Background(), slog.String("err", err.Error()))
	w.Header().Set("Retry-After", "2")
	e.refuseHandshake(w, handshakeFailed, http.StatusServiceUnavailable, "what you missed cannot be read now; connect again in a moment")
}

// refuseForNow refuses a client that may come back: the error is errGoingAway, errHeld or a *limitError.
func (e *Engine) refuseForNow(w http.ResponseWriter, r *http.Request, err error) {
	result, wait := handshakeDraining, 2*time.Second
	limited := (*limitError)(nil)
	if errors.As(err, &limited) {
		result, wait = handshakeLimited, limited.retryAfter
	}
	if comesBack(r) || limited == nil && !websocket.IsWebSocketUpgrade(r) {
		e.hangUp(result)
	}
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
	e.refuseHandshake(w, result, http.StatusServiceUnavailable, err.Error())
}

// refuseStranger refuses a page of another site's. Its browser does not show it the sentence, so the log has it, too.
func (e *Engine) refuseStranger(w http.ResponseWriter, r *http.Request, peer netip.Addr, sentence string) {
	e.strangers.Log(r.Context(), slog.String("peer", peer.Unmap().String()), slog.String("why", sentence))
	e.refuseHandshake(w, handshakeForbidden, http.StatusForbidden, sentence)
}

// refuseCredential refuses a client for what it says of who it is.
func (e *Engine) refuseCredential(w http.ResponseWriter, r *http.Request, err error) {
	status, told := http.StatusInternalServerError, "internal error; the bridge's log says more"
	if refusal := (*auth.Refusal)(nil); errors.As(err, &refusal) {
		status, told = refusal.HTTPStatus(), refusal.Told()
	}
	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="rotki notifications"`) // RFC 6750 §3
	case http.StatusServiceUnavailable:
		if comesBack(r) {
			e.hangUp(handshakeRefused)
		}
		w.Header().Set("Retry-After", "2")
	}
	e.refuseHandshake(w, handshakeRefused, status, told)
}

func (e *Engine) refuseHandshake(w http.ResponseWriter, result handshakeResult, status int, sentence string) {
	e.metrics.handshakes[result].Inc()
	if status == http.StatusUpgradeRequired {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
	}
	http.Error(w, sentence, status)
}
