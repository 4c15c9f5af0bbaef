//go:build linux

package baseline

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

// hub has a channel and two goroutines for each connection.
type hub struct {
	upgrader websocket.Upgrader

	mu    sync.Mutex
	conns map[*websocket.Conn]chan []byte
}

func serveHub(w io.Writer) error {
	listener, controls, err := listenTwice(w)
	if err != nil {
		return err
	}
	h := &hub{conns: make(map[*websocket.Conn]chan []byte)}
	failed := make(chan error, 2)
	go func() { failed <- http.Serve(listener, h) }()
	go func() { failed <- h.control(controls) }()
	return <-failed
}

// ServeHTTP implements http.Handler.
func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock() // nothing is published between the answer and the entry in conns
	defer h.mu.Unlock()
	conn, err := h.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the client was told
	}
	messages := make(chan []byte, 256)
	h.conns[conn] = messages
	go writeAll(conn, messages)
	go h.read(conn, messages)
}

// writeAll writes what comes, until the connection's end.
func writeAll(conn *websocket.Conn, messages <-chan []byte) {
	for message := range messages {
		if conn.WriteMessage(websocket.TextMessage, message) != nil {
			_ = conn.Close() // which ends the reader
		}
	}
}

// read waits for the connection's end.
func (h *hub) read(conn *websocket.Conn, messages chan<- []byte) {
	for {
		if _, _, err := conn.NextReader(); err != nil {
			break
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, conn)
	close(messages)
	_ = conn.Close()
}

// control publishes what the first control connection says. It waits for whoever is slow, so that nothing is lost.
func (h *hub) control(listener net.Listener) error {
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	for in := bufio.NewReaderSize(conn, controlBuffer); ; {
		var size [4]byte
		if _, err := io.ReadFull(in, size[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read the control connection: %w", err)
		}
		payload := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(in, payload); err != nil {
			return fmt.Errorf("read the control connection: %w", err)
		}
		h.mu.Lock()
		for _, messages := range h.conns {
			messages <- payload
		}
		h.mu.Unlock()
	}
}
