package jetstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// JetStream's codes for what it refuses, as far as it matters which.
const (
	codeInProcess        = 10158 // the message with the same id before it is not stored yet
	codeIncompleteBatch  = 10176 // a message of the batch is missing: another leader got it
	codeDuplicateInBatch = 10201
	codeTooManyBatches   = 10210
	codeInvalidCommit    = 10200
)

var (
	errTimeout = errors.New("the stream does not acknowledge")
	errNoReply = errors.New("an acknowledgement cannot be read")
)

// refusedWith reports whether err is JetStream's with a code.
func refusedWith(err error, code jetstream.ErrorCode) bool {
	refused, ok := errors.AsType[*jetstream.APIError](err)
	return ok && refused.ErrorCode == code
}

// notStored reports whether err says that what was sent is not stored, but may be if it is sent again.
func notStored(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || refusedWith(err, codeInProcess) ||
		refusedWith(err, codeIncompleteBatch) || refusedWith(err, codeTooManyBatches)
}

// ack is what JetStream says of a message or a batch. Its seq is that of the last message.
type ack struct {
	seq       uint64
	count     int // of a batch
	duplicate bool
}

// parseAck reads an ack. The error is JetStream's, if it refuses.
func parseAck(m *nats.Msg) (ack, error) {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return ack{}, nats.ErrNoResponders
	}
	if a, ok := plainAck(m.Data); ok {
		return a, nil
	}
	var full struct {
		Error     *jetstream.APIError `json:"error"`
		Seq       uint64              `json:"seq"`
		Count     int                 `json:"count"`
		Duplicate bool                `json:"duplicate"`
	}
	if err := json.Unmarshal(m.Data, &full); err != nil {
		return ack{}, fmt.Errorf("%w: %w", errNoReply, err)
	}
	if full.Error != nil {
		return ack{}, full.Error
	}
	if full.Seq == 0 {
		return ack{}, errNoReply
	}
	return ack{seq: full.Seq, count: full.Count, duplicate: full.Duplicate}, nil
}

// plainAck reads the ack of one message, {"stream":"…","seq":42}, without the cost of a JSON parser.
func plainAck(data []byte) (a ack, ok bool) {
	const head, number = `{"stream":"`, `","seq":`
	if !bytes.HasPrefix(data, []byte(head)) {
		return ack{}, false
	}
	at := bytes.Index(data, []byte(number))
	if at < 0 || at != len(head)+bytes.IndexByte(data[len(head):], '"') {
		return ack{}, false
	}
	rest := data[at+len(number):]
	for i, c := range rest {
		switch {
		case c >= '0' && c <= '9':
			a.seq = 10*a.seq + uint64(c-'0')
		case c == '}' && i == len(rest)-1 && i > 0 && i < 20:
			return a, a.seq != 0
		default:
			return ack{}, false
		}
	}
	return ack{}, false
}

// acks takes the acks of what is on its way.
type acks struct {
	inbox string // every ack's subject is this, the flight's number and the message's index

	mu      sync.Mutex
	number  uint64
	flights map[uint64]*flight // those that somebody waits for
}

// flight is messages on their way, of which each is to be acknowledged.
type flight struct {
	owner  *acks
	number uint64
	acks   []ack
	left   int
	err    error
	done   chan struct{}
}

func (a *acks) begin(n int) *flight {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.number++
	f := &flight{owner: a, number: a.number, acks: make([]ack, n), left: n, done: make(chan struct{})}
	a.flights[f.number] = f
	return f
}

// id returns what tells the flight from all others, of other journals too.
func (f *flight) id() string {
	return strings.TrimPrefix(f.owner.inbox, nats.InboxPrefix) + strconv.FormatUint(f.number, 36)
}

func (f *flight) reply(i int) string {
	return f.owner.inbox + strconv.FormatUint(f.number, 36) + "." + strconv.FormatUint(uint64(i), 36)
}

// take is called with each ack.
func (a *acks) take(m *nats.Msg) {
	number, index, ok := strings.Cut(strings.TrimPrefix(m.Subject, a.inbox), ".")
	if !ok {
		return
	}
	n, _ := strconv.ParseUint(number, 36, 64)
	i, _ := strconv.ParseUint(index, 36, 32)
	parsed, err := parseAck(m)
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.flights[n]
	if f == nil || i >= uint64(len(f.acks)) {
		return
	}
	if err != nil {
		f.end(err)
		return
	}
	f.acks[i] = parsed
	if f.left--; f.left == 0 {
		f.end(nil)
	}
}

// failAll ends whatever is on its way.
func (a *acks) failAll(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range a.flights {
		f.end(err)
	}
}

func (f *flight) fail(err error) {
	f.owner.mu.Lock()
	defer f.owner.mu.Unlock()
	f.end(err)
}

// end takes no more acks. The owner's lock is held.
func (f *flight) end(err error) {
	if f.owner.flights[f.number] == f {
		delete(f.owner.flights, f.number)
		f.err = err
		close(f.done)
	}
}

// over reports whether no more acks are taken.
func (f *flight) over() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// await returns when every message is acknowledged, or when one cannot be. From then on the flight does not change.
func (j *Journal) await(ctx context.Context, f *flight) error {
	ctx, cancel := context.WithTimeoutCause(ctx, j.config.AckTimeout, errTimeout)
	defer cancel()
	select {
	case <-f.done:
	case <-ctx.Done():
		f.fail(fmt.Errorf("%w within %v", errTimeout, j.config.AckTimeout))
	}
	return f.err
}
