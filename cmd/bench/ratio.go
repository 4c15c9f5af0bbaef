//go:build linux

package main

import (
	"fmt"
	"maps"
	"slices"
)

// ratio is a target beside what came of it.
type ratio struct {
	Name    string    `json:"name"`
	Values  []float64 `json:"values"` // by round
	Spread  *spread   `json:"spread,omitempty"`
	Target  string    `json:"target,omitempty"`
	Verdict verdict   `json:"verdict"`
}

// verdict says how a ratio's median stands to its target.
type verdict string

const (
	met         verdict = "ok"
	missed      verdict = "missed"
	information verdict = "-"
	unmeasured  verdict = "not measured"
)

// ratio compares what the runs have measured, by their names. Only rounds in which all are there count.
func (t target) ratio(runs map[string]rounds) ratio {
	r := ratio{Name: t.name(), Target: t.bound(), Verdict: unmeasured}
	for _, round := range slices.Sorted(maps.Keys(runs[t.first(runs)])) {
		if value, ok := t.value(runs, round); ok {
			r.Values = append(r.Values, value)
		}
	}
	if len(r.Values) > 0 {
		spread := spreadOf(r.Values)
		r.Spread, r.Verdict = &spread, t.verdict(spread.Median)
	}
	return r
}

// first names a run without which there is nothing to compare.
func (t target) first(runs map[string]rounds) string {
	if t.steadiest {
		return slices.Min(slices.Collect(maps.Keys(runs)))
	}
	return t.of
}

// value is the ratio of one round.
func (t target) value(runs map[string]rounds, round int) (float64, bool) {
	if t.steadiest {
		var values []float64
		for _, r := range runs {
			value, ok := r[round][t.figure]
			if !ok {
				return 0, false
			}
			values = append(values, value)
		}
		return slices.Max(values) / slices.Min(values), true
	}
	of, ok := runs[t.of][round][t.figure]
	if t.over == "" || !ok {
		return of, ok
	}
	over, ok := runs[t.over][round][t.figure]
	return of / over, ok && over != 0
}

func (t target) verdict(median float64) verdict {
	switch {
	case t.atMost == 0 && t.atLeast == 0:
		return information
	case t.atMost > 0 && median > t.atMost, t.atLeast > 0 && median < t.atLeast:
		return missed
	}
	return met
}

func (t target) name() string {
	switch {
	case t.steadiest:
		return fmt.Sprintf("%s, greatest / least", t.figure)
	case t.over == "":
		return fmt.Sprintf("%s, %s", t.figure, t.of)
	}
	return fmt.Sprintf("%s, %s / %s", t.figure, t.of, t.over)
}

func (t target) bound() string {
	switch {
	case t.atMost > 0:
		return fmt.Sprintf("<= %v", t.atMost)
	case t.atLeast > 0:
		return fmt.Sprintf(">= %v", t.atLeast)
	}
	return ""
}
