package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/rotki/notification-bridge/bridge/contract"
	"github.com/rotki/notification-bridge/bridge/contract/manual"
)

// typesCommand tells what the contract has.
type typesCommand struct {
	Contract string `placeholder:"FILE" help:"A descriptor image to tell of instead of the built-in contract."`

	List     typesListCommand     `cmd:"" default:"1" help:"List the notification types."`
	Show     typesShowCommand     `cmd:"" help:"Show one: its message, how to publish it, the envelope that comes of it."`
	Markdown typesMarkdownCommand `cmd:"" hidden:"" help:"Print the README's table of the messages, or bring a file's up to date."`
}

// manual returns the manual of the contract that was asked for.
func (c *typesCommand) manual() (*manual.Manual, error) {
	if c.Contract != "" {
		loaded, err := contract.Read(c.Contract)
		if err != nil {
			return nil, fmt.Errorf("--contract: %w", err)
		}
		return manual.New(loaded)
	}
	builtin, err := contract.Builtin()
	if err != nil {
		return nil, err
	}
	commented, err := contract.Load(builtin.Image())
	if err != nil {
		return nil, err
	}
	return manual.New(commented)
}

type typesListCommand struct{}

// Run prints one line a type.
func (*typesListCommand) Run(cli *cli, streams stdio) error {
	m, err := cli.Types.manual()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(streams.Out, 0, 0, 2, ' ', 0)
	for _, summary := range m.List() {
		fmt.Fprintf(table, "%s\t%s\n", summary.Name, summary.About)
	}
	return table.Flush()
}

type typesShowCommand struct {
	Name string `arg:"" help:"The type, as the envelope's \"type\" names it."`
}

// Run prints a page of Markdown.
func (c *typesShowCommand) Run(cli *cli, streams stdio) error {
	m, err := cli.Types.manual()
	if err != nil {
		return err
	}
	entry, err := m.Entry(c.Name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(streams.Out, entry.Markdown())
	return err
}

// The lines between which a file's table is.
const (
	tableBegin = "<!-- messages:begin -->\n"
	tableEnd   = "<!-- messages:end -->\n"
)

type typesMarkdownCommand struct {
	File string `arg:"" optional:"" help:"A file with the table between <!-- messages:begin --> and <!-- messages:end -->, which is replaced."`
}

// Run prints the table or writes it into the file, which it leaves alone when there is nothing to change.
func (c *typesMarkdownCommand) Run(cli *cli, streams stdio) error {
	m, err := cli.Types.manual()
	if err != nil {
		return err
	}
	table, err := m.Table()
	if err != nil {
		return err
	}
	if c.File == "" {
		_, err = fmt.Fprint(streams.Out, table)
		return err
	}
	before, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	head, rest, begun := strings.Cut(string(before), tableBegin)
	_, tail, ended := strings.Cut(rest, tableEnd)
	if !begun || !ended {
		return fmt.Errorf("%s has no line %q with a line %q after it", c.File, strings.TrimSpace(tableBegin), strings.TrimSpace(tableEnd))
	}
	after := []byte(head + tableBegin + "\n" + table + "\n" + tableEnd + tail)
	if bytes.Equal(before, after) {
		return nil
	}
	return os.WriteFile(c.File, after, 0o644)
}
