package schema

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// source is as much of JSON Schema as JSONSchema writes. Keywords that it does not know are for people.
type source struct {
	Ref         string             `json:"$ref"`
	Defs        map[string]*source `json:"$defs"`
	Type        typeNames          `json:"type"`
	Const       *string            `json:"const"`
	Enum        []string           `json:"enum"`
	OneOf       []*source          `json:"oneOf"`
	AnyOf       []*source          `json:"anyOf"`
	Properties  map[string]*source `json:"properties"`
	Required    []string           `json:"required"`
	PrefixItems []*source          `json:"prefixItems"`
	Items       subschema          `json:"items"`
	Minimum     *float64           `json:"minimum"`
	Maximum     *float64           `json:"maximum"`
}

// typeNames is one name or several.
type typeNames []string

func (t *typeNames) UnmarshalJSON(raw []byte) error {
	if raw[0] == '[' {
		return json.Unmarshal(raw, (*[]string)(t))
	}
	*t = make([]string, 1)
	return json.Unmarshal(raw, &(*t)[0])
}

// subschema is a schema or false.
type subschema struct{ *source }

func (s *subschema) UnmarshalJSON(raw []byte) error {
	if string(raw) == "false" {
		return nil
	}
	return json.Unmarshal(raw, &s.source)
}

// wire is what a frontend sees of one value.
type wire struct {
	kind     string // in words
	nullable bool
	enum     []string
	min, max float64
	element  *source   // of a list
	items    []*source // of a tuple
	objects  []wireObject
	ref      string // the definition that the value is, if it has a name
}

// wireObject is one object that a value can be.
type wireObject struct {
	chosen     map[string]string // the keys whose value is constant
	properties map[string]*source
	required   []string
}

// wireReader reads the values of one schema document.
type wireReader struct{ root *source }

func newWireReader(document []byte) (wireReader, error) {
	var root source
	if err := json.Unmarshal(document, &root); err != nil {
		return wireReader{}, fmt.Errorf("read the schema: %w", err)
	}
	return wireReader{&root}, nil
}

// types returns the schema of every notification type's data.
func (r wireReader) types() (map[string]*source, error) {
	types := make(map[string]*source)
	for _, envelope := range r.root.OneOf {
		envelope, _, err := r.resolve(envelope)
		if err != nil {
			return nil, err
		}
		typ, data := envelope.Properties["type"], envelope.Properties["data"]
		if typ == nil || typ.Const == nil || data == nil {
			return nil, fmt.Errorf("an envelope has no constant \"type\" or no \"data\"")
		}
		types[*typ.Const] = data
	}
	if len(types) == 0 {
		return nil, fmt.Errorf("there are no notification types in the schema")
	}
	return types, nil
}

func (r wireReader) resolve(s *source) (target *source, name string, err error) {
	for hops := 0; s.Ref != ""; hops++ {
		name = s.Ref
		def := r.root.Defs[strings.TrimPrefix(name, "#/$defs/")]
		if def == nil || hops > len(r.root.Defs) {
			return nil, "", fmt.Errorf("%s leads nowhere", name)
		}
		s = def
	}
	return s, name, nil
}

func (r wireReader) read(s *source) (wire, error) {
	s, name, err := r.resolve(s)
	if err != nil {
		return wire{}, err
	}
	if len(s.AnyOf) == 2 && slices.Equal(s.AnyOf[1].Type, typeNames{"null"}) {
		w, err := r.read(s.AnyOf[0])
		w.nullable = true
		return w, err
	}
	w := wire{ref: name, nullable: slices.Contains(s.Type, "null"), min: math.Inf(-1), max: math.Inf(1)}
	types := slices.DeleteFunc(slices.Clone(s.Type), func(t string) bool { return t == "null" })
	switch {
	case len(s.OneOf) > 0:
		w.kind = "an object"
		for _, option := range s.OneOf {
			w.objects = append(w.objects, readObject(option))
		}
	case s.Const != nil:
		w.kind, w.enum = "an enum", []string{*s.Const}
	case len(types) != 1:
		return wire{}, fmt.Errorf("%s is of no kind that a contract has", name)
	case types[0] == "object":
		w.kind, w.objects = "an object", []wireObject{readObject(s)}
	case types[0] == "array" && s.Items.source != nil:
		w.kind, w.element = "a list", s.Items.source
	case types[0] == "array":
		w.kind, w.items = "a tuple", s.PrefixItems
	case types[0] == "string" && s.Enum != nil:
		w.kind, w.enum = "an enum", s.Enum
	case types[0] == "integer":
		w.kind = "an integer"
	default:
		w.kind = "a " + types[0]
	}
	if s.Minimum != nil {
		w.min = *s.Minimum
	}
	if s.Maximum != nil {
		w.max = *s.Maximum
	}
	return w, nil
}

func readObject(s *source) wireObject {
	o := wireObject{chosen: make(map[string]string), properties: s.Properties, required: s.Required}
	for key, property := range s.Properties {
		if property.Const != nil {
			o.chosen[key] = *property.Const
		}
	}
	return o
}

// label tells a variant from its siblings: "[subtype=evm]", empty for an object without choices.
func (o wireObject) label() string {
	label := ""
	for _, key := range slices.Sorted(maps.Keys(o.chosen)) {
		label += "[" + key + "=" + o.chosen[key] + "]"
	}
	return label
}

// extends says whether o has all that was chosen in old.
func (o wireObject) extends(old wireObject) bool {
	for key, value := range old.chosen {
		if o.chosen[key] != value {
			return false
		}
	}
	return true
}
