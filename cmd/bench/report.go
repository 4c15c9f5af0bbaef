//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rotki/notification-bridge/cmd/bench/procfs"
)

// report is what all came to, as JSON.
type report struct {
	Machine   machine          `json:"machine"`
	Start     time.Time        `json:"start"`
	Rounds    int              `json:"rounds"`
	Scale     float64          `json:"scale"`
	Scenarios []scenarioReport `json:"scenarios"`
	Failures  []string         `json:"failures,omitempty"` // runs that are missing, and why
}

type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

type scenarioReport struct {
	Name    string      `json:"name"`
	Title   string      `json:"title"`
	Figures []figure    `json:"figures"`
	Runs    []runReport `json:"runs"`
	Ratios  []ratio     `json:"ratios"`
}

type runReport struct {
	Name    string            `json:"name"`
	Rounds  rounds            `json:"rounds"`
	Spreads map[figure]spread `json:"spreads"`
}

func newReport(c *runCommand) *report {
	return &report{
		Machine: machine{procfs.Processor(), runtime.NumCPU(), procfs.Kernel(), runtime.Version()},
		Start:   time.Now(), Rounds: c.Rounds, Scale: c.Scale,
	}
}

// add takes in what the runs of a scenario have measured.
func (r *report) add(s scenario, taken map[string]rounds) {
	result := scenarioReport{Name: s.name, Title: s.title, Figures: s.figures}
	for _, run := range s.runs {
		spreads := make(map[figure]spread)
		for _, f := range s.figures {
			if values := taken[run.name].values(f); len(values) > 0 {
				spreads[f] = spreadOf(values)
			}
		}
		result.Runs = append(result.Runs, runReport{run.name, taken[run.name], spreads})
	}
	for _, t := range s.targets {
		result.Ratios = append(result.Ratios, t.ratio(taken))
	}
	r.Scenarios = append(r.Scenarios, result)
}

// write writes the report as JSON.
func (r *report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// print prints tables: one for each scenario, then the ratios.
func (r *report) print(to io.Writer) error {
	fmt.Fprintf(to, "%s, %d cores, Linux %s, %s\n", r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go)
	fmt.Fprintf(to, "%s, %d rounds, scale %v: medians [least greatest]\n", r.Start.Format(time.DateTime), r.Rounds, r.Scale)
	for _, s := range r.Scenarios {
		fmt.Fprintf(to, "\n%s: %s\n", s.Name, s.Title)
		table := newTable(to)
		table.row("", words(s.Figures)...)
		for _, run := range s.Runs {
			var cells []string
			for _, f := range s.Figures {
				cells = append(cells, cell(run.Spreads, f))
			}
			table.row(run.Name, cells...)
		}
		if err := table.w.Flush(); err != nil {
			return err
		}
	}
	fmt.Fprint(to, "\nratios beside their targets\n")
	table := newTable(to)
	table.row("", "ratio", "median", "least", "greatest", "target", "")
	for _, s := range r.Scenarios {
		for _, ratio := range s.Ratios {
			cells := []string{ratio.Name, "", "", ""}
			if ratio.Spread != nil {
				cells = []string{ratio.Name, short(ratio.Spread.Median), short(ratio.Spread.Min), short(ratio.Spread.Max)}
			}
			table.row(s.Name, append(cells, ratio.Target, string(ratio.Verdict))...)
		}
	}
	if err := table.w.Flush(); err != nil {
		return err
	}
	if len(r.Failures) > 0 {
		fmt.Fprintf(to, "\nNOT MEASURED:\n  %s\n", strings.Join(r.Failures, "\n  "))
	}
	return nil
}

// table aligns columns.
type table struct {
	w *tabwriter.Writer
}

func newTable(to io.Writer) table { return table{tabwriter.NewWriter(to, 0, 0, 3, ' ', 0)} }

func (t table) row(first string, cells ...string) {
	fmt.Fprintf(t.w, "  %s\t%s\n", first, strings.Join(cells, "\t"))
}

func words(figures []figure) []string {
	var names []string
	for _, f := range figures {
		names = append(names, strings.ReplaceAll(string(f), "_", " "))
	}
	return names
}

func cell(spreads map[figure]spread, f figure) string {
	s, ok := spreads[f]
	if !ok {
		return "not measured"
	}
	if s.Min == s.Max {
		return short(s.Median)
	}
	return fmt.Sprintf("%s [%s %s]", short(s.Median), short(s.Min), short(s.Max))
}

// short writes a value with three digits, or more if it is large.
func short(v float64) string {
	if math.Abs(v) >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
