package jetstream_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/rotki/notification-bridge/bridge/journal"
	"github.com/rotki/notification-bridge/bridge/journal/conformance"
	"github.com/rotki/notification-bridge/bridge/journal/jetstream"
)

// window is what conformance asks of each journal.
var window = journal.WindowConfig{Messages: conformance.Keep}

func TestConformsInProcess(t *testing.T) {
	for name, inMemory := range map[string]bool{"memory": true, "file": false} {
		t.Run(name, func(t *testing.T) {
			conformance.Run(t, func(t *testing.T) journal.Journal {
				return open(t, jetstream.Config{Server: embedded(t, jetstream.ServerConfig{}), InMemory: inMemory, Window: window})
			})
		})
	}
}

func TestConformsInProcessWithSync(t *testing.T) {
	conformance.Run(t, func(t *testing.T) journal.Journal {
		return open(t, jetstream.Config{Server: embedded(t, jetstream.ServerConfig{SyncAlways: true}), Window: window})
	})
}

// TestConformsWhenItForgets: the stream keeps little more than the window, so that positions are lost there too.
func TestConformsWhenItForgets(t *testing.T) {
	conformance.Run(t, func(t *testing.T) journal.Journal {
		return open(t, jetstream.Config{Server: embedded(t, jetstream.ServerConfig{}), Messages: conformance.Keep + 20, Window: window})
	})
}

var streams atomic.Int64

// streamName returns a name that no other test has.
func streamName() string { return fmt.Sprintf("test-%d", streams.Add(1)) }

func TestConformsOnACluster(t *testing.T) {
	c := sharedCluster(t)
	conformance.Run(t, func(t *testing.T) journal.Journal {
		return open(t, jetstream.Config{URLs: c.urls(), Stream: streamName(), Replicas: 3, Window: window})
	})
}
