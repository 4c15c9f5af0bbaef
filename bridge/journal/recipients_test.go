package journal

import (
	"fmt"
	"slices"
	"testing"
)

func TestIsFor(t *testing.T) {
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprintf("user-%d", (i*7919)%1000)
	}
	inOrder := slices.Sorted(slices.Values(many))
	for name, tc := range map[string]struct {
		recipients []string
		subject    string
		want       bool
	}{
		"everyone, anonymous":      {nil, "", true},
		"everyone, named":          {nil, "a", true},
		"one, anonymous":           {[]string{"a"}, "", false},
		"one, another":             {[]string{"a"}, "b", false},
		"one, that":                {[]string{"a"}, "a", true},
		"several, the last":        {[]string{"c", "b", "a"}, "a", true},
		"an empty one, anonymous":  {[]string{""}, "", false},
		"an empty one, named":      {[]string{""}, "a", false},
		"many, one of them":        {many, "user-998", true},
		"many, nobody of them":     {many, "user-1000", false},
		"many, anonymous":          {many, "", false},
		"many, a part of a name":   {many, "user-", false},
		"in order, one of them":    {inOrder, "user-998", true},
		"in order, nobody of them": {inOrder, "user-1000", false},
		"one, in another spelling": {[]string{"a"}, "A", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Record{Recipients: tc.recipients}
			for range 2 { // what the first call has prepared must serve the second
				if got := r.IsFor(tc.subject); got != tc.want {
					t.Errorf("IsFor(%q) is %v", tc.subject, got)
				}
			}
		})
	}
}
