package journal

import "slices"

// fewRecipients is how many are looked through faster than a sorted list is made.
const fewRecipients = 8

// IsFor reports whether the record may be shown to a subject: it names no recipients, or that one among them. Somebody
// anonymous (the empty subject) gets nothing that names recipients. It is safe for concurrent use.
func (r *Record) IsFor(subject string) bool {
	switch {
	case len(r.Recipients) == 0:
		return true
	case subject == "":
		return false
	case len(r.Recipients) <= fewRecipients:
		return slices.Contains(r.Recipients, subject)
	}
	sorted := r.sorted.Load()
	if sorted == nil {
		list := r.Recipients
		if !slices.IsSorted(list) { // as the bridge's own are
			list = slices.Clone(list)
			slices.Sort(list)
		}
		sorted = &list
		r.sorted.Store(sorted)
	}
	_, found := slices.BinarySearch(*sorted, subject)
	return found
}
