package journal

// Keys returns how many conflation keys the window remembers.
func (w *Window) Keys() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.keys)
}
