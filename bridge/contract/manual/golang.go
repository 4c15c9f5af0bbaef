package manual

import (
	"bytes"
	"fmt"
	"go/format"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// goNames are the names that protoc-gen-go gives to the elements of a contract.
type goNames struct {
	types  map[protoreflect.FullName]protogen.GoIdent // messages, enums, and the wrappers of oneof fields
	fields map[protoreflect.FullName]string           // fields and oneofs
	values map[protoreflect.FullName]protogen.GoIdent // enum values
}

func newGoNames(image []byte) (*goNames, error) {
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(image, set); err != nil {
		return nil, fmt.Errorf("read the descriptor image: %w", err)
	}
	plugin, err := protogen.Options{}.New(&pluginpb.CodeGeneratorRequest{ProtoFile: set.GetFile()})
	if err != nil {
		return nil, fmt.Errorf("name the contract in Go: %w", err)
	}
	names := &goNames{
		types:  make(map[protoreflect.FullName]protogen.GoIdent),
		fields: make(map[protoreflect.FullName]string),
		values: make(map[protoreflect.FullName]protogen.GoIdent),
	}
	for _, file := range plugin.Files {
		names.enums(file.Enums)
		names.messages(file.Messages)
	}
	return names, nil
}

func (g *goNames) messages(messages []*protogen.Message) {
	for _, m := range messages {
		g.types[m.Desc.FullName()] = m.GoIdent
		for _, f := range m.Fields {
			g.fields[f.Desc.FullName()] = f.GoName
			g.types[f.Desc.FullName()] = f.GoIdent
		}
		for _, o := range m.Oneofs {
			g.fields[o.Desc.FullName()] = o.GoName
		}
		g.enums(m.Enums)
		g.messages(m.Messages)
	}
}

func (g *goNames) enums(enums []*protogen.Enum) {
	for _, e := range enums {
		g.types[e.Desc.FullName()] = e.GoIdent
		for _, v := range e.Values {
			g.values[v.Desc.FullName()] = v.GoIdent
		}
	}
}

// program returns a Go program that publishes a notification; f is the field of its oneof that is set.
func (g *goNames) program(n protoreflect.Message, f protoreflect.FieldDescriptor) (string, error) {
	w := goWriter{names: g, imports: map[string]string{
		"context": "", "fmt": "", "log": "", "github.com/rotki/notification-bridge/client": "",
	}}
	literal := w.message(n)
	paths := make([]string, 0, len(w.imports))
	for path := range w.imports {
		paths = append(paths, path)
	}
	slices.SortFunc(paths, func(a, b string) int {
		if dotted := strings.Contains(a, "."); dotted != strings.Contains(b, ".") {
			if dotted {
				return 1
			}
			return -1
		}
		return strings.Compare(a, b)
	})
	var text bytes.Buffer
	text.WriteString("package main\n\nimport (\n")
	for i, path := range paths {
		if i > 0 && strings.Contains(path, ".") && !strings.Contains(paths[i-1], ".") {
			text.WriteByte('\n')
		}
		fmt.Fprintf(&text, "%s %q\n", w.imports[path], path)
	}
	fmt.Fprintf(&text, goMain, literal)
	formatted, err := format.Source(text.Bytes())
	if err != nil {
		return "", fmt.Errorf("write the Go example of %s: %w", f.Name(), err)
	}
	return string(formatted), nil
}

const goMain = `)

func main() {
	ctx := context.Background()
	publisher, err := client.NewPublisher(client.PublisherConfig{Addr: "127.0.0.1:5044"})
	if err != nil {
		log.Fatal(err)
	}
	accepted, err := publisher.Publish(ctx, &%s)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("accepted for %%d subscriber(s)\n", accepted.Subscribers)
	if err := publisher.Close(ctx); err != nil {
		log.Fatal(err)
	}
}
`

// goWriter writes literals, and notes what they import.
type goWriter struct {
	names   *goNames
	imports map[string]string // path to name; empty for the last part of the path
}

// ident returns an identifier of generated code.
func (w goWriter) ident(i protogen.GoIdent) string {
	path := string(i.GoImportPath)
	if strings.HasSuffix(path, "/rotki/notifications/v1") {
		w.imports[path] = "notificationsv1"
		return "notificationsv1." + i.GoName
	}
	name := "imported" + strconv.Itoa(len(w.imports))
	if known := w.imports[path]; known != "" {
		name = known
	}
	w.imports[path] = name
	return name + "." + i.GoName
}

// message returns a composite literal, without the & in front.
func (w goWriter) message(m protoreflect.Message) string {
	var b strings.Builder
	b.WriteString(w.ident(w.names.types[m.Descriptor().FullName()]) + "{")
	members := set(m)
	if len(members) > 0 {
		b.WriteByte('\n')
	}
	for _, f := range members {
		v := m.Get(f)
		if choice := f.ContainingOneof(); choice != nil && !choice.IsSynthetic() {
			fmt.Fprintf(&b, "%s: &%s{%s: %s},\n", w.names.fields[choice.FullName()],
				w.ident(w.names.types[f.FullName()]), w.names.fields[f.FullName()], w.value(f, v, false))
			continue
		}
		fmt.Fprintf(&b, "%s: %s,\n", w.names.fields[f.FullName()], w.field(f, v))
	}
	b.WriteByte('}')
	return b.String()
}

func (w goWriter) field(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	if !f.IsList() {
		return w.value(f, v, f.HasPresence() && f.Message() == nil)
	}
	var b strings.Builder
	b.WriteString("[]" + w.typ(f) + "{")
	if f.Message() != nil {
		b.WriteByte('\n')
	}
	for i := range v.List().Len() {
		element := w.value(f, v.List().Get(i), false)
		if f.Message() != nil {
			// The slice says what its elements are.
			_, inside, _ := strings.Cut(element, "{")
			b.WriteString("{" + inside + ",\n")
			continue
		}
		b.WriteString(element + ",")
	}
	return strings.TrimSuffix(b.String(), ",") + "}"
}

func (w goWriter) typ(f protoreflect.FieldDescriptor) string {
	switch {
	case f.Message() != nil:
		return "*" + w.ident(w.names.types[f.Message().FullName()])
	case f.Enum() != nil:
		return w.ident(w.names.types[f.Enum().FullName()])
	}
	return goScalars[f.Kind()].name
}

// value returns an expression for one value; as a pointer, if it must be one to be told from none.
func (w goWriter) value(f protoreflect.FieldDescriptor, v protoreflect.Value, pointer bool) string {
	switch {
	case f.Message() != nil:
		return "&" + w.message(v.Message())
	case f.Enum() != nil:
		expression := w.ident(w.names.values[f.Enum().Values().ByNumber(v.Enum()).FullName()])
		if pointer {
			expression += ".Enum()"
		}
		return expression
	}
	expression := v.String()
	if f.Kind() == protoreflect.StringKind {
		expression = strconv.Quote(v.String())
	}
	if pointer {
		w.imports["google.golang.org/protobuf/proto"] = ""
		expression = "proto." + goScalars[f.Kind()].pointer + "(" + expression + ")"
	}
	return expression
}

// goScalars are the types of scalar fields, and the functions of package proto that make pointers to them.
var goScalars = map[protoreflect.Kind]struct{ name, pointer string }{
	protoreflect.StringKind:   {"string", "String"},
	protoreflect.BoolKind:     {"bool", "Bool"},
	protoreflect.FloatKind:    {"float32", "Float32"},
	protoreflect.DoubleKind:   {"float64", "Float64"},
	protoreflect.Int32Kind:    {"int32", "Int32"},
	protoreflect.Sint32Kind:   {"int32", "Int32"},
	protoreflect.Sfixed32Kind: {"int32", "Int32"},
	protoreflect.Uint32Kind:   {"uint32", "Uint32"},
	protoreflect.Fixed32Kind:  {"uint32", "Uint32"},
	protoreflect.Int64Kind:    {"int64", "Int64"},
	protoreflect.Sint64Kind:   {"int64", "Int64"},
	protoreflect.Sfixed64Kind: {"int64", "Int64"},
	protoreflect.Uint64Kind:   {"uint64", "Uint64"},
	protoreflect.Fixed64Kind:  {"uint64", "Uint64"},
}
