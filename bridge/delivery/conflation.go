package delivery

// conflateFrom is how many records a stalled subscriber must lack, so that it gets only the newest of a key. Fewer than
// these are written so soon that it should see them all.
const conflateFrom = 256

// conflates reports whether a subscriber has fallen behind: it has stalled, and it lacks many records. Neither is
// enough alone. One that takes up where it was cut off lacks many, and one that a burst is written to is blocked again
// and again, over TLS for every piece, however fast it reads; but a tick seldom finds it so.
func (s *shard) conflates(sub *subscriber) bool {
	return sub.stalled && s.head-sub.next > conflateFrom
}

// leftOut counts what a subscriber that has fallen behind did not get.
func (m *metrics) leftOut(n int) {
	if n > 0 {
		m.conflated.Add(float64(n))
	}
}
