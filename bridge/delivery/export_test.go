package delivery

// Expel ends every connection with a clean 1008, as for those who may not be here.
func (e *Engine) Expel() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for s := range e.live {
		s.shard.post(s, func(m *mailbox) { m.gone, m.close = &NotAllowed, closeFrame(NotAllowed.Code) })
	}
}
