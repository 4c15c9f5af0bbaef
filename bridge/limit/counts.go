package limit

import "sync"

// Counts counts how many of something each key holds. The zero value counts from nothing. It remembers only keys that
// hold any.
type Counts[K comparable] struct {
	mu   sync.Mutex
	held map[K]int
}

// Take gives the key one more, unless it holds as many as the limit already; then it returns false. A limit of 0 is
// none.
func (c *Counts[K]) Take(key K, limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := c.held[key]
	if limit > 0 && held >= limit {
		return false
	}
	if c.held == nil {
		c.held = make(map[K]int)
	}
	c.held[key] = held + 1
	return true
}

// Release gives back one that Take gave. A key that holds none stays as it is.
func (c *Counts[K]) Release(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if held := c.held[key]; held > 1 {
		c.held[key] = held - 1
	} else {
		delete(c.held, key)
	}
}

// Of returns how many the key holds.
func (c *Counts[K]) Of(key K) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held[key]
}
