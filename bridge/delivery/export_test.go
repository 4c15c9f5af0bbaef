package delivery

import "net/http"

// NewEcho returns an engine that sends every message back to the client that it came from, over the connection code of
// every other, for checks of the protocol.
func NewEcho(config Config) *Engine {
	config.ClientRate = -1 // it is asked more than any client is allowed
	e := New(config)
	e.received = func(sub *subscriber, r received) {
		frame := appendFrame(nil, r.opcode, r.payload)
		if sub.deflate {
			frame = e.framer.compressed(frame)
		}
		c := sub.owe()
		c.writing = append(c.writing, frame...) // nothing is published here, so that no frame is ever half written
	}
	return e
}

// Ending returns how many subscribers a close frame is due to that is not written yet.
func (e *Engine) Ending() int {
	return e.tally(func(sub *subscriber) bool { return sub.ending != nil })
}

// tally returns how many subscribers a condition holds for.
func (e *Engine) tally(condition func(*subscriber) bool) int {
	counts := make(chan int)
	for _, s := range e.shards {
		s.post(func() {
			n := 0
			for _, members := range []*roster{&s.able, &s.blocked} {
				for _, sub := range *members {
					if condition(sub) {
						n++
					}
				}
			}
			counts <- n
		})
	}
	n := 0
	for range e.shards {
		n += <-counts
	}
	return n
}

// Stalled returns how many subscribers a tick has found blocked since they last had all that there was.
func (e *Engine) Stalled() int {
	return e.tally(func(sub *subscriber) bool { return sub.stalled })
}

// Rewind puts every subscriber back by n records, as if it had been away meanwhile.
func (e *Engine) Rewind(n uint64) {
	for _, s := range e.shards {
		s.post(func() {
			s.able.each(func(sub *subscriber) {
				sub.next -= n
				s.flush(sub)
			})
		})
	}
}

// Unconfirmed returns how many subscribers with a session have not confirmed all that is in the journal.
func (e *Engine) Unconfirmed() int {
	return e.tally(func(sub *subscriber) bool {
		_, head := e.config.Log.Bounds()
		return sub.session != nil && sub.sure < head
	})
}

// HoldCompressor stops all compression until the function that it returns is called.
func (e *Engine) HoldCompressor() (release func()) {
	e.framer.compressor.mu.Lock()
	return e.framer.compressor.mu.Unlock
}

// Shared returns how many records the first batch passes over that is nobody's in particular, and how many recipients it
// has noted by name.
func Shared(log Log) (passed uint64, named int, err error) {
	b := batches{log: log, framer: new(framer), limit: 1}
	from, _ := log.Bounds()
	built, err := b.get(batchKey{from: from, filter: new(filter)})
	if err != nil {
		return 0, 0, err
	}
	return built.next - from, len(built.named), nil
}

// AllowsRequest reports whether a request with a header may connect to a host.
func AllowsRequest(host string, header http.Header) bool {
	return newOrigins(nil).allows(&http.Request{Host: host, Header: header})
}

// AllowsOrigin reports whether a page of an origin may connect to a host.
func AllowsOrigin(allowed []string, host, origin string) bool {
	return newOrigins(allowed).allows(&http.Request{Host: host, Header: http.Header{"Origin": {origin}}})
}
