//go:build linux

package main

import (
	"slices"
	"testing"
)

func TestSpread(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   spread
	}{
		{[]float64{3}, spread{3, 3, 3}},
		{[]float64{3, 1}, spread{2, 1, 3}},
		{[]float64{5, 1, 2}, spread{2, 1, 5}},
		{[]float64{4, 1, 3, 2}, spread{2.5, 1, 4}},
	} {
		values := slices.Clone(test.values)
		if got := spreadOf(values); got != test.want || !slices.Equal(values, test.values) {
			t.Errorf("of %v it is %v, want %v", test.values, got, test.want)
		}
	}
}

func TestRatio(t *testing.T) {
	taken := map[string]rounds{
		"bridge": {1: {p99: 2, growthBeyondRing: -1}, 2: {p99: 6}, 3: {p99: 4}},
		"bare":   {1: {p99: 2}, 2: {p99: 2}, 4: {p99: 1}}, // round 3 has failed
		"hub":    {1: {p50: 7}},
	}
	for name, test := range map[string]struct {
		target  target
		values  []float64
		bound   string
		verdict verdict
	}{
		"met":            {target{figure: p99, of: "bridge", over: "bare", atMost: 2}, []float64{1, 3}, "<= 2", met},
		"missed":         {target{figure: p99, of: "bridge", over: "bare", atMost: 1.9}, []float64{1, 3}, "<= 1.9", missed},
		"high enough":    {target{figure: p99, of: "bridge", over: "bare", atLeast: 2}, []float64{1, 3}, ">= 2", met},
		"not enough":     {target{figure: p99, of: "bridge", over: "bare", atLeast: 2.1}, []float64{1, 3}, ">= 2.1", missed},
		"information":    {target{figure: p99, of: "bridge", over: "bare"}, []float64{1, 3}, "", information},
		"the figure":     {target{figure: p99, of: "bridge", atMost: 4}, []float64{2, 6, 4}, "<= 4", met},
		"below zero":     {target{figure: growthBeyondRing, of: "bridge", atMost: 4}, []float64{-1}, "<= 4", met},
		"another figure": {target{figure: p99, of: "bridge", over: "hub", atMost: 4}, nil, "<= 4", unmeasured},
		"nothing":        {target{figure: p50, of: "bare"}, nil, "", unmeasured},
	} {
		got := test.target.ratio(taken)
		if !slices.Equal(got.Values, test.values) || got.Target != test.bound || got.Verdict != test.verdict {
			t.Errorf("%s: %+v, want %+v", name, got, test)
		}
	}
	steady := target{figure: p99, steadiest: true, atMost: 3}
	delete(taken, "hub")
	if got := steady.ratio(taken); !slices.Equal(got.Values, []float64{1, 3}) || got.Verdict != met {
		t.Errorf("the greatest over the least is %+v", got)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 19_050: "19,050", 19_500: "19,500"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}
