//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rotki/notification-bridge/cmd/bench/load"
)

// runCommand measures.
type runCommand struct {
	Bridge string        `default:"bin/rotki-bridge" placeholder:"FILE" help:"The bridge's binary (${default})."`
	Rounds int           `default:"3" help:"How often each server's turn comes (${default})."`
	JSON   string        `name:"json" placeholder:"FILE" help:"Write every value as JSON, too."`
	Only   []string      `placeholder:"NAME,..." help:"Only these scenarios: ${scenarios}."`
	Scale  float64       `default:"1" help:"What part of the subscribers, messages and times to take (${default})."`
	Budget time.Duration `default:"25m" help:"Stop after this time, and print what there is (${default})."`
}

// errIncomplete says that a run failed or did not have its turn.
var errIncomplete = errors.New("not everything was measured")

// runTimeout is how long a run may take at the most.
const runTimeout = 2 * time.Minute

// Run measures and reports.
func (c *runCommand) Run(ctx context.Context, streams stdio) error {
	if c.Rounds < 1 || c.Scale <= 0 || c.Scale > 1 {
		return errors.New("--rounds must be 1 or more, --scale above 0 and at most 1")
	}
	if _, err := os.Stat(c.Bridge); err != nil {
		return fmt.Errorf("there is no bridge to measure, `make build` makes it: %w", err)
	}
	openFiles, err := load.RaiseFileLimit()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program, for the baselines: %w", err)
	}
	chosen, err := c.choose(scenarios(scale(c.Scale), openFiles))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Budget, fmt.Errorf("the budget of %v is used up", c.Budget))
	defer cancel()
	l := &lab{bridge: c.Bridge, self: self, rounds: c.Rounds, progress: newProgress(streams.Err, steps(chosen, c.Rounds))}
	r := newReport(c)
	for _, s := range chosen {
		r.add(s, l.take(ctx, s))
	}
	l.progress.end()
	r.Failures = l.failures
	if err := r.print(streams.Out); err != nil {
		return err
	}
	if c.JSON != "" {
		if err := r.write(c.JSON); err != nil {
			return err
		}
	}
	if len(r.Failures) > 0 {
		return errIncomplete
	}
	return nil
}

// choose returns the scenarios that were asked for.
func (c *runCommand) choose(all []scenario) ([]scenario, error) {
	for _, name := range c.Only {
		if !slices.ContainsFunc(all, func(s scenario) bool { return s.name == name }) {
			return nil, fmt.Errorf("there is no scenario %q; there are %s", name, scenarioNames())
		}
	}
	return slices.DeleteFunc(all, func(s scenario) bool {
		return len(c.Only) > 0 && !slices.Contains(c.Only, s.name)
	}), nil
}

// lab is where the runs are made.
type lab struct {
	bridge, self string // programs
	rounds       int
	progress     *progress
	failures     []string // runs that were not made, or not as they should be, and why
}

func (s scenario) turns(asked int) int {
	if s.rounds > 0 {
		return min(s.rounds, asked)
	}
	return asked
}

func steps(scenarios []scenario, rounds int) (n int) {
	for _, s := range scenarios {
		n += s.turns(rounds) * len(s.runs)
	}
	return n
}

// take makes the runs of a scenario by turns, and returns what they have measured, by their names.
func (l *lab) take(ctx context.Context, s scenario) map[string]rounds {
	taken := make(map[string]rounds, len(s.runs))
	for _, r := range s.runs {
		taken[r.name] = make(rounds)
	}
	for round := 1; round <= s.turns(l.rounds); round++ {
		for _, r := range s.runs {
			step := fmt.Sprintf("%s, %s, round %d of %d", s.name, r.name, round, s.turns(l.rounds))
			if ctx.Err() != nil {
				l.failures = append(l.failures, step+": "+context.Cause(ctx).Error())
				continue
			}
			l.progress.begin(step)
			measured, err := l.measure(ctx, r)
			if err != nil {
				l.failures = append(l.failures, step+": "+err.Error())
				l.progress.failed(step, err)
				continue
			}
			taken[r.name][round] = measured
			l.progress.done(step, measured.only(s.figures))
		}
	}
	return taken
}

func (l *lab) measure(ctx context.Context, r run) (figures, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, runTimeout, fmt.Errorf("it takes more than %v", runTimeout))
	defer cancel()
	return r.measure(ctx, l)
}

// only returns figures as text.
func (f figures) only(shown []figure) string {
	var text []string
	for _, name := range shown {
		if value, ok := f[name]; ok {
			text = append(text, fmt.Sprintf("%s %s", short(value), name))
		}
	}
	return strings.Join(text, ", ")
}
