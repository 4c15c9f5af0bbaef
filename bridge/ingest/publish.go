package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

const (
	// window is how many requests of a stream may be on their way to being stored.
	window = 256
	// maxIDBytes is how long an idempotency key may be.
	maxIDBytes = 128
)

var errDraining = fmt.Errorf("draining: %w", ErrUnavailable)

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
	sink    Publisher
	stream  grpc.BidiStreamingServer[notificationsv1.PublishRequest, notificationsv1.PublishResponse]
	answers chan answer   // closed when the receiver has ended
	owed    atomic.Int32  // answers queued and not sent yet; only the receiver adds
	err     error         // why it has; set before answers is closed
	taking  chan struct{} // holds a token while a request is being taken
	done    chan struct{} // closed when the handler has returned

	// What is sent is put on the wire before Send returns, so that one response does for all that are accepted.
	response notificationsv1.PublishResponse
	accepted notificationsv1.PublishResponse_Accepted
}

// Publish implements NotificationServiceServer.
func (s *Server) Publish(stream grpc.BidiStreamingServer[notificationsv1.PublishRequest, notificationsv1.PublishResponse]) error {
	if !s.begin() {
		return s.streamError(errDraining)
	}
	defer s.streams.Done()
	p := &publishing{
		server:  s,
		sink:    s.config.Sink.Open(),
		stream:  stream,
		answers: make(chan answer, window),
		taking:  make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	defer close(p.done)
	s.receivers.Go(p.receive)
	return p.answerAll(stream.Context())
}

// answerAll sends the answers in order, until the receiver has ended and all are sent, or the server drains.
func (p *publishing) answerAll(ctx context.Context) error {
	draining := p.server.draining
	var stopped chan struct{} // set to taking once the server drains: whoever holds its token keeps requests out
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
			draining, stopped = nil, p.taking
		case stopped <- struct{}{}:
			return p.flush(ctx)
		}
	}
}

// flush sends what is owed when no more requests can be taken, and ends the stream.
func (p *publishing) flush(ctx context.Context) error {
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
			return p.server.streamError(errDraining)
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
	a := answer{id: echoed(in.request.GetId()), rejection: p.server.check(in)}
	if a.rejection == nil {
		pending, err := p.sink.Publish(ctx, &in.request)
		if err != nil {
			refused, ok := errors.AsType[*Rejection](err)
			if !ok {
				return err
			}
			a.rejection = refused
		}
		a.pending = pending
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

// result is what became of a request, as a metric label.
type result string

const (
	accepted  result = "accepted"
	duplicate result = "duplicate"
	rejected  result = "rejected"
)

func newPublishes(registerer prometheus.Registerer) map[result]prometheus.Counter {
	vector := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_publishes_total",
		Help: "Answered publish requests, by result.",
	}, []string{"result"})
	registerer.MustRegister(vector)
	counters := make(map[result]prometheus.Counter)
	for _, r := range []result{accepted, duplicate, rejected} {
		counters[r] = vector.WithLabelValues(string(r))
	}
	return counters
}
