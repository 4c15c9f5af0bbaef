//go:build linux

package baseline

import (
	"io"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

// upgrade answers handshakes and keeps the connections.
type upgrade struct {
	upgrader websocket.Upgrader

	mu    sync.Mutex
	conns []*websocket.Conn
}

func serveUpgrade(w io.Writer) error {
	listener, err := listen()
	if err != nil {
		return err
	}
	if err := announce(w, Addresses{Websocket: listener.Addr().String()}); err != nil {
		return err
	}
	return http.Serve(listener, new(upgrade))
}

// ServeHTTP implements http.Handler.
func (u *upgrade) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := u.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the client was told
	}
	u.mu.Lock()
	u.conns = append(u.conns, conn)
	u.mu.Unlock()
}
