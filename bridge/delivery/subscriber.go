package delivery

import (
	"errors"
	"io"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// maxClientMessage is the largest message a client may send, in bytes. None means anything to the bridge.
const maxClientMessage = 4 << 10

// subscriber is one websocket connection.
type subscriber struct {
	conn       *connection
	socket     socket
	ws         *websocket.Conn
	form       form
	filter     *filter
	closeCodes bool
	shard      *shard
	heard      atomic.Bool   // something came from the peer since the last ping
	released   chan struct{} // closed by the shard when it will write no more
	farewell   []byte        // the close frame with which gorilla answers; owned by the reader

	// Owned by the shard.
	slot     int       // index in shard.subscribers
	next     uint64    // the cursor: the record to be written next
	offset   int       // how many bytes of its frame are written
	control  []byte    // what is left of control frames; only ever begun between two frames
	goodbye  []byte    // a close frame that is due when the frame before it is whole
	mail     bool      // a pong may be in the mailbox
	ping     bool      // a ping is due
	blocked  bool      // the socket takes no more; the poller will tell
	progress time.Time // since when it has taken nothing, while it is blocked
	pingAt   time.Time
	missed   int         // pings without a sign of life since
	ending   *Disconnect // set once a close frame is due, after which nothing is written
	endAt    time.Time   // until when the close frame must be written; while draining, when to end
	ended    bool

	mailbox mailbox // guarded by shard.mu
}

// mailbox is what others leave for a shard to see to. It does not grow, whatever the peer does.
type mailbox struct {
	queued   bool // in shard.inbox
	joined   bool
	writable bool
	pong     []byte
	gone     *Disconnect // the reader has ended, and why
	close    []byte      // the close frame that is due to the peer then
}

// read takes in and ignores what the client sends, until the connection ends. Whoever ends it, read closes it.
func (s *subscriber) read() {
	err := s.readMessages()
	switch {
	case errors.Is(err, errInvalidUTF8):
		s.farewell = closeFrame(websocket.CloseInvalidFramePayloadData)
	case errors.Is(err, websocket.ErrReadLimit) && s.farewell == nil:
		s.farewell = closeFrame(websocket.CloseMessageTooBig) // gorilla sends none for a length beyond 63 bits
	}
	reason := &ConnectionLost // gorilla reports that as a CloseError too
	if s.farewell != nil {
		reason = &ProtocolError
		if closed := (*websocket.CloseError)(nil); errors.As(err, &closed) {
			reason = &ClientClosed
		}
	}
	s.shard.post(s, func(m *mailbox) { m.gone, m.close = reason, s.farewell })
	<-s.released
	// Closing with unread input would reset the connection, and the peer could lose what is on its way to it. The
	// shard has set the deadline.
	_, _ = io.Copy(io.Discard, io.LimitReader(s.conn, 1<<20))
	_ = s.conn.Close()
}

var errInvalidUTF8 = errors.New("a text message is not UTF-8")

// readMessages returns why reading ended. gorilla/websocket checks the protocol, and answers pings, closes and
// errors through connection.Write.
func (s *subscriber) readMessages() error {
	s.ws.SetReadLimit(maxClientMessage)
	s.ws.SetPongHandler(func(string) error {
		s.heard.Store(true)
		return nil
	})
	for {
		kind, r, err := s.ws.NextReader()
		if err != nil {
			return err
		}
		s.heard.Store(true)
		if kind != websocket.TextMessage {
			continue // NextReader passes over what was not read
		}
		text, err := io.ReadAll(r) // at most maxClientMessage
		if err != nil {
			return err
		}
		if !utf8.Valid(text) {
			return errInvalidUTF8
		}
	}
}
