package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rotki/notification-bridge/bridge/envelope"
	"github.com/rotki/notification-bridge/client"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

const (
	// maxLine is the longest line that is looked at, in bytes.
	maxLine = 64 << 20
	// publishWindow is how many lines may be on their way to the bridge.
	publishWindow = 1024
)

// publishCommand publishes lines of JSON.
type publishCommand struct {
	File     string        `arg:"" optional:"" default:"-" help:"File to read, - for standard input. Each line is an envelope {\"type\": …, \"data\": …} or a Notification in protobuf's JSON; empty lines are skipped."`
	GRPCAddr string        `name:"grpc-addr" default:"127.0.0.1:5044" placeholder:"HOST:PORT" help:"Where the bridge takes notifications (${default})."`
	IDPrefix string        `name:"id-prefix" placeholder:"PREFIX" help:"Give each notification the id PREFIX and its line number, so that a run which was cut off can be repeated, within the bridge's dedup window, and nothing is delivered twice. Random ids without it."`
	Timeout  time.Duration `default:"30s" placeholder:"DURATION" help:"Give up when the bridge cannot be reached for so long (${default}); 0 never gives up."`
}

// Run publishes all lines. The error says why not all were accepted.
func (c *publishCommand) Run(ctx context.Context, streams stdio) error {
	contract, err := envelope.Compile((*notificationsv1.Notification)(nil).ProtoReflect().Descriptor())
	if err != nil {
		return err
	}
	input, err := c.open(streams.In)
	if err != nil {
		return err
	}
	defer input.Close()
	tally := newTally(streams.Err, sizeOf(input), c.IDPrefix != "")
	working, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	patience := patience{limit: c.Timeout, over: func() {
		giveUp(fmt.Errorf("gave up: no bridge could be reached at %s for %v; check that `rotki-bridge serve` runs there and that --grpc-addr is its gRPC address, not its websocket's", c.GRPCAddr, c.Timeout))
	}}
	publisher, err := client.NewPublisher(client.PublisherConfig{
		Addr:      c.GRPCAddr,
		Window:    publishWindow,
		OnConnect: patience.stop,
		OnOutage: func(err error) {
			patience.start()
			tally.say("cannot reach the bridge at %s, retrying: %s", c.GRPCAddr, plain(err))
		},
	})
	if err != nil {
		return err
	}
	r := &reading{command: c, contract: contract, publisher: publisher, tally: tally, lines: make(chan line, publishWindow)}
	// Nobody waits for it when working is done first: a read from a terminal or a pipe cannot be cut short.
	go r.run(working, input)
	stopped := settleAll(working, r.lines, tally)
	if stopped == nil {
		stopped = r.err // run has closed lines
	} else {
		giveUp(nil)
	}
	closing, cancel := context.WithTimeout(working, 5*time.Second)
	defer cancel()
	_ = publisher.Close(closing) // what it says is in the tally already
	patience.stop()
	settleRest(r.lines, tally)
	if stopped != nil && ctx.Err() != nil {
		stopped = errors.New("interrupted before all was published") // for a server that is no failure, here it is
	}
	tally.summarize()
	return tally.verdict(stopped)
}

func (c *publishCommand) open(in io.Reader) (io.ReadCloser, error) {
	if c.File != "-" {
		return os.Open(c.File)
	}
	if f, ok := in.(*os.File); ok {
		return f, nil
	}
	return io.NopCloser(in), nil
}

// sizeOf returns the size of a regular file, -1 for everything else.
func sizeOf(input io.Reader) int64 {
	if f, ok := input.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
			return info.Size()
		}
	}
	return -1
}

// line is one line on its way: either refused here, or on its way to the bridge.
type line struct {
	number  int
	bytes   int // with the empty ones before it
	refused error
	pending *client.Pending
}

// reading reads the lines and hands them to the publisher.
type reading struct {
	command   *publishCommand
	contract  *envelope.Contract
	publisher *client.Publisher
	tally     *tally
	lines     chan line // closed when all are read, or err is set
	err       error
}

func (r *reading) run(ctx context.Context, input io.Reader) {
	defer close(r.lines)
	buffered := bufio.NewReaderSize(input, 64<<10)
	l := line{}
	for {
		l.number++
		text, n, err := readLine(buffered)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				r.err = fmt.Errorf("read line %d: %w", l.number, err)
			}
			return
		}
		l.bytes += n
		if n <= maxLine && len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		r.tally.begin(l.number)
		if l.pending, l.refused = r.publish(ctx, l.number, text, n); ctx.Err() != nil {
			return
		}
		select {
		case r.lines <- l:
		case <-ctx.Done():
			return
		}
		l = line{number: l.number}
	}
}

func (r *reading) publish(ctx context.Context, number int, text []byte, n int) (*client.Pending, error) {
	if n > maxLine {
		return nil, fmt.Errorf("the line has %d bytes, at most %d are possible", n, maxLine)
	}
	notification, err := parseNotification(r.contract, text)
	if err != nil {
		return nil, err
	}
	var options []client.PublishOption
	if r.command.IDPrefix != "" {
		options = append(options, client.WithID(r.command.IDPrefix+strconv.Itoa(number)))
	}
	return r.publisher.PublishAsync(ctx, notification, options...)
}

// readLine returns a line, with its end as far as it has one, and its length; of one longer than maxLine only the
// length. The last line is followed by io.EOF.
func readLine(r *bufio.Reader) (text []byte, n int, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if n += len(part); n <= maxLine {
			text = append(text, part...)
		} else {
			text = nil
		}
		switch {
		case err == nil, errors.Is(err, io.EOF) && n > 0:
			return text, n, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, 0, err
		}
	}
}

