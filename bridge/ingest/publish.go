package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"

	"github.com/rotki/notification-bridge/bridge/auth"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

const (
	// window is how many requests of a stream may be on their way to being stored.
	window = 256
	// maxIDBytes is how long an idempotency key may be.
	maxIDBytes = 128
)

var (
	errDraining = fmt.Errorf("draining: %w", ErrUnavailable)
	errHeld     = fmt.Errorf("it is not known whether the token was revoked: %w", ErrUnavailable)
)

// answer is what is owed for one request: a rejection, or what comes of the pending.
type answer struct {
	id        string
	pending   Pending
	rejection *Rejection
}

// publishing is one Publish stream. Its receiver takes requests and sends the answers that need no waiting, as long
// as none is owed; else it queues them, and gRPC's goroutine sends them. Only one of the two ever sends at a time.
//
// The receiver sends what it can itself because gRPC, when a request is beyond the hard limit, ends the stream from
// within RecvMsg: what was answered before that call gets out, anything later does not.
type publishing struct {
	server  *Server
	caller  auth.Caller
	account account
	sink    Publisher
	stream  grpc.BidiStreamingServer[notificationsv1.PublishRequest, notificationsv1.PublishResponse]
	answers chan answer   // closed when the receiver has ended
	owed    atomic.Int32  // answers queued and not sent yet; only the receiver adds
	err     error         // why it has; set before answers is closed
	taking  chan struct{} // holds a token while a request is being taken
	done    chan struct{} // closed when the handler has returned

	gate  sync.Mutex    // held while a request is handed to the sink
	shut  error         // why no more are, if so; guarded by gate
	ended chan struct{} // closed once shut is set, which it is once

	// What is sent is put on the wire before Send returns, so that one response does for all that are accepted.
	response notificationsv1.PublishResponse
	accepted notificationsv1.PublishResponse_Accepted
}

// Publish implements NotificationServiceServer.
func (s *Server) Publish(stream grpc.BidiStreamingServer[notificationsv1.PublishRequest, notificationsv1.PublishResponse]) error {
	ctx := stream.Context()
	p := &publishing{
		server:  s,
		caller:  auth.FromContext(ctx),
		account: accountOf(ctx),
		stream:  stream,
		answers: make(chan answer, window),
		taking:  make(chan struct{}, 1),
		ended:   make(chan struct{}),
		done:    make(chan struct{}),
	}
	if err := s.begin(ctx, p); err != nil {
		return err
	}
	defer s.streams.remove(p)
	p.recheck() // it may have been revoked since it was checked, and before a Recheck saw the stream
	p.sink = s.config.Sink.Open(p.caller)
	defer close(p.done)
	s.receivers.Go(p.receive)
	return p.answerAll(ctx)
}

// answerAll sends the answers in order, until the receiver has ended and all are sent, or no more may be taken.
func (p *publishing) answerAll(ctx context.Context) error {
	expiry := p.expiry()
	defer expiry.Stop()
	draining, ended := p.server.draining, p.ended
	var why error
	var stopped chan struct{} // set to taking once there is a why: whoever holds its token keeps requests out
	for {
		select {
		case a, ok := <-p.answers:
			if !ok {
				return p.server.streamError(p.err)
			}
			if err := p.pay(ctx, a); err != nil {
				return p.server.streamError(err)
			}
		case <-draining:
			why, draining, ended, stopped = errDraining, nil, nil, p.taking
		case <-ended:
			why, draining, ended, stopped = p.shut, nil, nil, p.taking
		case <-expiry.C:
			p.expire()
		case stopped <- struct{}{}:
			return p.flush(ctx, why)
		}
	}
}

// flush sends what is owed when no more requests can be taken, and ends the stream.
func (p *publishing) flush(ctx context.Context, why error) error {
	for {
		select {
		case a, ok := <-p.answers:
			if !ok {
				return p.server.streamError(p.err)
			}
			if err := p.pay(ctx, a); err != nil {
				return p.server.streamError(err)
			}
		default:
			return p.server.streamError(why)
		}
	}
}

// pay sends an answer that was queued.
func (p *publishing) pay(ctx context.Context, a answer) error {
	defer p.owed.Add(-1)
	return p.send(ctx, a)
}

func (p *publishing) send(ctx context.Context, a answer) error {
	if a.rejection != nil {
		p.server.publishes[rejected].Inc()
		return p.stream.Send(&notificationsv1.PublishResponse{
			Id: a.id, Result: &notificationsv1.PublishResponse_Rejected{Rejected: a.rejection.proto()},
		})
	}
	stored, err := a.pending.Wait(ctx)
	if err != nil {
		return err
	}
	if stored.GetDuplicate() {
		p.server.publishes[duplicate].Inc()
	} else {
		p.server.publishes[accepted].Inc()
	}
	p.accepted.Accepted = stored
	p.response.Id, p.response.Result = a.id, &p.accepted
	return p.stream.Send(&p.response)
}

// receive takes requests until the stream ends or no more may be taken.
func (p *publishing) receive() {
	defer close(p.answers)
	defer func() {
		if panicked := recover(); panicked != nil {
			p.err = p.server.recovered(p.stream.Context(), panicked)
		}
	}()
	for p.err == nil {
		in := new(incoming)
		if err := p.stream.RecvMsg(in); err != nil {
			if !errors.Is(err, io.EOF) {
				p.err = err
			}
			return
		}
		select {
		case p.taking <- struct{}{}:
		case <-p.done:
			return
		}
		if p.err = p.take(in); p.err == nil {
			<-p.taking
		}
	}
}

// take hands a request to the sink and sees to its answer. The error ends the stream.
func (p *publishing) take(in *incoming) error {
	ctx := p.stream.Context()
	a, err := p.admit(ctx, in)
	if err != nil {
		return err
	}
	if p.owed.Load() == 0 && (a.rejection != nil || a.pending.Settled()) {
		return p.send(ctx, a)
	}
	p.owed.Add(1)
	select {
	case p.answers <- a:
	case <-p.done:
	}
	return nil
}

// admit hands a request to the sink, unless its publisher may send none.
func (p *publishing) admit(ctx context.Context, in *incoming) (answer, error) {
	p.gate.Lock()
	defer p.gate.Unlock()
	if err := p.allowed(ctx); err != nil {
		return answer{}, err
	}
	a := answer{id: echoed(in.request.GetId()), rejection: p.server.check(in)}
	if a.rejection != nil {
		return a, nil
	}
	pending, err := p.sink.Publish(ctx, &in.request)
	if err != nil {
		refused, ok := errors.AsType[*Rejection](err)
		if !ok {
			return answer{}, err
		}
		a.rejection = refused
	}
	a.pending = pending
	return a, nil
}

// check refuses what no sink should have to look at.
func (s *Server) check(in *incoming) *Rejection {
	switch {
	case in.malformed != nil:
		return &Rejection{Reason: notificationsv1.Reason_REASON_MALFORMED, Message: "not a valid PublishRequest: " + in.malformed.Error()}
	case in.size > s.config.MaxMessageBytes:
		return &Rejection{
			Reason:  notificationsv1.Reason_REASON_TOO_LARGE,
			Message: fmt.Sprintf("the request has %d bytes, the bridge takes %d at most", in.size, s.config.MaxMessageBytes),
		}
	case len(in.request.GetId()) > maxIDBytes:
		return &Rejection{
			Reason: notificationsv1.Reason_REASON_INVALID_FIELD, Field: "id",
			Message: fmt.Sprintf("has %d bytes, at most %d are allowed", len(in.request.GetId()), maxIDBytes),
		}
	}
	return nil
}
