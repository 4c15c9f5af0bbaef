package delivery_test

import (
	"compress/flate"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// wire is what lies between the engine and the subscribers of a test.
type wire struct{ tls, deflate bool }

var wires = []wire{{}, {deflate: true}, {tls: true}, {tls: true, deflate: true}}

func (w wire) String() string {
	name := "plain"
	if w.tls {
		name = "tls"
	}
	if w.deflate {
		name += "+deflate"
	}
	return name
}

func onEveryWire(t *testing.T, scenario func(*testing.T, wire)) {
	for _, w := range wires {
		t.Run(w.String(), func(t *testing.T) { scenario(t, w) })
	}
}

// listen starts the HTTP server.
func (s *served) listen() *httptest.Server {
	routes := http.NewServeMux()
	routes.Handle("/", s.Engine)
	routes.Handle("/events", s.Events())
	server := httptest.NewUnstartedServer(routes)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if s.wire.tls {
		server.StartTLS()
		s.trust = server.Client().Transport.(*http.Transport).TLSClientConfig
	} else {
		server.Start()
	}
	s.addr = server.Listener.Addr().String()
	return server
}

func (s *served) url(query string) string {
	scheme := "ws"
	if s.wire.tls {
		scheme = "wss"
	}
	return scheme + "://" + s.addr + "/ws/" + query
}

// dialer returns a client's settings for the wire.
func (s *served) dialer() *websocket.Dialer {
	return &websocket.Dialer{TLSClientConfig: s.trust, EnableCompression: s.wire.deflate}
}

// transport returns the TCP connection under a client's.
func transport(conn net.Conn) *net.TCPConn {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	return conn.(*net.TCPConn)
}

// digits returns n digits, always the same, that permessage-deflate can make less than half as long, and no less.
func digits(n int) string {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	text := make([]byte, n)
	for i := range text {
		text[i] = byte('0' + random.IntN(10))
	}
	return string(text)
}

// serverFrame is a frame as the engine sends it.
type serverFrame struct {
	opcode  int
	packed  bool // RSV1
	payload []byte
}

// errTorn: the connection ended within a frame.
var errTorn = errors.New("the last frame is torn")

// readFrame reads a frame of the engine's, each of which is final, unmasked and as short as it can be. Where the
// connection ends between two frames, the error is that of the connection.
func readFrame(r io.Reader) (serverFrame, error) {
	var head [10]byte
	if n, err := io.ReadFull(r, head[:2]); n == 0 {
		return serverFrame{}, err
	} else if err != nil {
		return serverFrame{}, errTorn
	}
	f := serverFrame{opcode: int(head[0] & 0x0f), packed: head[0]&0x40 != 0}
	length, extended, least := uint64(head[1]), head[2:2], uint64(0)
	switch length {
	case 126:
		extended, least = head[2:4], 126
	case 127:
		extended, least = head[2:10], 1<<16
	}
	if _, err := io.ReadFull(r, extended); err != nil {
		return serverFrame{}, errTorn
	}
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(extended))
	case 127:
		length = binary.BigEndian.Uint64(extended)
	}
	if head[0]&^0x4f != 0x80 || head[1]&0x80 != 0 || length < least || length > 16<<20 {
		return serverFrame{}, fmt.Errorf("no frame begins with % x", head)
	}
	f.payload = make([]byte, length)
	if _, err := io.ReadFull(r, f.payload); err != nil {
		return serverFrame{}, errTorn
	}
	return f, nil
}

// message returns what a frame says, decompressed.
func (f serverFrame) message() (string, error) {
	if !f.packed {
		return string(f.payload), nil
	}
	const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff" // RFC 7692 §7.2.2, and the end of the stream
	text, err := io.ReadAll(flate.NewReader(io.MultiReader(strings.NewReader(string(f.payload)), strings.NewReader(tail))))
	return string(text), err
}

// mustReadFrame returns the next frame that holds a message, and the message.
func mustReadFrame(t testing.TB, conn net.Conn) (serverFrame, string) {
	t.Helper()
	for {
		f, err := readFrame(conn)
		if err != nil {
			t.Fatalf("read a frame: %v", err)
		}
		if f.opcode != websocket.TextMessage {
			continue
		}
		text, err := f.message()
		if err != nil {
			t.Fatalf("decompress a frame of %d bytes: %v", len(f.payload), err)
		}
		return f, text
	}
}
