// Package schema says what a contract puts on the wire in the languages that other people's tools read: JSONSchema,
// AsyncAPI and TypeScript turn an envelope.Contract into one document each, and Diff compares two of the schemas as a
// frontend would.
//
// All of it follows from the contract's shapes and comments, so that a new notification type needs no line here. The
// same contract always gives the same bytes; a contract without source information gives documents without text. The
// documents name a version; an empty one stands for the last part of the package's name, such as "v1".
//
// # Concurrency
//
// All functions are pure and safe for concurrent use.
package schema

import (
	"cmp"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rotki/notification-bridge/bridge/envelope"
)

// model is a contract prepared for writing: what is in it, in which order, and under which names.
type model struct {
	types []notification
	defs  []*envelope.Shape // every message and enum that has a name on the wire, in the order in which they are met
	names map[protoreflect.FullName]string
	taken map[string]bool
	pkg   protoreflect.FullName
	// version is what the documents name.
	version string
}

// notification is one type of envelope.
type notification struct {
	typ  string
	name string // of the envelope
	data *envelope.Member
}

func newModel(c *envelope.Contract, version string) *model {
	m := &model{names: make(map[protoreflect.FullName]string), taken: map[string]bool{
		"RotkiNotification": true, "RotkiNotificationType": true, // the names of the unions in TypeScript
	}}
	for _, typ := range c.Types() {
		data, _ := c.Type(typ)
		m.pkg = data.Desc.ParentFile().Package()
		m.types = append(m.types, notification{typ: typ, data: data})
		m.visit(data.Shape)
	}
	m.version = cmp.Or(version, string(m.pkg.Name()))
	for i := range m.types {
		m.types[i].name = m.unique(pascal(m.types[i].typ) + "Notification")
	}
	return m
}

// visit names what a shape consists of. The variants of a choice are written out where they are chosen; their messages
// have a name only if another field holds them too.
func (m *model) visit(s *envelope.Shape) {
	switch s.Kind {
	case envelope.KindList:
		m.visit(s.Element.Shape)
	case envelope.KindEnum:
		m.define(s, s.Enum.FullName())
	case envelope.KindObject, envelope.KindTuple:
		if !m.define(s, s.Message.FullName()) {
			return
		}
		for _, member := range s.Members {
			m.visit(member.Shape)
		}
		for _, choice := range s.Choices {
			for _, variant := range choice.Variants {
				for _, member := range variant.Shape.Members {
					m.visit(member.Shape)
				}
			}
		}
	}
}

// define gives a shape its name; it is false when the shape has one already.
func (m *model) define(s *envelope.Shape, full protoreflect.FullName) bool {
	if m.names[full] != "" {
		return false
	}
	local := strings.TrimPrefix(string(full), string(m.pkg)+".")
	m.names[full] = m.unique(strings.ReplaceAll(local, ".", "_"))
	m.defs = append(m.defs, s)
	return true
}

func (m *model) unique(name string) string {
	for m.taken[name] {
		name += "_"
	}
	m.taken[name] = true
	return name
}

// name returns the name of a message's or enum's shape, and an empty one for shapes that are always written in place.
func (m *model) name(s *envelope.Shape) string {
	switch {
	case s.Enum != nil:
		return m.names[s.Enum.FullName()]
	case s.Message != nil:
		return m.names[s.Message.FullName()]
	}
	return ""
}

// alternative is one object that an object shape stands for: with choices there is one for each combination of variants.
type alternative struct {
	chosen  []chosen
	members []*envelope.Member
}

// chosen is a variant, and the key that tells so.
type chosen struct {
	key     string
	choice  *envelope.Choice
	variant envelope.Variant
}

func alternatives(s *envelope.Shape) []alternative {
	all := []alternative{{members: s.Members}}
	for _, choice := range s.Choices {
		var next []alternative
		for _, a := range all {
			for _, v := range choice.Variants {
				next = append(next, alternative{
					chosen:  append(a.chosen[:len(a.chosen):len(a.chosen)], chosen{choice.Key, choice, v}),
					members: append(a.members[:len(a.members):len(a.members)], v.Shape.Members...),
				})
			}
		}
		all = next
	}
	return all
}

// title names the variants of an alternative, and is empty when there was nothing to choose.
func (a alternative) title() string {
	var names []string
	for _, c := range a.chosen {
		names = append(names, c.variant.Name)
	}
	return strings.Join(names, ", ")
}

// description says what the chosen variants are.
func (a alternative) description() string {
	var texts []string
	for _, c := range a.chosen {
		texts = append(texts, describe(c.variant.Desc))
	}
	return strings.Join(texts, " ")
}

// pascal turns balance_snapshot_error into BalanceSnapshotError.
func pascal(name string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}
