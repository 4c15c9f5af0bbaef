package manual

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// set returns the fields that are set, in the order of the proto.
func set(m protoreflect.Message) []protoreflect.FieldDescriptor {
	var fields []protoreflect.FieldDescriptor
	for i := range m.Descriptor().Fields().Len() {
		if f := m.Descriptor().Fields().Get(i); m.Has(f) {
			fields = append(fields, f)
		}
	}
	return fields
}

// pythonProgram returns a Python program that publishes a notification.
func pythonProgram(n protoreflect.Message) string {
	w := pythonWriter{imports: make(map[string][]string)}
	call := w.message(n, "    ")
	w.imports["rotki.notifications.v1.notification_service_pb2"] = []string{"PublishRequest"}
	w.imports["rotki.notifications.v1.notification_service_pb2_grpc"] = []string{"NotificationServiceStub"}
	var text strings.Builder
	text.WriteString("import sys\nimport uuid\n\nimport grpc\n")
	modules := make([]string, 0, len(w.imports))
	for module := range w.imports {
		modules = append(modules, module)
	}
	slices.Sort(modules)
	for _, module := range modules {
		names := w.imports[module]
		slices.Sort(names)
		line := fmt.Sprintf("from %s import %s", module, strings.Join(slices.Compact(names), ", "))
		if len(line) > 100 {
			line = fmt.Sprintf("from %s import (\n    %s,\n)", module, strings.Join(slices.Compact(names), ",\n    "))
		}
		text.WriteString(line + "\n")
	}
	fmt.Fprintf(&text, pythonMain, call)
	return text.String()
}

const pythonMain = `
request = PublishRequest(
    id=str(uuid.uuid4()),  # what was not answered may be sent again under the same id
    notification=%s,
)
with grpc.insecure_channel(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:5044") as channel:
    for ack in NotificationServiceStub(channel).Publish(iter([request])):
        if ack.HasField("rejected"):
            sys.exit(f"refused: {ack.rejected.field}: {ack.rejected.message}")
        print(f"accepted for {ack.accepted.subscribers} subscriber(s)")
`

// pythonWriter writes expressions, and notes what they import.
type pythonWriter struct {
	imports map[string][]string // module to names
}

// name returns a message's class or an enum value's name, imported.
func (w pythonWriter) name(d protoreflect.Descriptor) string {
	path := []string{string(d.Name())}
	for parent := d.Parent(); ; parent = parent.Parent() {
		if _, file := parent.(protoreflect.FileDescriptor); file {
			break
		}
		if _, enum := parent.(protoreflect.EnumDescriptor); !enum { // values belong to what the enum is in
			path = append([]string{string(parent.Name())}, path...)
		}
	}
	module := strings.TrimSuffix(d.ParentFile().Path(), ".proto")
	module = strings.NewReplacer("-", "_", "/", ".").Replace(module) + "_pb2"
	w.imports[module] = append(w.imports[module], path[0])
	return strings.Join(path, ".")
}

// message returns a call that makes a message. Fields that are words of Python's come in a dict at the end.
func (w pythonWriter) message(m protoreflect.Message, indent string) string {
	var named, quoted []string
	for _, f := range set(m) {
		name, value := string(f.Name()), w.field(f, m.Get(f), indent+"    ")
		if slices.Contains(pythonKeywords, name) {
			quoted = append(quoted, fmt.Sprintf("%q: %s", name, value))
		} else {
			named = append(named, name+"="+value)
		}
	}
	if len(quoted) > 0 {
		named = append(named, "**{"+strings.Join(quoted, ", ")+"}")
	}
	return w.name(m.Descriptor()) + layOut("(", named, ")", indent)
}

func (w pythonWriter) field(f protoreflect.FieldDescriptor, v protoreflect.Value, indent string) string {
	if !f.IsList() {
		return w.value(f, v, indent)
	}
	var elements []string
	for i := range v.List().Len() {
		elements = append(elements, w.value(f, v.List().Get(i), indent+"    "))
	}
	return layOut("[", elements, "]", indent)
}

func (w pythonWriter) value(f protoreflect.FieldDescriptor, v protoreflect.Value, indent string) string {
	switch {
	case f.Message() != nil:
		return w.message(v.Message(), indent)
	case f.Enum() != nil:
		return w.name(f.Enum().Values().ByNumber(v.Enum()))
	case f.Kind() == protoreflect.StringKind:
		return quote(v.String())
	case f.Kind() == protoreflect.BoolKind && v.Bool():
		return "True"
	case f.Kind() == protoreflect.BoolKind:
		return "False"
	}
	return v.String()
}

// layOut writes parts between brackets: on one line if they are short, else one a line.
func layOut(begin string, parts []string, end, indent string) string {
	line := begin + strings.Join(parts, ", ") + end
	if len(indent)+len(line) <= 80 && !strings.Contains(line, "\n") {
		return line
	}
	return begin + "\n" + indent + "    " + strings.Join(parts, ",\n"+indent+"    ") + ",\n" + indent + end
}

// quote returns a string literal that Python and JavaScript read alike.
func quote(s string) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string always has JSON
	return strings.TrimSuffix(b.String(), "\n")
}

var pythonKeywords = []string{
	"and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except",
	"finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise",
	"return", "try", "while", "with", "yield", "False", "None", "True", "self",
}
