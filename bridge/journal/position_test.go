package journal_test

import (
	"math"
	"testing"

	"github.com/rotki/notification-bridge/bridge/journal"
)

func TestPositionText(t *testing.T) {
	if got := (journal.Position{Epoch: 0xc0ffee, Seq: 42}).String(); got != "0000000000c0ffee-42" {
		t.Errorf("got %s", got)
	}
}

func TestParsePosition(t *testing.T) {
	for _, p := range []journal.Position{{}, {Epoch: 0xc0ffee, Seq: 42}, {Epoch: math.MaxUint64, Seq: math.MaxUint64}} {
		if got, err := journal.ParsePosition(p.String()); got != p || err != nil {
			t.Errorf("%v became %v, %v", p, got, err)
		}
	}
	for _, text := range []string{
		"", "-", "42", "0000000000c0ffee", "0000000000c0ffee-", "0000000000c0ffee-042", "0000000000c0ffee-+42", "0000000000C0FFEE-42",
		"0000000000c0ffee-18446744073709551616", "+000000000c0ffee-42", "0000000000c0ffee 42", "0000000000c0ffee-42 ",
	} {
		if p, err := journal.ParsePosition(text); err == nil {
			t.Errorf("%q became %v", text, p)
		}
	}
}

func FuzzParsePosition(f *testing.F) {
	f.Add("0000000000c0ffee-42")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := journal.ParsePosition(text); err == nil && p.String() != text {
			t.Errorf("%q became %v", text, p)
		}
	})
}
