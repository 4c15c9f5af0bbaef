package journal_test

import (
	"testing"

	"github.com/rotki/notification-bridge/bridge/journal"
)

func TestPositionText(t *testing.T) {
	if got := (journal.Position{Epoch: 0xc0ffee, Seq: 42}).String(); got != "0000000000c0ffee-42" {
		t.Errorf("got %s", got)
	}
}
