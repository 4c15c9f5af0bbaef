//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress says what goes on: a line per step, and on a terminal a bar below.
type progress struct {
	to        io.Writer
	bar       *progressbar.ProgressBar // nil unless to is a terminal
	start     time.Time
	step, all int
}

func newProgress(to io.Writer, steps int) *progress {
	p := &progress{to: to, start: time.Now(), all: steps}
	if f, ok := to.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions(steps,
			progressbar.OptionSetWriter(to),
			progressbar.OptionShowCount(),
			progressbar.OptionSetSpinnerChangeInterval(0), // it would take a goroutine that nobody waits for
			progressbar.OptionClearOnFinish(),
		)
	}
	return p
}

// begin shows what is measured now.
func (p *progress) begin(step string) {
	if p.bar != nil {
		p.bar.Describe(step)
	}
}

// done prints what a step has measured.
func (p *progress) done(step, result string) { p.advance("%s: %s", step, result) }

// failed prints why a step has measured nothing.
func (p *progress) failed(step string, err error) { p.advance("%s: FAILED: %v", step, err) }

func (p *progress) advance(format string, args ...any) {
	p.step++
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	elapsed := time.Since(p.start).Round(time.Second)
	fmt.Fprintf(p.to, "[%d/%d %v] %s\n", p.step, p.all, elapsed, fmt.Sprintf(format, args...))
	if p.bar != nil {
		_ = p.bar.Add(1)
	}
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
