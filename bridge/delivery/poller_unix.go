//go:build unix && !linux

package delivery

import "sync"

// poller tells shards when a full socket has room again: where there is no epoll, with a goroutine for each socket
// that is full.
type poller struct {
	waiting sync.WaitGroup
}

func newPoller() (*poller, error) { return new(poller), nil }

// await has the subscriber's shard told, once, when its socket can be written to.
func (p *poller) await(sub *subscriber) error {
	p.waiting.Go(func() {
		asked := false
		// RawConn waits for room whenever the function returns false; closing the connection ends the wait.
		_ = sub.socket.raw.Write(func(uintptr) bool {
			room := asked
			asked = true
			return room
		})
		sub.shard.post(sub, func(m *mailbox) { m.writable = true })
	})
	return nil
}

// forget has nothing to take back: the subscriber's connection ends, and with it the wait.
func (p *poller) forget(*subscriber) {}

// run has nothing to do: every wait is a goroutine of its own.
func (p *poller) run() {}

// close returns when no wait is left. All connections must have ended.
func (p *poller) close() { p.waiting.Wait() }
