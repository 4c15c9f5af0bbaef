package delivery

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/session"
)

// sessionCookie names a browser, so that it can take up where it was. It carries no rights.
const sessionCookie = "rotki_bridge_session"

// claim returns by what a browser's session goes, and false for what is no browser: that keeps no cookies of itself, and
// resumes with since=.
func (e *Engine) claim(r *http.Request, peer netip.AddrPort) (session.Claim, bool) {
	origin := r.Header.Get("Origin")
	if e.config.Sessions == nil || origin == "" {
		return session.Claim{}, false
	}
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		if name, ok := session.ParseName(cookie.Value); ok {
			return session.Claim{Name: name}, true
		}
	}
	c := session.Claim{Name: session.NewName(), New: true}
	if e.config.SessionsByOrigin && isLocal(r, peer) {
		c.Kin = session.KinOf(origin, r.UserAgent())
	}
	return c, true
}

// isLocal reports whether a client is on this machine: it comes from there, and no proxy says that it spoke for another.
func isLocal(r *http.Request, peer netip.AddrPort) bool {
	for _, header := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(header) != "" {
			return false
		}
	}
	return peer.Addr().Unmap().IsLoopback() && auth.IsLoopbackName(auth.Hostname(r.Host))
}

// cookie returns what the handshake's answer sets. A browser keeps it until it is closed, and sends it back only to this
// endpoint and only from pages of the same site.
func cookie(r *http.Request, name session.Name) *http.Cookie {
	return &http.Cookie{
		Name:     sessionCookie,
		Value:    name.String(),
		Path:     "/" + strings.Trim(r.URL.Path, "/"),
		HttpOnly: true,
		Secure:   r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
		SameSite: http.SameSiteStrictMode,
	}
}

// endSession parks the cursor of a client that did not close the connection itself.
func (s *subscriber) endSession(reason Disconnect) {
	switch {
	case s.session == nil:
	case reason.Name == ClientClosed.Name:
		s.session.Close()
	default:
		s.session.Park(s.next)
	}
	s.session = nil
}

// abandon puts a session back whose connection came to nothing, with the cursor at which that was to begin.
func (s *subscriber) abandon(from uint64) {
	if s.session == nil {
		return
	}
	if from == now || s.unknown {
		s.session.Close()
	} else {
		s.session.Park(from)
	}
	s.session = nil
}
