package schema

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// object is a JSON object that keeps the order of its keys, so that documents read well and stay the same.
type object []entry

// entry is one key of an object. Its value is nil, a bool, a string, an int64, a jsontext.Value (a scalar as it was
// read), an object or a list.
type entry struct {
	key   string
	value any
}

type list []any

// with appends an entry unless its value is empty.
func (o object) with(key string, value any) object {
	switch v := value.(type) {
	case string:
		if v == "" {
			return o
		}
	case list:
		if len(v) == 0 {
			return o
		}
	}
	return append(o, entry{key, value})
}

// document returns a value as indented JSON with a final newline.
func document(value any) []byte {
	return append(appendValue(nil, value, 0), '\n')
}

func appendValue(dst []byte, value any, depth int) []byte {
	switch v := value.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case string:
		dst, _ = jsontext.AppendQuote(dst, v)
		return dst
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case jsontext.Value:
		return append(dst, v...)
	case list:
		return appendList(dst, v, depth)
	default:
		return appendObject(dst, v.(object), depth)
	}
}

func appendObject(dst []byte, o object, depth int) []byte {
	if len(o) == 0 {
		return append(dst, "{}"...)
	}
	dst = append(dst, '{')
	for i, e := range o {
		dst = appendBreak(dst, i, depth+1)
		dst, _ = jsontext.AppendQuote(dst, e.key)
		dst = append(dst, ": "...)
		dst = appendValue(dst, e.value, depth+1)
	}
	return append(appendBreak(dst, 0, depth), '}')
}

// appendList keeps lists of scalars on one line.
func appendList(dst []byte, l list, depth int) []byte {
	flat := true
	for _, value := range l {
		switch value.(type) {
		case object, list:
			flat = false
		}
	}
	dst = append(dst, '[')
	for i, value := range l {
		switch {
		case !flat:
			dst = appendBreak(dst, i, depth+1)
		case i > 0:
			dst = append(dst, ", "...)
		}
		dst = appendValue(dst, value, depth+1)
	}
	if !flat {
		dst = appendBreak(dst, 0, depth)
	}
	return append(dst, ']')
}

func appendBreak(dst []byte, i, depth int) []byte {
	if i > 0 {
		dst = append(dst, ',')
	}
	return append(append(dst, '\n'), strings.Repeat("  ", depth)...)
}
