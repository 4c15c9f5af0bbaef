package jetstream_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// nats-server's own: it waits half a minute for the origin of a mirror that is gone already.
	mirror := goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.(*stream).setupMirrorConsumer.func3")
	// A server that is shut down while a bucket is being made may leave the bucket's file open, and what belongs to it.
	file := goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.(*fileStore).flushStreamStateLoop")
	times := goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1")
	goleak.VerifyTestMain(tests{m}, mirror, file, times)
}

// tests are the package's, and the cluster that they share ends with them.
type tests struct{ *testing.M }

func (t tests) Run() int {
	defer stopShared()
	return t.M.Run()
}
