// Command rotki-bridge is the notification bridge: `serve` runs it, `publish` and `listen` are its two ends on the
// command line, `types` tells what the contract has, `connections`, `disconnect` and `token` are for its operators.
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
)

// cli is the command line. Every flag can also be set in the environment (--http-addr is ROTKI_BRIDGE_HTTP_ADDR) and,
// for serve, in a file; the command line wins over the environment, and the environment over the file.
type cli struct {
	Serve   serveCommand   `cmd:"" help:"Run the bridge."`
	Publish publishCommand `cmd:"" help:"Publish notifications, one JSON object per line."`
	Listen  listenCommand  `cmd:"" help:"Subscribe, and print the envelopes that come."`
	Types   typesCommand   `cmd:"" help:"List the notification types, or show one."`

	Connections connectionsCommand `cmd:"" help:"List who is subscribed, at all bridges of the stream."`
	Disconnect  disconnectCommand  `cmd:"" help:"End connections of subscribers, at all bridges of the stream."`
	Token       tokenCommand       `cmd:"" help:"Make and revoke tokens."`
}

// stdio is what a command reads and writes.
type stdio struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr}))
}

// run executes a command line and returns the exit status: 0, 1 when the command failed, 2 when it was not understood.
func run(ctx context.Context, args []string, streams stdio) int {
	exited := -1
	flags := new(cli)
	parser, err := kong.New(flags,
		kong.Name("rotki-bridge"),
		kong.Description("Typed notifications in over gRPC, rotki's JSON envelopes out over the websocket."),
		kong.Writers(streams.Out, streams.Err),
		kong.Exit(func(status int) { exited = status }),
		kong.DefaultEnvars(envPrefix),
		kong.UsageOnError(),
	)
	if err != nil {
		fmt.Fprintln(streams.Err, "rotki-bridge:", err)
		return 2
	}
	command, err := parser.Parse(args)
	if exited >= 0 {
		return exited // --help was all that was asked for
	}
	if err != nil {
		fmt.Fprintln(streams.Err, "rotki-bridge:", err)
		fmt.Fprintln(streams.Err, "See rotki-bridge --help.")
		return 2
	}
	command.BindTo(ctx, (*context.Context)(nil))
	if err := command.Run(streams, flags); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(streams.Err, "rotki-bridge:", err)
		return 1
	}
	return 0
}
