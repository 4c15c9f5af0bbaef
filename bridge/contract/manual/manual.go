// Package manual writes what people read about a contract: the .proto text of a notification type with all that it
// refers to, an example of it, how to publish that from Go, Python and Node, and the envelope that comes of it. All of
// it follows from the descriptors and their comments.
//
// # Concurrency
//
// A Manual is immutable and safe for concurrent use.
package manual

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rotki/notification-bridge/bridge/contract"
)

// Manual describes the types of one contract.
type Manual struct {
	contract *contract.Contract
	names    *goNames
}

// New returns the manual of a contract, which should be one that was loaded: others have no comments.
func New(c *contract.Contract) (*Manual, error) {
	names, err := newGoNames(c.Image())
	if err != nil {
		return nil, err
	}
	return &Manual{contract: c, names: names}, nil
}

// Entry is what the manual has about one notification type.
type Entry struct {
	Name string
	// About is the comment of the type.
	About string
	// Proto is the .proto text of its message and of what that refers to.
	Proto string
	// Go, Python and Node are programs that publish an example.
	Go, Python, Node string
	// Envelope is what a subscriber gets from them.
	Envelope []byte
}

// Entry returns what there is about a type; the error says which names are like the one that is none.
func (m *Manual) Entry(name string) (*Entry, error) {
	if !m.contract.Has(name) {
		return nil, m.unknown(name)
	}
	n := example(m.contract.Notification(), name)
	envelope, err := m.contract.Encode(n)
	if err != nil {
		return nil, fmt.Errorf("the comments' examples for %s: %w", name, err)
	}
	f := m.field(name)
	e := &Entry{Name: name, About: comment(f), Proto: protoText(f), Envelope: envelope.AppendJSON(nil)}
	if e.Go, err = m.names.program(n, f); err != nil {
		return nil, err
	}
	e.Python = pythonProgram(n)
	e.Node = nodeProgram(n)
	return e, nil
}

// Summary is a type in a list.
type Summary struct{ Name, About string }

// List returns all types in the order of the contract, with the first sentence of each one's comment.
func (m *Manual) List() []Summary {
	var all []Summary
	for _, name := range m.contract.Types() {
		all = append(all, Summary{name, firstSentence(comment(m.field(name)))})
	}
	return all
}

// Table returns a Markdown table of all types, with an example of each.
func (m *Manual) Table() (string, error) {
	var table strings.Builder
	table.WriteString("| type | what it tells | `data`, for example |\n| --- | --- | --- |\n")
	for _, s := range m.List() {
		envelope, err := m.contract.Encode(example(m.contract.Notification(), s.Name))
		if err != nil {
			return "", fmt.Errorf("the comments' examples for %s: %w", s.Name, err)
		}
		cell := strings.NewReplacer("|", `\|`, "\n", " ")
		fmt.Fprintf(&table, "| `%s` | %s | `%s` |\n", s.Name, cell.Replace(s.About), cell.Replace(spaced(envelope.Data)))
	}
	return table.String(), nil
}

func (m *Manual) field(name string) protoreflect.FieldDescriptor {
	return m.contract.Notification().Fields().ByName(protoreflect.Name(name))
}

// Markdown returns the entry as a page.
func (e *Entry) Markdown() string {
	var page strings.Builder
	fmt.Fprintf(&page, "# %s\n\n%s\n", e.Name, e.About)
	for _, part := range []struct{ title, language, text string }{
		{"The message", "proto", e.Proto},
		{"Publish it from Go", "go", e.Go},
		{"Publish it from Python", "python", e.Python},
		{"Publish it from Node", "js", e.Node},
		{"The envelope that subscribers get", "json", string(e.Envelope)},
	} {
		fmt.Fprintf(&page, "\n## %s\n\n```%s\n%s\n```\n", part.title, part.language, strings.TrimSpace(part.text))
	}
	return page.String()
}

// unknown says that there is no such type, and which there are instead.
func (m *Manual) unknown(name string) error {
	type candidate struct {
		name     string
		distance int
	}
	var near []candidate
	for _, known := range m.contract.Types() {
		d := distance(name, known)
		if len(name) > 2 && strings.Contains(known, name) || strings.Contains(name, known) || d <= max(2, len(known)/3) {
			near = append(near, candidate{known, d})
		}
	}
	if len(near) == 0 {
		return fmt.Errorf("%q is no notification type; `rotki-bridge types` lists them", name)
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return a.distance - b.distance })
	var names []string
	for _, c := range near[:min(len(near), 5)] {
		names = append(names, c.name)
	}
	return fmt.Errorf("%q is no notification type; do you mean %s?", name, strings.Join(names, ", "))
}

// distance is how many letters must be put in, taken out or changed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
