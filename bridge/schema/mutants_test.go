package schema_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/rotki/notification-bridge/bridge/envelope"
)

// mutant is a value made from a good one by one change that no contract of that shape allows.
type mutant struct {
	what  string
	value any
}

// dataIsString is the mutant that some clients ask for with data=string, and that no other client gets.
const dataIsString = "data is a string"

// envelopeMutants returns mutants of an envelope, with data of the type that member describes.
func envelopeMutants(member *envelope.Member, good map[string]any) []mutant {
	text, _ := json.Marshal(good["data"])
	all := []mutant{
		{"envelope is an array", []any{good}},
		{"envelope is null", nil},
		{"type in upper case", with(good, "type", "LEGACY")},
		{"unknown type", with(good, "type", good["type"].(string)+"_")},
		{"type is null", with(good, "type", nil)},
		{"type is a list", with(good, "type", []any{good["type"]})},
		{dataIsString, with(good, "data", string(text))},
		{"type dropped", without(good, "type")},
		{"data dropped", without(good, "data")},
		{"data renamed", with(without(good, "data"), "payload", good["data"])},
		{"extra key in the envelope", with(good, "extra", true)},
	}
	for _, m := range memberMutants(member, good["data"]) {
		all = append(all, mutant{"data" + m.what, with(good, "data", m.value)})
	}
	return all
}

// memberMutants returns mutants of a value. What each is begins with the path from the value to the change.
func memberMutants(m *envelope.Member, good any) []mutant {
	all := wrongKinds(m)
	if good == nil {
		return all
	}
	s := m.Shape
	switch s.Kind {
	case envelope.KindEnum:
		all = append(all, mutant{": misspelt", good.(string) + "x"}, mutant{": empty", ""})
	case envelope.KindInteger:
		all = append(all,
			mutant{": not whole", json.Number("1.5")},
			mutant{": too small", json.Number(strconv.FormatInt(s.Min-1, 10))},
			mutant{": too large", json.Number(strconv.FormatInt(s.Max+1, 10))})
	case envelope.KindList:
		for i, element := range good.([]any) {
			for _, e := range memberMutants(s.Element, element) {
				all = append(all, mutant{fmt.Sprintf("[%d]%s", i, e.what), replaced(good.([]any), i, e.value)})
			}
		}
	case envelope.KindTuple:
		values := good.([]any)
		all = append(all, mutant{": too short", values[:len(values)-1]}, mutant{": too long", append(slices.Clone(values), values[0])})
		for i, member := range s.Members {
			for _, e := range memberMutants(member, values[i]) {
				all = append(all, mutant{fmt.Sprintf("[%d]%s", i, e.what), replaced(values, i, e.value)})
			}
		}
	case envelope.KindObject:
		all = append(all, objectMutants(s, good.(map[string]any))...)
	}
	return all
}

func objectMutants(s *envelope.Shape, good map[string]any) []mutant {
	all := []mutant{{": extra key", with(good, "extra", true)}}
	members := slices.Clone(s.Members)
	for _, choice := range s.Choices {
		name := good[choice.Key].(string)
		for _, variant := range choice.Variants {
			if variant.Name == name {
				members = append(members, variant.Shape.Members...)
			}
		}
		all = append(all,
			mutant{"." + choice.Key + ": dropped", without(good, choice.Key)},
			mutant{"." + choice.Key + ": renamed", with(without(good, choice.Key), choice.Key+"_", name)},
			mutant{"." + choice.Key + ": misspelt", with(good, choice.Key, name+"x")},
			mutant{"." + choice.Key + ": null", with(good, choice.Key, nil)},
			mutant{"." + choice.Key + ": a number", with(good, choice.Key, json.Number("1"))})
	}
	for _, m := range members {
		inner, there := good[m.Key]
		if !there {
			continue
		}
		if !m.Optional {
			all = append(all, mutant{"." + m.Key + ": dropped", without(good, m.Key)})
		}
		all = append(all, mutant{"." + m.Key + ": renamed", with(without(good, m.Key), m.Key+"_", inner)})
		for _, e := range memberMutants(m, inner) {
			all = append(all, mutant{"." + m.Key + e.what, with(good, m.Key, e.value)})
		}
	}
	return all
}

// wrongKinds returns values of all kinds that a member does not have. An empty list and an empty object may be right
// where those kinds are, and are left out there.
func wrongKinds(m *envelope.Member) []mutant {
	all := map[envelope.Kind]any{
		envelope.KindString:  "some text",
		envelope.KindBoolean: true,
		envelope.KindNumber:  json.Number("7"),
		envelope.KindList:    []any{},
		envelope.KindObject:  map[string]any{},
	}
	switch m.Shape.Kind {
	case envelope.KindInteger:
		delete(all, envelope.KindNumber)
	case envelope.KindEnum: // no enum has a value "some text"
	case envelope.KindTuple: // nor is a tuple empty
	default:
		delete(all, m.Shape.Kind)
	}
	var wrong []mutant
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		wrong = append(wrong, mutant{fmt.Sprintf(": is %v", all[kind]), all[kind]})
	}
	if !m.Nullable {
		wrong = append(wrong, mutant{": is null", nil})
	}
	return wrong
}

func with(object map[string]any, key string, value any) map[string]any {
	object = maps.Clone(object)
	object[key] = value
	return object
}

func without(object map[string]any, key string) map[string]any {
	object = maps.Clone(object)
	delete(object, key)
	return object
}

func replaced(values []any, i int, value any) []any {
	values = slices.Clone(values)
	values[i] = value
	return values
}
