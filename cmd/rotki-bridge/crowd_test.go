//go:build linux

package main_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// dialers is how many handshakes are under way at a time.
	dialers = 64
	// sources is from how many addresses of the loopback the crowd connects, so that no one's ports run out.
	sources = 8
)

// handshake is RFC 6455's own example.
const handshake = "GET /ws/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// crowd is a lot of subscribers that one goroutine reads. Ten thousand websocket clients of the usual kind, with the
// race detector, would take the machine that the bridge needs.
type crowd struct {
	epoll   int
	members []*member
}

// member is one subscriber. It checks what comes, byte by byte.
type member struct {
	fd     int
	got    int    // messages that have come as a whole
	header []byte // of the frame that comes, as far as it has come
	size   int    // of its payload; 0 until the header is there
	at     int    // how much of the payload has come
}

// gather connects n subscribers. With a receive buffer the kernel takes in no more than about so many bytes for each.
func gather(t *testing.T, addr string, n, receiveBuffer int) *crowd {
	t.Helper()
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{epoll: epoll, members: make([]*member, n)}
	t.Cleanup(c.leave)
	var dialing sync.WaitGroup
	failed := make(chan error, dialers)
	for first := range dialers {
		dialing.Go(func() {
			for i := first; i < n; i += dialers {
				fd, err := connect(addr, i, receiveBuffer)
				if err != nil {
					failed <- fmt.Errorf("connect subscriber %d of %d: %w", i, n, err)
					return
				}
				c.members[i] = &member{fd: fd}
			}
		})
	}
	dialing.Wait()
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	return c
}

// leave closes the connections.
func (c *crowd) leave() {
	for _, m := range c.members {
		if m != nil {
			_ = syscall.Close(m.fd)
		}
	}
	c.members = nil
	_ = syscall.Close(c.epoll)
}

// connect returns a websocket, with its handshake done, as a file descriptor that does not block.
func connect(addr string, number, receiveBuffer int) (fd int, err error) {
	dialer := net.Dialer{
		Timeout:   patience,
		LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+number%sources))},
		Control:   limitReceiveBuffer(receiveBuffer),
	}
	conn, err := dialer.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close() // its descriptor's copy stays open
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte(handshake)); err != nil {
		return 0, err
	}
	var answer []byte
	for !bytes.Contains(answer, []byte("\r\n\r\n")) {
		buffer := make([]byte, 512)
		n, err := conn.Read(buffer)
		if err != nil {
			return 0, fmt.Errorf("read the handshake's answer: %w", err)
		}
		answer = append(answer, buffer[:n]...)
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 101 ")) || !bytes.HasSuffix(answer, []byte("\r\n\r\n")) {
		return 0, fmt.Errorf("the handshake's answer is %q", answer)
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	control := raw.Control(func(original uintptr) {
		if fd, err = syscall.Dup(int(original)); err == nil {
			syscall.CloseOnExec(fd)
		}
	})
	if err == nil {
		err = control
	}
	return fd, err
}

// receive reads until every member has got all of want, each message once and in order.
func (c *crowd) receive(ctx context.Context, want [][]byte) error {
	for i, m := range c.members {
		event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(i)}
		if err := syscall.EpollCtl(c.epoll, syscall.EPOLL_CTL_ADD, m.fd, &event); err != nil {
			return os.NewSyscallError("epoll_ctl", err)
		}
	}
	events, buffer := make([]syscall.EpollEvent, 256), make([]byte, 256<<10)
	for complete := 0; complete < len(c.members); {
		if ctx.Err() != nil {
			return fmt.Errorf("%d of %d subscribers have got all: %w", complete, len(c.members), context.Cause(ctx))
		}
		n, err := syscall.EpollWait(c.epoll, events, 100)
		if err != nil && err != syscall.EINTR {
			return os.NewSyscallError("epoll_wait", err)
		}
		for _, event := range events[:max(n, 0)] {
			m := c.members[event.Fd]
			n, err := syscall.Read(m.fd, buffer)
			switch {
			case err == syscall.EINTR:
				continue
			case n == 0:
				err = io.EOF
			}
			if err != nil {
				return fmt.Errorf("subscriber %d lost its connection after %d messages: %w", event.Fd, m.got, err)
			}
			missing := m.got < len(want)
			if err := m.take(buffer[:n], want); err != nil {
				return fmt.Errorf("subscriber %d, message %d: %w", event.Fd, m.got, err)
			}
			if missing && m.got == len(want) {
				complete++
			}
		}
	}
	return nil
}

// take checks the next bytes that came.
func (m *member) take(p []byte, want [][]byte) error {
	for len(p) > 0 {
		if m.size == 0 {
			m.header = append(m.header, p[0])
			p = p[1:]
			var err error
			if m.size, err = payloadSize(m.header); err != nil {
				return err
			}
			continue
		}
		if m.got == len(want) {
			return fmt.Errorf("it was not published: %q", head(p))
		}
		part := p[:min(len(p), m.size-m.at)]
		if m.size != len(want[m.got]) || !bytes.Equal(part, want[m.got][m.at:m.at+len(part)]) {
			return fmt.Errorf("got %d bytes, at %d %q; want %d bytes, %q", m.size, m.at, head(part), len(want[m.got]), head(want[m.got]))
		}
		p = p[len(part):]
		if m.at += len(part); m.at == m.size {
			m.got, m.header, m.size, m.at = m.got+1, m.header[:0], 0, 0
		}
	}
	return nil
}

// payloadSize reads the header of a text frame (RFC 6455 §5.2). It is 0 while the header is not whole.
func payloadSize(header []byte) (int, error) {
	const finalText = 0x81
	if header[0] != finalText {
		return 0, fmt.Errorf("a frame begins with %#x; want one whole unmasked text message", header[0])
	}
	switch {
	case len(header) == 2 && header[1] < 126:
		return int(header[1]), nil
	case len(header) == 4 && header[1] == 126:
		return int(binary.BigEndian.Uint16(header[2:])), nil
	case len(header) == 10 && header[1] == 127:
		return int(binary.BigEndian.Uint64(header[2:])), nil
	case len(header) >= 10 || len(header) >= 2 && header[1] > 127:
		return 0, fmt.Errorf("the frame's header is %x", header)
	}
	return 0, nil
}

func head(text []byte) []byte { return text[:min(len(text), 100)] }
