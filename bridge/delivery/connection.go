package delivery

import (
	"bufio"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// connection is the network connection that gorilla/websocket sees. Once the handshake is done, the frames that
// gorilla writes (pongs, close frames) go through the shard, since it alone knows where a frame ends.
type connection struct {
	net.Conn
	subscriber *subscriber // nil until the handshake is done
}

// Write implements net.Conn. After the handshake p is one whole control frame.
func (c *connection) Write(p []byte) (int, error) {
	if c.subscriber == nil {
		return c.Conn.Write(p)
	}
	c.subscriber.answer(append([]byte(nil), p...))
	return len(p), nil
}

// SetWriteDeadline implements net.Conn. After the handshake gorilla's deadlines are not the shard's.
func (c *connection) SetWriteDeadline(t time.Time) error {
	if c.subscriber == nil {
		return c.Conn.SetWriteDeadline(t)
	}
	return nil
}

// answer takes over a control frame with which gorilla answers the client. The reader calls it.
func (s *subscriber) answer(frame []byte) {
	if opcode(frame) == websocket.CloseMessage {
		s.farewell = frame // NextReader returns an error next
		return
	}
	s.heard.Store(true)
	// Only the latest ping must be answered (RFC 6455 §5.5.3).
	s.shard.post(s, func(m *mailbox) { m.pong = frame })
}

// hijacker hands gorilla/websocket the connection in its wrapping.
type hijacker struct {
	http.ResponseWriter
	connection *connection
}

// Hijack implements http.Hijacker.
func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	h.connection.Conn = conn
	return h.connection, rw, err
}
