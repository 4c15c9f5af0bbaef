package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/rotki/notification-bridge/client"
)

// patience is the time for which a bridge may be out of reach.
type patience struct {
	limit time.Duration
	over  func()

	mu    sync.Mutex
	timer *time.Timer // nil unless it runs
}

func (p *patience) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit > 0 && p.timer == nil {
		p.timer = time.AfterFunc(p.limit, p.over)
	}
}

func (p *patience) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

// tally counts what becomes of the lines and says what the user should know. Safe for concurrent use.
type tally struct {
	mu                            sync.Mutex
	to                            io.Writer
	bar                           *progressbar.ProgressBar // nil unless to is a terminal
	inBytes                       bool                     // what the bar counts
	repeatable                    bool                     // the ids are not random: else a duplicate is only a lost answer
	open                          map[int]struct{}         // numbers of the lines that were read and not settled
	accepted, refused, duplicates int
}

func newTally(to io.Writer, size int64, repeatable bool) *tally {
	t := &tally{to: to, inBytes: size > 0, repeatable: repeatable, open: make(map[int]struct{})}
	if f, ok := to.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		options := []progressbar.Option{
			progressbar.OptionSetWriter(to),
			progressbar.OptionSetDescription("publishing"),
			progressbar.OptionShowBytes(t.inBytes),
			progressbar.OptionThrottle(100 * time.Millisecond),
			progressbar.OptionSetSpinnerChangeInterval(0), // it would take a goroutine that nobody waits for
			progressbar.OptionClearOnFinish(),
		}
		if !t.inBytes {
			options = append(options, progressbar.OptionShowIts(), progressbar.OptionSetItsString("lines"))
		}
		t.bar = progressbar.NewOptions64(size, options...)
	}
	return t
}

// say prints a line above the progress bar.
func (t *tally) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.print(format, args...)
}

func (t *tally) print(format string, args ...any) {
	if t.bar != nil {
		_ = t.bar.Clear()
	}
	fmt.Fprintf(t.to, format+"\n", args...)
}

// begin counts a line that was read.
func (t *tally) begin(number int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[number] = struct{}{}
}

// settle counts what became of a line; it was refused if err is not nil.
func (t *tally) settle(l line, accepted client.Accepted, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, l.number)
	switch {
	case err != nil:
		t.refused++
		t.print("line %d: %v", l.number, err)
	case accepted.Duplicate && t.repeatable:
		t.duplicates++
	default:
		t.accepted++
	}
	switch {
	case t.bar == nil:
	case t.inBytes:
		_ = t.bar.Add(l.bytes)
	default:
		_ = t.bar.Add(1)
	}
}

// summarize prints the counts, in which a duplicate is not among the accepted.
func (t *tally) summarize() {
	t.mu.Lock()
	defer t.mu.Unlock()
	lost := ""
	if len(t.open) > 0 {
		lost = fmt.Sprintf(", %d not acknowledged", len(t.open))
	}
	t.print("%d accepted, %d refused, %d duplicates%s", t.accepted, t.refused, t.duplicates, lost)
}

// verdict returns nil if every line was accepted, now or before. stopped is why not all lines were settled, if so.
func (t *tally) verdict(stopped error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if stopped == nil && t.refused > 0 {
		return fmt.Errorf("lines refused: %d of %d", t.refused, t.refused+t.accepted+t.duplicates)
	}
	if stopped == nil || len(t.open) == 0 {
		return stopped
	}
	first := 0
	for number := range t.open {
		if first == 0 || number < first {
			first = number
		}
	}
	return fmt.Errorf("%w; lines not acknowledged: %d, from line %d on (the bridge may have got some)", stopped, len(t.open), first)
}
