package limit

// SetMaxKeys has the rates remember fewer keys.
func (r *Rates[K]) SetMaxKeys(n int) { r.maxKeys = n }

// Keys returns how many keys the rates remember.
func (r *Rates[K]) Keys() int { return len(r.buckets) }

// Keys returns how many keys hold any.
func (c *Counts[K]) Keys() int { return len(c.held) }
