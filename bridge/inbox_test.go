package bridge_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// audiences are whom a notification of the test of crossings may be for.
var audiences = []struct {
	name       string
	recipients []string
}{
	{"ann", []string{"ann"}}, {"bob", []string{"bob"}}, {"both", []string{"ann", "bob"}}, {"everybody", nil},
}

// isFor reports whether a notification for an audience is for a subject, which is ann or bob.
func isFor(audience, subject string) bool {
	return audience != "ann" && audience != "bob" || audience == subject
}

// inbox is what one subscriber of a subject gets. It is safe for concurrent use.
type inbox struct {
	name, subject string
	repeats       bool // what was not confirmed may come again after a cut

	mu        sync.Mutex
	times     map[int]int // by number of the notification
	fresh     bool        // this connection has brought something that was not there before
	before    map[int]int // the number before on this connection, by publisher
	connected int
	repeated  int
	cuts      int
	faults    []string // what must not be
	crossings int
	last      bool // the end has come
}

func newInbox(name, subject string, repeats bool) *inbox {
	return &inbox{name: name, subject: subject, repeats: repeats, times: make(map[int]int)}
}

// begins says that there is another connection.
func (i *inbox) begins() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.connected++
	i.fresh = false
	if i.before == nil || i.repeats {
		i.before = map[int]int{0: -1, 1: -1}
	}
}

// theEnd is what everybody gets last.
const theEnd = "the end"

// take notes what has come, which is an envelope.
func (i *inbox) take(text string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if text == legacyEnvelope(theEnd) {
		i.last = true
		return
	}
	var number int
	var audience string
	rest, _ := strings.CutPrefix(text, `{"type":"legacy","data":{"verbosity":"warning","value":"`)
	if _, err := fmt.Sscanf(strings.TrimSuffix(rest, `"}}`), "%d %s", &number, &audience); err != nil {
		i.fault("%s is nothing that was published", text)
		return
	}
	if !isFor(audience, i.subject) {
		i.crossings++
		i.fault("%s is not for it", text)
	}
	if number <= i.before[number%2] {
		i.fault("%d came after %d, of the same publisher, on connection %d", number, i.before[number%2], i.connected)
	}
	i.before[number%2] = number
	i.times[number]++
	switch {
	case i.times[number] == 1:
		i.fresh = true
	case !i.repeats:
		i.fault("%d came again", number)
	case i.connected == 1 || i.fresh:
		i.fault("%d came again on connection %d, where something new had come before", number, i.connected)
	default:
		i.repeated++
	}
}

// fault must be called with mu held.
func (i *inbox) fault(format string, arguments ...any) {
	const most = 10
	if len(i.faults) < most {
		i.faults = append(i.faults, fmt.Sprintf(format, arguments...))
	}
}

// failed says why the subscriber cannot go on.
func (i *inbox) failed(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fault("it ended: %v", err)
}

// cut says that a connection was cut.
func (i *inbox) cut() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cuts++
}

func (i *inbox) connections() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.connected
}

// done reports whether all has come, or something has that must not.
func (i *inbox) done() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.last || len(i.faults) > 0
}

// check compares what came with what was published: whom each notification was for.
func (i *inbox) check(t *testing.T, published []string) {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	want, got := 0, 0
	var missing []int
	for number, audience := range published {
		if !isFor(audience, i.subject) {
			continue
		}
		want++
		if i.times[number] > 0 {
			got++
		} else {
			missing = append(missing, number)
		}
	}
	t.Logf("%s: %d were for it, %d came, %d again; %d cuts, %d connections; %d crossings",
		i.name, want, got, i.repeated, i.cuts, i.connected, i.crossings)
	if len(missing) > 0 {
		t.Errorf("%s lacks %d: %v", i.name, len(missing), missing[:min(len(missing), 10)])
	}
	for _, fault := range i.faults {
		t.Errorf("%s: %s", i.name, fault)
	}
}
