package client

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"google.golang.org/grpc/status"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// outbox holds what the bridge has not answered, in the order in which it was published.
type outbox struct {
	window chan struct{} // holds a token for each notification in unanswered
	closed chan struct{}
	news   chan struct{} // of capacity 1, for the one goroutine that waits: something was put, or it was closed

	mu         sync.Mutex
	unanswered []*Pending
	sent       int // how many of unanswered are on the current stream
	closing    bool
	lost       int   // how many were failed, not refused, after it was closed
	lostTo     error // why the last of them was
}

func newOutbox(window int) *outbox {
	return &outbox{
		window: make(chan struct{}, window),
		closed: make(chan struct{}),
		news:   make(chan struct{}, 1),
	}
}

// put appends a notification. It waits while the window is full.
func (o *outbox) put(ctx context.Context, p *Pending) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case o.window <- struct{}{}:
	case <-o.closed:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("wait for room in the window: %w", ctx.Err())
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing {
		<-o.window
		return ErrClosed
	}
	o.unanswered = append(o.unanswered, p)
	o.wake()
	return nil
}

// close refuses whatever is put from now on. It may be called more than once.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closing {
		o.closing = true
		close(o.closed)
		o.wake()
	}
}

func (o *outbox) wake() {
	select {
	case o.news <- struct{}{}:
	default:
	}
}

// wait returns true once there is something to send, and false when there never will be or ctx is done.
func (o *outbox) wait(ctx context.Context) bool {
	for ctx.Err() == nil {
		o.mu.Lock()
		some, closing := len(o.unanswered) > 0, o.closing
		o.mu.Unlock()
		if some || closing {
			return some
		}
		select {
		case <-o.news:
		case <-ctx.Done():
		}
	}
	return false
}

// next returns the frame to send next, and nil when there is none: then last says that none will come.
func (o *outbox) next() (f frame, last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent == len(o.unanswered) {
		return nil, o.closing
	}
	o.sent++
	return o.unanswered[o.sent-1].frame, false
}

// rewind makes next start over with the oldest that was not answered. The stream must have ended.
func (o *outbox) rewind() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent = 0
}

// size returns how many are not answered.
func (o *outbox) size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.unanswered)
}

// answer settles the oldest with the bridge's answer to it. The error says how the answer breaks the protocol.
func (o *outbox) answer(response *notificationsv1.PublishResponse) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent == 0 {
		return fmt.Errorf("the bridge answered %q, but nothing was unanswered", response.GetId())
	}
	oldest := o.unanswered[0]
	if response.GetId() != oldest.id {
		return fmt.Errorf("the bridge answered %q when %q was next", response.GetId(), oldest.id)
	}
	switch result := response.GetResult().(type) {
	case *notificationsv1.PublishResponse_Accepted:
		o.settleOldest(Accepted{
			Position:    result.Accepted.GetPosition(),
			Subscribers: int(result.Accepted.GetSubscribers()),
			Duplicate:   result.Accepted.GetDuplicate(),
		}, nil)
	case *notificationsv1.PublishResponse_Rejected:
		o.settleOldest(Accepted{}, rejected(result.Rejected))
	default:
		return fmt.Errorf("the bridge's answer to %q says neither accepted nor rejected", response.GetId())
	}
	return nil
}

// rejectLargest fails one notification for which the bridge, or gRPC on this side, ended the stream because it is too
// large. Which one that was is not said, and some before it may be unanswered. But whatever the limit is, the largest
// that was sent is beyond it. It returns false if none was sent.
func (o *outbox) rejectLargest(cause error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent == 0 {
		return false
	}
	largest := 0
	for i, p := range o.unanswered[:o.sent] {
		if len(p.frame) > len(o.unanswered[largest].frame) {
			largest = i
		}
	}
	p := o.unanswered[largest]
	o.unanswered = slices.Delete(o.unanswered, largest, largest+1)
	o.sent--
	o.settle(p, Accepted{}, &RejectedError{
		Reason:  notificationsv1.Reason_REASON_TOO_LARGE,
		Message: fmt.Sprintf("the request has %d bytes, which is more than gRPC takes: %s", len(p.frame), status.Convert(cause).Message()),
	})
	return true
}

// failAll fails all there are and returns how many that was.
func (o *outbox) failAll(err error) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(o.unanswered)
	if o.closing && n > 0 {
		o.lost, o.lostTo = o.lost+n, err
	}
	for len(o.unanswered) > 0 {
		o.settleOldest(Accepted{}, err)
	}
	return n
}

// losses returns how many were failed, not refused, after the outbox was closed, and why.
func (o *outbox) losses() (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lost, o.lostTo
}

func (o *outbox) settleOldest(accepted Accepted, err error) {
	oldest := o.unanswered[0]
	o.unanswered[0] = nil
	o.unanswered = o.unanswered[1:]
	o.sent = max(o.sent-1, 0)
	o.settle(oldest, accepted, err)
}

// settle settles one that was taken out of unanswered.
func (o *outbox) settle(p *Pending, accepted Accepted, err error) {
	p.settle(accepted, err)
	<-o.window
}
