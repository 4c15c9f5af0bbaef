package schema

import (
	"fmt"
	"maps"
	"slices"
)

// Finding is one way in which a frontend that was written for the old schema may break under the new one.
type Finding struct {
	// Path leads to the value on the wire, from the notification's type on: "login_status.current_upgrade.description".
	// A list's values are "[]", a tuple's "[0]", and a variant's members follow "[subtype=evm]".
	Path string
	// Message says what happened.
	Message string
}

func (f Finding) String() string { return f.Path + ": " + f.Message }

// Diff compares two documents that JSONSchema wrote, and returns what a frontend would notice: what it could rely on
// in the old one and cannot in the new. It names each place on the wire where that is so.
//
// Additions are no findings: types, keys, variants and enum values that are new. Frontends drop a type, variant or
// value that they do not know, and ignore a key. Nor is it one when less is possible than before.
func Diff(before, after []byte) ([]Finding, error) {
	old, err := newWireReader(before)
	if err != nil {
		return nil, fmt.Errorf("old schema: %w", err)
	}
	oldTypes, err := old.types()
	if err != nil {
		return nil, fmt.Errorf("old schema: %w", err)
	}
	current, err := newWireReader(after)
	if err != nil {
		return nil, fmt.Errorf("new schema: %w", err)
	}
	newTypes, err := current.types()
	if err != nil {
		return nil, fmt.Errorf("new schema: %w", err)
	}
	d := &differ{old: old, current: current, reported: make(map[Finding]bool)}
	for _, typ := range slices.Sorted(maps.Keys(oldTypes)) {
		if newTypes[typ] == nil {
			d.report(typ, "the type is gone")
			continue
		}
		if err := d.value(typ, oldTypes[typ], newTypes[typ], nil); err != nil {
			return nil, err
		}
	}
	return d.findings, nil
}

// differ compares value by value.
type differ struct {
	old, current wireReader
	findings     []Finding
	reported     map[Finding]bool
}

// pair is a definition of the old schema and the one that is in its place in the new.
type pair struct{ old, current string }

func (d *differ) report(path, format string, args ...any) {
	f := Finding{path, fmt.Sprintf(format, args...)}
	if !d.reported[f] {
		d.reported[f] = true
		d.findings = append(d.findings, f)
	}
}

// value compares two values. Inside are the definitions around them: one that contains itself is compared once.
func (d *differ) value(path string, before, after *source, inside []pair) error {
	old, err := d.old.read(before)
	if err != nil {
		return fmt.Errorf("old schema: %s: %w", path, err)
	}
	current, err := d.current.read(after)
	if err != nil {
		return fmt.Errorf("new schema: %s: %w", path, err)
	}
	if current.nullable && !old.nullable {
		d.report(path, "may now be null")
	}
	if current.kind != old.kind {
		d.report(path, "was %s, is now %s", old.kind, current.kind)
		return nil
	}
	if p := (pair{old.ref, current.ref}); old.ref != "" && current.ref != "" {
		if slices.Contains(inside, p) {
			return nil
		}
		inside = append(inside[:len(inside):len(inside)], p)
	}
	if current.min < old.min {
		d.report(path, "may now be less than %.0f", old.min)
	}
	if current.max > old.max {
		d.report(path, "may now be more than %.0f", old.max)
	}
	for _, name := range old.enum {
		if !slices.Contains(current.enum, name) {
			d.report(path, "the value %q is gone", name)
		}
	}
	if old.element != nil {
		return d.value(path+"[]", old.element, current.element, inside)
	}
	if len(old.items) != len(current.items) {
		d.report(path, "was a tuple of %d, is now one of %d", len(old.items), len(current.items))
		return nil
	}
	for i := range old.items {
		if err := d.value(fmt.Sprintf("%s[%d]", path, i), old.items[i], current.items[i], inside); err != nil {
			return err
		}
	}
	for _, object := range old.objects {
		if err := d.objects(path, object, current.objects, inside); err != nil {
			return err
		}
	}
	return nil
}

// objects compares an object with all that can now be in its place.
func (d *differ) objects(path string, old wireObject, candidates []wireObject, inside []pair) error {
	path += old.label()
	found := false
	for _, current := range candidates {
		if !current.extends(old) {
			continue
		}
		found = true
		if err := d.object(path, old, current, inside); err != nil {
			return err
		}
	}
	if !found {
		d.report(path, "the variant is gone")
	}
	return nil
}

func (d *differ) object(path string, old, current wireObject, inside []pair) error {
	for _, key := range slices.Sorted(maps.Keys(old.properties)) {
		path := path + "." + key
		if current.properties[key] == nil {
			d.report(path, "the key is gone")
			continue
		}
		if slices.Contains(old.required, key) && !slices.Contains(current.required, key) {
			d.report(path, "may now be missing")
		}
		if err := d.value(path, old.properties[key], current.properties[key], inside); err != nil {
			return err
		}
	}
	return nil
}
