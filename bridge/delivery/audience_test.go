package delivery

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestAudience: whoever comes and goes, it counts as one would who asks each of them.
func TestAudience(t *testing.T) {
	type member struct {
		filter  *filter
		subject string
	}
	types := []string{"a", "b", "c"}
	subjects := []string{"", "ann", "bob"}
	random := rand.New(rand.NewPCG(1, 2))
	var a audience
	var members []member
	check := func() {
		t.Helper()
		for _, typ := range append(types, "unknown") {
			for _, recipients := range [][]string{nil, {"ann"}, {"ann", "bob"}, {"nobody"}} {
				want := 0
				for _, m := range members {
					named := len(recipients) == 0
					for _, recipient := range recipients {
						named = named || m.subject == recipient
					}
					if named && m.filter.wants(typ) {
						want++
					}
				}
				if got := a.count(typ, recipients); got != want {
					t.Fatalf("%s for %v: %d, want %d of %v", typ, recipients, got, want, members)
				}
			}
		}
		if a.size() != len(members) {
			t.Fatalf("%d in all, want %d", a.size(), len(members))
		}
	}
	leave := func(i int) {
		a.leave(members[i].filter, members[i].subject)
		members[i] = members[len(members)-1]
		members = members[:len(members)-1]
	}
	for range 2000 {
		if n := len(members); n > 0 && random.IntN(20) < n {
			leave(random.IntN(n))
		} else {
			var asked []string // for all
			if choice := random.IntN(9); choice < 8 {
				asked = []string{} // for none, and more
				for i, typ := range types {
					if choice>>i&1 == 1 {
						asked = append(asked, typ)
					}
				}
			}
			subject := subjects[random.IntN(len(subjects))]
			members = append(members, member{a.join(newFilter(asked), subject), subject})
		}
		check()
	}
	for len(members) > 0 {
		leave(0)
		check()
	}
	if left := fmt.Sprint(len(a.filters), len(a.everyone.of), len(a.subjects)); left != "0 0 0" {
		t.Errorf("it remembers %s filters, types and subjects", left)
	}
}
