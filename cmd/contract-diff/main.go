// Contract-diff compares two generated JSON Schemas of the contract, and fails when a frontend that was written for the
// old one may break under the new one: what buf, which does not know the wire rules, cannot see.
//
//	contract-diff OLD NEW
//
// It prints a line for each finding and exits with 1 if there are any, with 2 if it cannot tell.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/rotki/notification-bridge/bridge/schema"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: contract-diff OLD NEW")
		os.Exit(2)
	}
	broken, err := run(os.Args[1], os.Args[2], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "contract-diff:", err)
		os.Exit(2)
	}
	if broken {
		os.Exit(1)
	}
}

// run says whether the schema in the file current breaks readers of the one in the file old.
func run(old, current string, out io.Writer) (broken bool, err error) {
	before, err := os.ReadFile(old)
	if err != nil {
		return false, err
	}
	after, err := os.ReadFile(current)
	if err != nil {
		return false, err
	}
	findings, err := schema.Diff(before, after)
	if err != nil {
		return false, fmt.Errorf("compare %s with %s: %w", old, current, err)
	}
	for _, f := range findings {
		fmt.Fprintln(out, f)
	}
	return len(findings) > 0, nil
}
