package manual

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// protoText returns the .proto text of a field's message and, in the order in which they are met, of all that it
// refers to.
func protoText(f protoreflect.FieldDescriptor) string {
	p := &printer{pkg: f.ParentFile().Package()}
	for _, d := range referred(f) {
		if p.text.Len() > 0 {
			p.text.WriteByte('\n')
		}
		switch d := d.(type) {
		case protoreflect.MessageDescriptor:
			p.message(d)
		case protoreflect.EnumDescriptor:
			p.enum(d)
		}
	}
	return p.text.String()
}

// referred returns what a field's message consists of: messages and enums of the top level of their files.
func referred(f protoreflect.FieldDescriptor) []protoreflect.Descriptor {
	var all []protoreflect.Descriptor
	met := make(map[protoreflect.FullName]bool)
	var visit func(d protoreflect.Descriptor)
	visit = func(d protoreflect.Descriptor) {
		if met[d.FullName()] {
			return
		}
		met[d.FullName()] = true
		if top := topLevel(d); top == d {
			all = append(all, d)
		} else {
			visit(top)
		}
		if md, ok := d.(protoreflect.MessageDescriptor); ok {
			for i := range md.Fields().Len() {
				if t := typeOf(md.Fields().Get(i)); t != nil {
					visit(t)
				}
			}
		}
	}
	visit(f.Message())
	return all
}

// typeOf returns the message or enum of a field, nil for a scalar.
func typeOf(f protoreflect.FieldDescriptor) protoreflect.Descriptor {
	switch {
	case f.Message() != nil:
		return f.Message()
	case f.Enum() != nil:
		return f.Enum()
	}
	return nil
}

func topLevel(d protoreflect.Descriptor) protoreflect.Descriptor {
	for {
		if _, file := d.Parent().(protoreflect.FileDescriptor); file {
			return d
		}
		d = d.Parent()
	}
}

// printer writes .proto text. Names are relative to pkg.
type printer struct {
	pkg    protoreflect.FullName
	text   strings.Builder
	indent string
}

func (p *printer) line(format string, args ...any) {
	p.text.WriteString(p.indent)
	fmt.Fprintf(&p.text, format, args...)
	p.text.WriteByte('\n')
}

func (p *printer) comment(d protoreflect.Descriptor) {
	text := strings.TrimSuffix(rawComment(d), "\n")
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		p.line("//%s", strings.TrimRight(line, " \t"))
	}
}

// block writes a definition with what is inside.
func (p *printer) block(d protoreflect.Descriptor, keyword string, inside func()) {
	p.comment(d)
	at, outer := p.text.Len(), p.indent
	p.line("%s %s {", keyword, d.Name())
	p.indent += "  "
	begun := p.text.Len()
	for _, option := range p.options(d) {
		p.line("option %s;", option)
	}
	if p.text.Len() > begun && keyword == "message" {
		p.text.WriteByte('\n')
	}
	inside()
	p.indent = outer
	if p.text.Len() > begun {
		p.line("}")
		return
	}
	head := p.text.String()[:at]
	p.text.Reset()
	p.text.WriteString(head)
	p.line("%s %s {}", keyword, d.Name())
}

func (p *printer) message(m protoreflect.MessageDescriptor) {
	p.block(m, "message", func() {
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			choice := f.ContainingOneof()
			switch {
			case choice == nil || choice.IsSynthetic():
				p.field(f)
			case choice.Fields().Get(0) == f:
				p.block(choice, "oneof", func() {
					for j := range choice.Fields().Len() {
						p.field(choice.Fields().Get(j))
					}
				})
			}
		}
		for i := range m.Messages().Len() {
			p.message(m.Messages().Get(i))
		}
		for i := range m.Enums().Len() {
			p.enum(m.Enums().Get(i))
		}
	})
}

func (p *printer) field(f protoreflect.FieldDescriptor) {
	p.comment(f)
	label := ""
	switch {
	case f.IsList():
		label = "repeated "
	case f.HasOptionalKeyword():
		label = "optional "
	}
	kind := f.Kind().String()
	if t := typeOf(f); t != nil {
		kind = p.relative(t)
	}
	p.line("%s%s %s = %d%s;", label, kind, f.Name(), f.Number(), p.bracketed(f))
}

func (p *printer) enum(e protoreflect.EnumDescriptor) {
	p.block(e, "enum", func() {
		for i := range e.Values().Len() {
			v := e.Values().Get(i)
			p.comment(v)
			p.line("%s = %d%s;", v.Name(), v.Number(), p.bracketed(v))
		}
	})
}

func (p *printer) bracketed(d protoreflect.Descriptor) string {
	if options := p.options(d); len(options) > 0 {
		return " [" + strings.Join(options, ", ") + "]"
	}
	return ""
}

// options returns those that are set, without what this program does not know. One that is repeated is there for each of
// its values.
func (p *printer) options(d protoreflect.Descriptor) []string {
	set := make(map[string][]string)
	d.Options().ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.IsMap() || f.Message() != nil {
			return true // none of the wire options
		}
		name := string(f.Name())
		if f.IsExtension() {
			name = "(" + p.relative(f) + ")"
		}
		values := []protoreflect.Value{v}
		if f.IsList() {
			values = values[:0]
			for i := range v.List().Len() {
				values = append(values, v.List().Get(i))
			}
		}
		for _, v := range values {
			if text := optionValue(f, v); text != "" {
				set[name] = append(set[name], name+" = "+text)
			}
		}
		return true
	})
	var all []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		all = append(all, set[name]...)
	}
	return all
}

// optionValue returns one value of an option, nothing for an enum's that has no name.
func optionValue(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch {
	case f.Enum() != nil:
		if value := f.Enum().Values().ByNumber(v.Enum()); value != nil {
			return string(value.Name())
		}
		return ""
	case f.Kind() == protoreflect.StringKind:
		return strconv.Quote(v.String())
	}
	return v.String()
}

func (p *printer) relative(d protoreflect.Descriptor) string {
	return strings.TrimPrefix(string(d.FullName()), string(p.pkg)+".")
}
