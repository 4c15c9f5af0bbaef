package ingest

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto" // also registers the codec that is wrapped here
	"google.golang.org/grpc/mem"
	googleproto "google.golang.org/protobuf/proto"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// incoming is a request as it came off the wire.
type incoming struct {
	request   notificationsv1.PublishRequest
	size      int
	malformed error
}

// codec is gRPC's own, but that a PublishRequest which cannot be decoded is handed over as such. Otherwise gRPC would
// end the stream, and with it every request behind the bad one.
type codec struct {
	encoding.CodecV2
}

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	in, ok := v.(*incoming)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	buffer := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buffer.Free()
	in.size = data.Len()
	in.malformed = googleproto.Unmarshal(buffer.ReadOnlyData(), &in.request)
	return nil
}
