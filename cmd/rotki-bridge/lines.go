package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rotki/notification-bridge/bridge/envelope"
	"github.com/rotki/notification-bridge/client"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// maxLine is the longest line that is looked at, in bytes.
const maxLine = 64 << 20

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