// parseNotification reads an envelope, or, when there is no key "type", protobuf's JSON.
func parseNotification(contract *envelope.Contract, text []byte) (*notificationsv1.Notification, error) {
	var keys struct {
		Type jsontext.Value `json:"type"`
	}
	n := new(notificationsv1.Notification)
	if json.Unmarshal(text, &keys) != nil || keys.Type != nil {
		return n, contract.Decode(text, n) // which says best what is wrong
	}
	if err := protojson.Unmarshal(text, n); err != nil {
		// protobuf varies the space after its name, so that nobody depends on the text.
		text := strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")
		return nil, errors.New(strings.Replace(text, "(line 1:", "(column ", 1))
	}
	return n, nil
}

// settleAll waits for the answer to every line, in order. The error says why it stopped before the last.
func settleAll(ctx context.Context, lines <-chan line, t *tally) error {
	for {
		select {
		case l, more := <-lines:
			if !more {
				return context.Cause(ctx) // if set, not all lines are in there
			}
			if err := settle(ctx, l, t); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// settleRest counts what was answered before the publisher was closed; the rest stays unacknowledged.
func settleRest(lines <-chan line, t *tally) {
	for {
		select {
		case l, more := <-lines:
			if !more {
				return
			}
			_ = settle(context.Background(), l, t)
		default:
			return
		}
	}
}

// settle waits for the answer to one line. The error is set when there is none.
func settle(ctx context.Context, l line, t *tally) error {
	var accepted client.Accepted
	err := l.refused
	if l.pending != nil {
		accepted, err = l.pending.Wait(ctx)
	}
	if refused := (*client.RejectedError)(nil); err != nil && l.pending != nil && !errors.As(err, &refused) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	t.settle(l, accepted, err)
	return nil
}

// patience is the time for which a bridge may be out of reach.
type patience struct {
	limit time.Duration
	over  func()

	mu    sync.Mutex
	timer *time.Timer // nil unless it runs
}

func (p *patience) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit > 0 && p.timer == nil {
		p.timer = time.AfterFunc(p.limit, p.over)
	}
}

func (p *patience) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

// tally counts what becomes of the lines and says what the user should know. Safe for concurrent use.
type tally struct {
	mu                            sync.Mutex
	to                            io.Writer
	bar                           *progressbar.ProgressBar // nil unless to is a terminal
	inBytes                       bool                     // what the bar counts
	repeatable                    bool                     // the ids are not random: else a duplicate is only a lost answer
	open                          map[int]struct{}         // numbers of the lines that were read and not settled
	accepted, refused, duplicates int
}

func newTally(to io.Writer, size int64, repeatable bool) *tally {
	t := &tally{to: to, inBytes: size > 0, repeatable: repeatable, open: make(map[int]struct{})}
	if f, ok := to.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		options := []progressbar.Option{
			progressbar.OptionSetWriter(to),
			progressbar.OptionSetDescription("publishing"),
			progressbar.OptionShowBytes(t.inBytes),
			progressbar.OptionThrottle(100 * time.Millisecond),
			progressbar.OptionSetSpinnerChangeInterval(0), // it would take a goroutine that nobody waits for
			progressbar.OptionClearOnFinish(),
		}
		if !t.inBytes {
			options = append(options, progressbar.OptionShowIts(), progressbar.OptionSetItsString("lines"))
		}
		t.bar = progressbar.NewOptions64(size, options...)
	}
	return t
}

// say prints a line above the progress bar.
func (t *tally) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.print(format, args...)
}

func (t *tally) print(format string, args ...any) {
	if t.bar != nil {
		_ = t.bar.Clear()
	}
	fmt.Fprintf(t.to, format+"\n", args...)
}

// begin counts a line that was read.
func (t *tally) begin(number int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[number] = struct{}{}
}

// settle counts what became of a line; it was refused if err is not nil.
func (t *tally) settle(l line, accepted client.Accepted, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, l.number)
	switch {
	case err != nil:
		t.refused++
		t.print("line %d: %v", l.number, err)
	case accepted.Duplicate && t.repeatable:
		t.duplicates++
	default:
		t.accepted++
	}
	switch {
	case t.bar == nil:
	case t.inBytes:
		_ = t.bar.Add(l.bytes)
	default:
		_ = t.bar.Add(1)
	}
}

// summarize prints the counts, in which a duplicate is not among the accepted.
func (t *tally) summarize() {
	t.mu.Lock()
	defer t.mu.Unlock()
	lost := ""
	if len(t.open) > 0 {
		lost = fmt.Sprintf(", %d not acknowledged", len(t.open))
	}
	t.print("%d accepted, %d refused, %d duplicates%s", t.accepted, t.refused, t.duplicates, lost)
}

// verdict returns nil if every line was accepted, now or before. stopped is why not all lines were settled, if so.
func (t *tally) verdict(stopped error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if stopped == nil && t.refused > 0 {
		return fmt.Errorf("lines refused: %d of %d", t.refused, t.refused+t.accepted+t.duplicates)
	}
	if stopped == nil || len(t.open) == 0 {
		return stopped
	}
	first := 0
	for number := range t.open {
		if first == 0 || number < first {
			first = number
		}
	}
	return fmt.Errorf("%w; lines not acknowledged: %d, from line %d on (the bridge may have got some)", stopped, len(t.open), first)
}

// plain returns what gRPC says in its many words about why it cannot connect.
func plain(err error) string {
	text := status.Convert(err).Message()
	if i := strings.LastIndex(text, "desc = "); i >= 0 {
		if inner, err := strconv.Unquote(text[i+len("desc = "):]); err == nil {
			text = inner
		}
	}
	return strings.TrimPrefix(text, "transport: Error while dialing: ")
}
