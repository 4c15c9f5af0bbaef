//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// The handshake is RFC 6455's own example.
const (
	handshakeKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	handshakeAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
	deflate         = "permessage-deflate"
)

// sources is from how many addresses of the loopback a crowd connects, so that no one's ports run out.
const sources = 16

// subscriber is one connection.
type subscriber struct {
	fd   int
	open bool   // the handshake is done
	got  int    // messages
	held []byte // the beginning of the handshake's answer, or of a frame, whose end has not come
}

// request returns what a client sends a server first: what rotki's frontend does, which is a page of the same host.
func (c Config) request(addr string) []byte {
	offer := ""
	if c.Deflate {
		// Without a context that a connection keeps, the server can compress a message once for all.
		offer = "Sec-WebSocket-Extensions: " + deflate + "; server_no_context_takeover; client_no_context_takeover\r\n"
	}
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nOrigin: http://%[2]s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %[3]s\r\n%[4]s\r\n", c.Path, addr, handshakeKey, offer)
}

// dial connects to the server whose turn it is and sends the handshake, which is there for each server. The descriptor does not block.
func (c Config) dial(number int, requests [][]byte) (fd int, err error) {
	server := number % len(c.Addrs)
	addr, err := netip.ParseAddrPort(c.Addrs[server])
	if err != nil {
		return 0, err
	}
	fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("make a socket: %w", err)
	}
	// Sockets that are closed with a reset leave no port in TIME_WAIT.
	err = syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	if err == nil && c.ReceiveBuffer > 0 {
		err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, c.ReceiveBuffer)
	}
	if err == nil { // a server that does not accept must not hold this thread
		err = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &syscall.Timeval{Sec: 10})
	}
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + number%sources)}})
	}
	if err == nil {
		to := &syscall.SockaddrInet4{Addr: addr.Addr().As4(), Port: int(addr.Port())}
		err = syscall.EINTR
		for err == syscall.EINTR { // Go's scheduler interrupts; the next call goes on with the same connection
			err = syscall.Connect(fd, to)
		}
	}
	if err == nil {
		_, err = syscall.Write(fd, requests[server])
	}
	if err == nil {
		err = syscall.SetNonblock(fd, true)
	}
	if err != nil {
		_ = syscall.Close(fd)
		return 0, fmt.Errorf("connect to %s: %w", c.Addrs[server], err)
	}
	return fd, nil
}

// answer takes the handshake's answer off p, as soon as it is there as a whole.
func answer(p []byte) (compressed bool, rest []byte, ok bool, err error) {
	const end = "\r\n\r\n"
	head, rest, ok := bytes.Cut(p, []byte(end))
	if !ok {
		return false, p, false, nil
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		return false, nil, false, fmt.Errorf("the handshake was refused: %q", head[:min(len(head), 300)])
	}
	if !bytes.Contains(head, []byte(handshakeAccept)) {
		return false, nil, false, errors.New("the handshake's answer has another Sec-WebSocket-Accept")
	}
	return bytes.Contains(head, []byte(deflate)), rest, true, nil
}
