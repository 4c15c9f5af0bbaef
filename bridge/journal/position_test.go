package journal_test

import (
	"testing"

	"github.com/rotki/notification-bridge/bridge/journal"
)

func FuzzParsePosition(f *testing.F) {
	for _, text := range []string{"00000000c0ffee00-42", "c0ffee-1", "", "-", "00000000c0ffee00-042", "00000000C0FFEE00-1", "00000000c0ffee00-18446744073709551616"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := journal.ParsePosition(text); err == nil && p.String() != text {
			t.Errorf("%q was read as %q", text, p)
		}
	})
}

func TestParsePosition(t *testing.T) {
	want := journal.Position{Epoch: 0xc0ffee, Seq: 42}
	if got, err := journal.ParsePosition(want.String()); err != nil || got != want {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := journal.ParsePosition("42"); err == nil {
		t.Error("42 was taken for a position")
	}
}
