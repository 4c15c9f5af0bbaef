package delivery

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rotki/notification-bridge/bridge/journal"
)

// parameters are what a client asks for in the query.
type parameters struct {
	types      []string
	form       form
	closeCodes bool
	since      *since // nil: only what comes from now on
}

// since is from where on a client wants notifications.
type since struct {
	now      bool             // those to come
	earliest bool             // all that there are
	age      time.Duration    // those of the last so long; 0 where one of the others counts
	after    journal.Position // those that follow this one
}

// parse reads the query's parameters. Those that it does not know are ignored, as rotki has always done.
func (e *Engine) parse(query string) (parameters, error) {
	var p parameters
	values, err := url.ParseQuery(query)
	if err != nil {
		return p, fmt.Errorf("the query is malformed: %w", err)
	}
	if e.config.StringData {
		p.form = stringData
	}
	var known []string
	if values.Has("types") {
		known = e.config.Types()
	}
	for _, list := range values["types"] {
		for name := range strings.SplitSeq(list, ",") {
			if !slices.Contains(known, name) {
				return p, fmt.Errorf("types: %q is no notification type; there are: %s", name, strings.Join(known, ", "))
			}
			p.types = append(p.types, name)
		}
	}
	for _, form := range values["data"] {
		switch form {
		case "json":
			p.form = jsonData
		case "string":
			p.form = stringData
		default:
			return p, fmt.Errorf("data: %q is not known; it can be json or string", form)
		}
	}
	if unknown := slices.IndexFunc(values["close"], func(v string) bool { return v != "codes" }); unknown >= 0 {
		return p, fmt.Errorf("close: %q is not known; it can be codes", values["close"][unknown])
	}
	p.closeCodes = values.Has("close")
	if given := values["since"]; len(given) > 1 {
		return p, fmt.Errorf("since: it is given %d times; give one", len(given))
	} else if len(given) == 1 {
		p.since, err = parseSince(given[0])
	}
	return p, err
}

func parseSince(text string) (*since, error) {
	switch text {
	case "now":
		return &since{now: true}, nil
	case "earliest":
		return &since{earliest: true}, nil
	}
	if position, err := journal.ParsePosition(text); err == nil {
		return &since{after: position}, nil
	}
	if age, err := time.ParseDuration(text); err == nil && age > 0 {
		return &since{age: age}, nil
	}
	return nil, fmt.Errorf("since: %q is not known; it can be an id, now, earliest, or an age such as 30s", text)
}
