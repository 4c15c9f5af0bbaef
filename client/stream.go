package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// run sends what is in the outbox, over one stream after the other, until the outbox is closed and empty or ctx is
// done.
func (p *Publisher) run(ctx context.Context) {
	defer p.conn.Close()
	pauses := pauses{bounds: p.config.Backoff}
	outage := false
	refused := "" // the last token that was, unless the bridge has answered something since
	for p.outbox.wait(ctx) {
		token, answered, err := p.stream(ctx)
		if answered {
			pauses.reset()
			outage, refused = false, ""
		}
		delay, limited := retryInfo(err)
		if limited {
			err = &laterError{err, delay}
		}
		tooLarge := status.Code(err) == codes.ResourceExhausted && !limited && p.outbox.rejectLargest(err)
		p.outbox.rewind()
		switch {
		case tooLarge && answered:
			continue
		case tooLarge, // in case it is about something else, each attempt costs a notification
			limited && answered:
			p.pause(ctx, pauses.pauseAfter(err))
			continue
		case final(err, token, refused):
			n := p.outbox.failAll(fmt.Errorf("publish to %s: %w", p.config.Addr, credentialError(err)))
			p.config.Logger.Error("the bridge lets this client publish nothing", "addr", p.config.Addr, "failed", n, "err", err)
			continue
		case isRefused(err):
			refused = token
		}
		unanswered := p.outbox.size()
		if unanswered == 0 || ctx.Err() != nil {
			continue
		}
		if !outage {
			outage = true
			p.config.Logger.Warn("the bridge cannot be reached, retrying", "addr", p.config.Addr, "unacknowledged", unanswered, "err", err)
			p.config.OnOutage(err)
		}
		p.pause(ctx, pauses.pauseAfter(err))
	}
	p.outbox.failAll(fmt.Errorf("%w; the bridge had not answered", ErrClosed))
}

// errEnded: the bridge ended the stream with OK. It does so only after the publisher has.
var errEnded = errors.New("the bridge ended the stream")

// stream sends and receives on one stream until it ends, which is never without an error. token is what it showed to
// the bridge, answered whether that has answered anything.
func (p *Publisher) stream(ctx context.Context) (token string, answered bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	token, err = p.config.Token.take(ctx)
	if err != nil {
		return "", false, err
	}
	options := []grpc.CallOption{grpc.ForceCodecV2(newFrameCodec())}
	if token != "" {
		options = append(options, grpc.PerRPCCredentials(bearer{token, !isLoopback(p.config.Addr)}))
	}
	stream, err := p.conn.NewStream(ctx, &notificationsv1.NotificationService_ServiceDesc.Streams[0],
		notificationsv1.NotificationService_Publish_FullMethodName, options...)
	if err != nil {
		return token, false, err
	}
	var sending sync.WaitGroup
	var sendErr error
	sending.Go(func() { sendErr = p.sendAll(ctx, stream) })
	answered, err = p.receiveAll(stream)
	cancel()
	sending.Wait()
	if status.Code(sendErr) == codes.ResourceExhausted {
		return token, answered, sendErr // this side's limit, of which the other knows nothing
	}
	return token, answered, err
}

// receiveAll takes the bridge's answers until the stream ends.
func (p *Publisher) receiveAll(stream grpc.ClientStream) (answered bool, err error) {
	for {
		response := new(notificationsv1.PublishResponse)
		if err := stream.RecvMsg(response); errors.Is(err, io.EOF) {
			return answered, errEnded
		} else if err != nil {
			return answered, err
		}
		if err := p.outbox.answer(response); err != nil {
			return answered, err
		}
		if !answered {
			answered = true
			p.config.Logger.Info("publishing", "addr", p.config.Addr)
			p.config.OnConnect()
		}
	}
}

// sendAll sends what is in the outbox, until that is closed or the stream ends. Why it has ended, RecvMsg says better.
func (p *Publisher) sendAll(ctx context.Context, stream grpc.ClientStream) error {
	for {
		switch next, last := p.outbox.next(); {
		case next != nil:
			if err := stream.SendMsg(next); err != nil {
				return err
			}
		case last:
			return stream.CloseSend()
		default:
			select {
			case <-p.outbox.news:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// pause waits for d. It returns earlier when ctx is done, or when gRPC, which tries to connect by itself with the
// same backoff, got through.
func (p *Publisher) pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	if p.conn.GetState() == connectivity.TransientFailure {
		p.conn.WaitForStateChange(ctx, connectivity.TransientFailure)
		return
	}
	<-ctx.Done()
}

// final reports whether another attempt would end like the one that ended with err: with the same token as before, or
// without one. A token that has expired may have been replaced.
func final(err error, token, refused string) bool {
	if isRefused(err) {
		return token == refused
	}
	return status.Code(err) == codes.Unimplemented
}

// isRefused reports whether the bridge does not accept the publisher's credential.
func isRefused(err error) bool {
	code := status.Code(err)
	return code == codes.Unauthenticated || code == codes.PermissionDenied
}

// credentialError returns an error about a credential as what it is.
func credentialError(err error) error {
	if s := status.Convert(err); isRefused(err) {
		return &CredentialError{Code: s.Code(), Message: s.Message()}
	}
	return err
}
