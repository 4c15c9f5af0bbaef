//go:build linux

// Command bench measures the bridge beside servers that do no more than they must, on the same machine and by turns,
// and prints the ratios beside their targets. `bench run` drives; the servers are processes of their own: the bridge's
// binary, and this one again as `bench baseline NAME`.
//
// # Concurrency
//
// One goroutine takes the steps, one after the other. While one runs there are, beside it, the load generator's threads
// and a goroutine for the answers of each Publish stream.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/rotki/notification-bridge/cmd/bench/baseline"
)

// cli is the command line.
type cli struct {
	Run      runCommand      `cmd:"" default:"withargs" help:"Measure."`
	Baseline baselineCommand `cmd:"" hidden:"" help:"Run a server to measure against; bench run does that."`
}

// baselineCommand runs a baseline, in a process that bench run has started.
type baselineCommand struct {
	baseline.Config
}

// Run serves until the process is killed.
func (c *baselineCommand) Run(streams stdio) error { return baseline.Serve(c.Config, streams.Err) }

// stdio is what a command writes.
type stdio struct {
	Out io.Writer
	Err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(execute(ctx, os.Args[1:], stdio{os.Stdout, os.Stderr}))
}

// execute runs a command line and returns the exit status: 0, 1 when the command failed, 2 when it was not understood.
func execute(ctx context.Context, args []string, streams stdio) int {
	exited := -1
	flags := new(cli)
	parser, err := kong.New(flags,
		kong.Name("bench"),
		kong.Description("What the bridge takes, beside servers that do no more than they must."),
		kong.Writers(streams.Out, streams.Err),
		kong.Exit(func(status int) { exited = status }),
		kong.Vars{"scenarios": scenarioNames()},
	)
	if err != nil {
		fmt.Fprintln(streams.Err, "bench:", err)
		return 2
	}
	command, err := parser.Parse(args)
	if exited >= 0 {
		return exited // --help was all that was asked for
	}
	if err != nil {
		fmt.Fprintln(streams.Err, "bench:", err)
		fmt.Fprintln(streams.Err, "See bench --help.")
		return 2
	}
	command.BindTo(ctx, (*context.Context)(nil))
	if err := command.Run(streams); err != nil {
		if !errors.Is(err, errIncomplete) { // which the report has said
			fmt.Fprintln(streams.Err, "bench:", err)
		}
		return 1
	}
	return 0
}
