//go:build linux

package load

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// connecting is how many handshakes of a receiver are under way at a time.
const connecting = 128

// patrol is how often a receiver looks whether it is to stop, when nothing comes.
const patrol = 100 * time.Millisecond

// receiver is one thread and its subscribers.
type receiver struct {
	config      Config
	epoll       int
	subscribers []subscriber
	opened      int // subscribers that are past their handshake
	compressed  bool
	events      []syscall.EpollEvent
	buffer      []byte
	inflater    io.ReadCloser

	stop       *atomic.Bool
	recordFrom *atomic.Int64 // number of the first message whose latency counts
	received   atomic.Int64
	bytes      int64
	latencies  Histogram
}

func newReceiver(config Config, stop *atomic.Bool, recordFrom *atomic.Int64) (*receiver, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &receiver{
		config:     config,
		epoll:      epoll,
		events:     make([]syscall.EpollEvent, 512),
		buffer:     make([]byte, largestFrame+16+readSize),
		inflater:   flate.NewReader(nil),
		stop:       stop,
		recordFrom: recordFrom,
	}, nil
}

// connect opens the subscribers, whose numbers begin with first.
func (r *receiver) connect(ctx context.Context, first int) error {
	requests := make([][]byte, len(r.config.Addrs))
	for i, addr := range r.config.Addrs {
		requests[i] = r.config.request(addr)
	}
	r.subscribers = make([]subscriber, 0, r.config.Count)
	for r.opened < r.config.Count {
		if ctx.Err() != nil {
			return fmt.Errorf("%d of %d handshakes done: %w", r.opened, r.config.Count, context.Cause(ctx))
		}
		for len(r.subscribers) < r.config.Count && len(r.subscribers)-r.opened < connecting {
			fd, err := r.config.dial(first+len(r.subscribers), requests)
			if err != nil {
				return err
			}
			event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(len(r.subscribers))}
			r.subscribers = append(r.subscribers, subscriber{fd: fd})
			if err := syscall.EpollCtl(r.epoll, syscall.EPOLL_CTL_ADD, fd, &event); err != nil {
				return os.NewSyscallError("epoll_ctl", err)
			}
		}
		if err := r.wait(); err != nil {
			return err
		}
	}
	return nil
}

// receive reads until it is to stop.
func (r *receiver) receive() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread() // a thread that ended would take the processes with it that it has started
	for !r.stop.Load() {
		if err := r.wait(); err != nil {
			return err
		}
	}
	return nil
}

// wait reads what has come, or waits until something does.
func (r *receiver) wait() error {
	n, err := syscall.EpollWait(r.epoll, r.events, int(patrol/time.Millisecond))
	if err != nil && err != syscall.EINTR {
		return os.NewSyscallError("epoll_wait", err)
	}
	messages := 0
	for _, event := range r.events[:max(n, 0)] {
		s := &r.subscribers[event.Fd]
		before := s.got
		if err := r.read(s); err != nil {
			return fmt.Errorf("a subscriber, after %d messages: %w", s.got, err)
		}
		messages += s.got - before
	}
	if messages > 0 { // once for many, since others look at it
		r.received.Add(int64(messages))
	}
	return nil
}

// read reads once from a subscriber that is readable.
func (r *receiver) read(s *subscriber) error {
	held := copy(r.buffer, s.held)
	n, err := syscall.Read(s.fd, r.buffer[held:])
	switch {
	case err == syscall.EINTR || err == syscall.EAGAIN:
		return nil
	case err != nil:
		return fmt.Errorf("lost its connection: %w", err)
	case n == 0:
		return errors.New("the server ended its connection")
	}
	rest := r.buffer[:held+n]
	if !s.open {
		compressed, after, ok, err := answer(rest)
		if err != nil {
			return err
		}
		if ok {
			s.open, n = true, len(after)
			r.opened++
			r.compressed = compressed
		}
		rest = after
	}
	if s.open {
		r.bytes += int64(n)
		if rest, err = r.take(s, rest, time.Now().UnixNano()); err != nil {
			return err
		}
	}
	s.held = append(s.held[:0], rest...)
	return nil
}

// take takes the whole frames off p and returns what is left.
func (r *receiver) take(s *subscriber, p []byte, now int64) (rest []byte, err error) {
	recordFrom := int(r.recordFrom.Load())
	for {
		f, rest, ok, err := nextFrame(p)
		if !ok {
			return rest, err
		}
		p = rest
		switch f.opcode {
		case textFrame:
			stamp, err := r.check(s, f)
			if err != nil {
				return p, err
			}
			if number := r.config.First + s.got; number >= recordFrom && stamp > 0 {
				r.latencies.Add(time.Duration(now - stamp))
			}
			s.got++
		case pingFrame:
			_, _ = syscall.Write(s.fd, pong(f.payload)) // the server drops who does not answer
		default:
			return p, fmt.Errorf("a frame of opcode %d came: %q", f.opcode, f.payload[:min(len(f.payload), 100)])
		}
	}
}

// check returns when a message was published, or the error that it is not the next one. Of compressed messages only
// the first subscriber's are looked into: that takes more than all the rest. The others' stamps are 0.
func (r *receiver) check(s *subscriber, f frame) (stamp int64, err error) {
	if f.compressed {
		if s != &r.subscribers[0] {
			return 0, nil
		}
		if f.payload, err = r.inflate(f.payload); err != nil {
			return 0, err
		}
	}
	stamp, number, ok := parseEnvelope(f.payload)
	if !ok {
		return 0, fmt.Errorf("%q is no message of this benchmark", f.payload[:min(len(f.payload), 200)])
	}
	if want := r.config.First + s.got; number != want {
		return 0, fmt.Errorf("message %d came, want %d", number, want)
	}
	return stamp, nil
}

// inflate undoes permessage-deflate without context takeover (RFC 7692 §7.2.2).
func (r *receiver) inflate(payload []byte) ([]byte, error) {
	const tail = "\x00\x00\xff\xff" + "\x01\x00\x00\xff\xff" // what the sender cut off, and an end
	source := io.MultiReader(bytes.NewReader(payload), bytes.NewReader([]byte(tail)))
	if err := r.inflater.(flate.Resetter).Reset(source, nil); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(r.inflater)
	if err != nil {
		return nil, fmt.Errorf("inflate a message: %w", err)
	}
	return text, nil
}

// close closes the connections.
func (r *receiver) close() {
	for _, s := range r.subscribers {
		_ = syscall.Close(s.fd)
	}
	_ = syscall.Close(r.epoll)
}
