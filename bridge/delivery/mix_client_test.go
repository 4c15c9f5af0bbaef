package delivery_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// parting is how a client of a mix ended its connection itself.
type parting string

const (
	stayed parting = ""
	closed parting = "client_closed"
	broke  parting = "protocol_error"
	cut    parting = "connection_lost"
)

// mixClient is a websocket client that reads all the time, unless its gate is shut, and checks what it reads.
type mixClient struct {
	name   string
	conn   net.Conn
	tcp    *net.TCPConn
	gate   gate
	joined int    // how many notices were published before
	typ    string // the only type that it wants; empty for all
	text   bool   // data=string
	codes  bool   // close=codes
	packed bool   // permessage-deflate was negotiated
	left   parting
	half   []byte // what is left of a frame of which the engine got a part
	pings  []string

	over chan struct{} // closed when the reader has ended
	mu   sync.Mutex
	got  []string
	// problem is the first thing that no server may send, code that of the close frame, end the connection's.
	problem string
	code    int
	end     error
	pongs   []string
}

// gate is a reader that can be shut.
type gate struct {
	conn  net.Conn
	piece int // how much is read at once, at the most
	mu    sync.Mutex
	open  sync.Cond
	shut  bool
}

func (g *gate) Read(p []byte) (int, error) {
	g.mu.Lock()
	for g.shut {
		g.open.Wait()
	}
	g.mu.Unlock()
	return g.conn.Read(p[:min(len(p), g.piece)])
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	g.open.Broadcast()
}

// join connects a client. Bits of what say how.
func (s *served) join(t testing.TB, name string, what int) *mixClient {
	c := &mixClient{name: name, over: make(chan struct{})}
	query := "?"
	if what&3 == 1 {
		query, c.typ = query+"types=legacy&", "legacy"
	}
	if what&4 != 0 {
		query, c.text = query+"data=string&", true
	}
	if what&8 != 0 {
		query, c.codes = query+"close=codes&", true
	}
	dialer := s.dialer()
	dialer.EnableCompression = s.wire.deflate && what&48 != 0
	c.gate.piece = 64 << 10
	if what&64 != 0 {
		dialer.NetDialContext, c.gate.piece = dialSmall, 1<<10
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, response, err := dialer.DialContext(ctx, s.url(query), nil)
	if err != nil {
		t.Fatalf("%s: dial: %v", name, err)
	}
	c.packed = response.Header.Get("Sec-Websocket-Extensions") != ""
	c.conn = conn.NetConn()
	c.tcp = transport(c.conn)
	c.gate.conn, c.gate.open.L = c.conn, &c.gate.mu
	go c.read()
	t.Cleanup(c.leave)
	return c
}

// leave ends what is left of the client.
func (c *mixClient) leave() {
	_ = c.tcp.SetLinger(0) // thousands a second would use up the ports
	_ = c.tcp.Close()
	c.gate.set(false)
	<-c.over
}

func (c *mixClient) read() {
	defer close(c.over)
	r := bufio.NewReader(&c.gate)
	for {
		f, err := readFrame(r)
		c.mu.Lock()
		if err != nil {
			c.end = err
			c.mu.Unlock()
			_ = c.tcp.SetLinger(0)
			_ = c.tcp.Close()
			return
		}
		if problem := c.take(f); problem != "" && c.problem == "" {
			c.problem = problem
		}
		c.mu.Unlock()
	}
}

// take notes what came. mu must be held.
func (c *mixClient) take(f serverFrame) string {
	switch {
	case c.code != 0:
		return "something follows the close frame"
	case f.packed && (!c.packed || f.opcode != websocket.TextMessage):
		return "a compressed frame"
	case f.opcode >= websocket.CloseMessage && len(f.payload) > 125:
		return "a large control frame"
	}
	switch f.opcode {
	case websocket.TextMessage:
		text, err := f.message()
		if err != nil {
			return fmt.Sprintf("decompress: %v", err)
		}
		c.got = append(c.got, text)
	case websocket.PongMessage:
		c.pongs = append(c.pongs, string(f.payload))
	case websocket.PingMessage:
	case websocket.CloseMessage:
		if len(f.payload) < 2 {
			return "a close frame without a code"
		}
		c.code = int(binary.BigEndian.Uint16(f.payload))
	default:
		return fmt.Sprintf("opcode %d", f.opcode)
	}
	return ""
}

// write sends bytes, behind what is left of a frame. Errors are the reader's to notice.
func (c *mixClient) write(p []byte) {
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	_, _ = c.conn.Write(append(c.half, p...))
	c.half = nil
}

// say sends a text message of n bytes, compressed where that is allowed and wanted, or only a part of it.
func (c *mixClient) say(n int, packed, part bool) {
	first, payload := byte(0x81), bytes.Repeat([]byte("ü"), n/2)
	if packed && c.packed {
		first |= 0x40
		var b bytes.Buffer
		w, _ := flate.NewWriter(&b, flate.BestSpeed)
		_, _ = w.Write(payload)
		_ = w.Flush()
		payload = b.Bytes()[:b.Len()-4]
	}
	frame := masked(first, payload)
	whole := len(frame)
	if part {
		whole = rand.N(whole)
	}
	c.write(frame[:whole])
	c.half = frame[whole:]
}

func (c *mixClient) ping() {
	c.pings = append(c.pings, fmt.Sprintf("%s-%d", c.name, len(c.pings)))
	c.write(masked(0x89, []byte(c.pings[len(c.pings)-1])))
}

// cut ends TCP: at once, or only the client's side of the connection.
func (c *mixClient) cut(reset bool) {
	c.left = cut
	if reset {
		_ = c.tcp.SetLinger(0)
		_ = c.tcp.Close()
		return
	}
	_ = c.conn.(interface{ CloseWrite() error }).CloseWrite()
}

// masked returns a frame as a client sends it.
func masked(first byte, payload []byte) []byte {
	frame := []byte{first, 0x80}
	if n := len(payload); n < 126 {
		frame[1] |= byte(n)
	} else {
		frame[1] |= 126
		frame = binary.BigEndian.AppendUint16(frame, uint16(n))
	}
	var mask [4]byte
	binary.BigEndian.PutUint32(mask[:], rand.Uint32())
	frame = append(frame, mask[:]...)
	for i, b := range payload {
		frame = append(frame, b^mask[i%4])
	}
	return frame
}

// ended reports whether the connection has.
func (c *mixClient) ended() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

func (c *mixClient) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.got)
}

func (c *mixClient) lastPong() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pongs) == 0 {
		return ""
	}
	return c.pongs[len(c.pongs)-1]
}
