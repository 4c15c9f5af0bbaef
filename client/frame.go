package client

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/rotki/notification-bridge/bridge/envelope"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// frame is a PublishRequest in its protobuf encoding.
type frame []byte

// newFrame encodes a request. What protobuf cannot encode, which is text that is not valid UTF-8, is refused with a
// *RejectedError.
func newFrame(id string, n *notificationsv1.Notification, recipients []string) (frame, error) {
	request := &notificationsv1.PublishRequest{Id: id, Notification: n, Recipients: recipients}
	encoded, err := proto.Marshal(request)
	if err != nil {
		return nil, malformed(request, err)
	}
	return encoded, nil
}

// malformed finds the field for which protobuf refused to encode a request; protobuf itself names only its kind.
func malformed(request *notificationsv1.PublishRequest, err error) *RejectedError {
	refuse := func(field, message string) *RejectedError {
		return &RejectedError{Reason: notificationsv1.Reason_REASON_MALFORMED, Field: field, Message: message}
	}
	if !utf8.ValidString(request.GetId()) {
		return refuse("id", "is not valid UTF-8")
	}
	for i, recipient := range request.GetRecipients() {
		if !utf8.ValidString(recipient) {
			return refuse(fmt.Sprintf("recipients[%d]", i), "is not valid UTF-8")
		}
	}
	if c, compileErr := contract(); compileErr == nil {
		_, encodeErr := c.Encode(request.GetNotification())
		if refused := (*envelope.Error)(nil); errors.As(encodeErr, &refused) {
			return refuse(refused.Field, refused.Problem)
		}
	}
	return refuse("", err.Error())
}

// frameCodec sends frames as they are, so that a request is encoded once however often it is sent, and reads
// protobuf messages.
type frameCodec struct {
	proto encoding.CodecV2
}

func newFrameCodec() frameCodec {
	return frameCodec{proto: encoding.GetCodecV2(grpcproto.Name)}
}

// Marshal implements encoding.CodecV2.
func (c frameCodec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(frame); ok {
		return mem.BufferSlice{mem.SliceBuffer(f)}, nil
	}
	return c.proto.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c frameCodec) Unmarshal(data mem.BufferSlice, v any) error { return c.proto.Unmarshal(data, v) }

// Name implements encoding.CodecV2. The bytes are protobuf's.
func (c frameCodec) Name() string { return grpcproto.Name }
