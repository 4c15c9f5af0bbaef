package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/status"

	"github.com/rotki/notification-bridge/bridge/envelope"
	"github.com/rotki/notification-bridge/client"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// publishWindow is how many lines may be on their way to the bridge.
const publishWindow = 1024

// publishCommand publishes lines of JSON.
type publishCommand struct {
	File     string        `arg:"" optional:"" default:"-" help:"File to read, - for standard input. Each line is an envelope {\"type\": …, \"data\": …} or a Notification in protobuf's JSON; empty lines are skipped."`
	GRPCAddr string        `name:"grpc-addr" default:"127.0.0.1:5044" placeholder:"HOST:PORT" help:"Where the bridge takes notifications (${default})."`
	IDPrefix string        `name:"id-prefix" placeholder:"PREFIX" help:"Give each notification the id PREFIX and its line number, so that a run which was cut off can be repeated, within the bridge's dedup window, and nothing is delivered twice. Random ids without it."`
	Timeout  time.Duration `default:"30s" placeholder:"DURATION" help:"Give up when the bridge cannot be reached for so long (${default}); 0 never gives up."`
	tokenFlag
	tlsFlags
}

// Run publishes all lines. The error says why not all were accepted.
func (c *publishCommand) Run(ctx context.Context, streams stdio) error {
	contract, err := envelope.Compile((*notificationsv1.Notification)(nil).ProtoReflect().Descriptor())
	if err != nil {
		return err
	}
	token, err := c.source()
	if err != nil {
		return err
	}
	encryption, err := c.config()
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
		Token:     token,
		TLS:       encryption,
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
