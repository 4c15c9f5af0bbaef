//go:build linux

package baseline

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"syscall"
)

// answerHandshake reads a websocket handshake and answers it, as far as RFC 6455 §4.2.2 makes one.
func answerHandshake(fd int) error {
	request := make([]byte, 0, 1024)
	for !bytes.HasSuffix(request, []byte("\r\n\r\n")) {
		if len(request) == cap(request) {
			return errors.New("a handshake is too long")
		}
		n, err := syscall.Read(fd, request[len(request):cap(request)])
		if err != nil {
			return fmt.Errorf("read a handshake: %w", err)
		}
		if n == 0 {
			return errors.New("a handshake broke off")
		}
		request = request[:len(request)+n]
	}
	_, after, ok := bytes.Cut(request, []byte("Sec-WebSocket-Key: "))
	key, _, _ := bytes.Cut(after, []byte("\r\n"))
	if !ok {
		return errors.New("a handshake has no Sec-WebSocket-Key")
	}
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	sum := sha1.Sum(append(key[:len(key):len(key)], guid...))
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
	if _, err := syscall.Write(fd, []byte(answer)); err != nil {
		return fmt.Errorf("answer a handshake: %w", err)
	}
	return nil
}

// appendFrame appends a text message as a server sends it.
func appendFrame(p, payload []byte) []byte {
	const finalText = 0x81
	switch n := len(payload); {
	case n < 126:
		p = append(p, finalText, byte(n))
	case n <= math.MaxUint16:
		p = binary.BigEndian.AppendUint16(append(p, finalText, 126), uint16(n))
	default:
		p = binary.BigEndian.AppendUint64(append(p, finalText, 127), uint64(n))
	}
	return append(p, payload...)
}
