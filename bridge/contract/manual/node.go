package manual

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// nodeProgram returns a program for Node that publishes a notification, with the stubs of protoc-gen-es.
func nodeProgram(n protoreflect.Message) string {
	w := nodeWriter{imports: map[string][]string{
		"rotki/notifications/v1/notification_service": {"NotificationService"},
	}}
	literal := w.message(n, "  ")
	modules := make([]string, 0, len(w.imports))
	for module := range w.imports {
		modules = append(modules, module)
	}
	slices.Sort(modules)
	var text strings.Builder
	text.WriteString(nodeHead)
	for _, module := range modules {
		names := w.imports[module]
		slices.Sort(names)
		fmt.Fprintf(&text, "import { %s } from \"@rotki/notifications/%s_pb.js\";\n",
			strings.Join(slices.Compact(names), ", "), strings.TrimPrefix(module, "rotki/notifications/"))
	}
	fmt.Fprintf(&text, nodeMain, literal)
	return text.String()
}

const nodeHead = `import { randomUUID } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, status } from "@grpc/grpc-js";
`

const nodeMain = `
const { input, output, name } = NotificationService.method.publish;
const request = create(input, {
  id: randomUUID(), // what was not answered may be sent again under the same id
  notification: %s,
});
const client = new Client(process.argv[2] ?? "127.0.0.1:5044", credentials.createInsecure());
const publish = client.makeBidiStreamRequest(` + "`/${NotificationService.typeName}/${name}`" + `,
  (message) => Buffer.from(toBinary(input, message)), (bytes) => fromBinary(output, bytes));
publish.on("data", ({ result: { case: outcome, value } }) => {
  if (outcome === "accepted") {
    console.log(` + "`accepted for ${value.subscribers} subscriber(s)`" + `);
  } else {
    process.exitCode = 1;
    console.error(` + "`refused: ${value.field}: ${value.message}`" + `);
  }
}).on("error", ({ code, details }) => {
  process.exitCode = 1;
  console.error(` + "`stream broke: ${status[code]}: ${details}`" + `);
}).on("close", () => client.close());
publish.write(request);
publish.end();
`

// nodeWriter writes object literals, and notes what they import.
type nodeWriter struct {
	imports map[string][]string // path of the .proto file, without its end, to names
}

func (w nodeWriter) message(m protoreflect.Message, indent string) string {
	var parts []string
	for _, f := range set(m) {
		value := w.field(f, m.Get(f), indent+"  ")
		if choice := f.ContainingOneof(); choice != nil && !choice.IsSynthetic() {
			value = w.field(f, m.Get(f), indent+"    ")
			chosen := []string{"case: " + quote(nodeName(f.Name())), "value: " + value}
			parts = append(parts, nodeName(choice.Name())+": "+braces(chosen, indent+"  "))
			continue
		}
		parts = append(parts, nodeName(f.Name())+": "+value)
	}
	return braces(parts, indent)
}

// braces writes the parts of an object: on one line if they are short, else one a line.
func braces(parts []string, indent string) string {
	if len(parts) == 0 {
		return "{}"
	}
	line := "{ " + strings.Join(parts, ", ") + " }"
	if len(indent)+len(line) <= 80 && !strings.Contains(line, "\n") {
		return line
	}
	return "{\n" + indent + "  " + strings.Join(parts, ",\n"+indent+"  ") + ",\n" + indent + "}"
}

func (w nodeWriter) field(f protoreflect.FieldDescriptor, v protoreflect.Value, indent string) string {
	if !f.IsList() {
		return w.value(f, v, indent)
	}
	var elements []string
	for i := range v.List().Len() {
		elements = append(elements, w.value(f, v.List().Get(i), indent))
	}
	return "[" + strings.Join(elements, ", ") + "]"
}

func (w nodeWriter) value(f protoreflect.FieldDescriptor, v protoreflect.Value, indent string) string {
	switch f.Kind() {
	case protoreflect.MessageKind:
		return w.message(v.Message(), indent)
	case protoreflect.EnumKind:
		return w.enum(f.Enum().Values().ByNumber(v.Enum()))
	case protoreflect.StringKind:
		return quote(v.String())
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return v.String() + "n"
	}
	return v.String()
}

// enum returns an enum value as protoc-gen-es names it: without the enum's prefix, if all values have it.
func (w nodeWriter) enum(v protoreflect.EnumValueDescriptor) string {
	e := v.Parent().(protoreflect.EnumDescriptor)
	path := []string{string(e.Name())}
	for parent := e.Parent(); ; parent = parent.Parent() {
		if _, file := parent.(protoreflect.FileDescriptor); file {
			break
		}
		path = append([]string{string(parent.Name())}, path...)
	}
	name := strings.Join(path, "_")
	module := strings.TrimSuffix(e.ParentFile().Path(), ".proto")
	w.imports[module] = append(w.imports[module], name)
	prefix := snake(string(e.Name())) + "_"
	value := string(v.Name())
	for i := range e.Values().Len() {
		rest, ok := strings.CutPrefix(strings.ToLower(string(e.Values().Get(i).Name())), prefix)
		if !ok || rest == "" || rest[0] >= '0' && rest[0] <= '9' {
			return name + "." + value
		}
	}
	return name + "." + value[len(prefix):]
}

// snake is how protoc-gen-es looks for an enum's prefix: HTTPKind is h_t_t_p_kind.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteString(strings.ToLower(string(r)))
	}
	return b.String()
}

// nodeName is how protoc-gen-es names a field or a oneof.
func nodeName(name protoreflect.Name) string {
	var b strings.Builder
	upper := false
	for _, r := range string(name) {
		switch {
		case r == '_':
			upper = true
			continue
		case upper && r >= 'a' && r <= 'z':
			r -= 'a' - 'A'
		}
		upper = false
		b.WriteRune(r)
	}
	if slices.Contains([]string{"constructor", "toString", "toJSON", "valueOf"}, b.String()) {
		return b.String() + "$"
	}
	return b.String()
}
