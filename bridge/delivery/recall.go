package delivery

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/rotki/notification-bridge/bridge/journal"
)

const (
	// pageRecords is how many records are recalled at once, at the most.
	pageRecords = 512
	// pageBytes is about how many bytes of data end a page.
	pageBytes = 256 << 10
	// keptBytes is about how many bytes of data are kept for whoever comes next, and keptTime how long after they were
	// last of use to anybody.
	keptBytes = 4 << 20
	keptTime  = 10 * time.Second
	// recallers is how many pages are fetched at the same time.
	recallers = 4
	// recallPause is how long a journal that cannot be reached is left alone.
	recallPause = time.Second
)

// page is a run of records that were no longer at hand.
type page struct {
	from    uint64
	records []*journal.Record
	bytes   int // of data
}

// holds reports whether the page has a record.
func (p *page) holds(seq uint64) bool {
	return p != nil && seq >= p.from && seq-p.from < uint64(len(p.records))
}

// recaller fetches pages for the shards, which never wait for one. Subscribers that want what one page has share it, so
// that those who come back from the same outage cost about what one of them does. It is safe for concurrent use.
type recaller struct {
	log    Log
	logger *slog.Logger
	news   chan struct{} // something is wanted

	mu     sync.Mutex
	pages  []*page // the last used at the end
	bytes  int     // of data in them
	used   time.Time
	wanted []*recall
}

// recall is a page that is wanted, from a sequence number on.
type recall struct {
	from    uint64
	taken   bool // it is being fetched
	waiting []*subscriber
}

func newRecaller(log Log, logger *slog.Logger) *recaller {
	return &recaller{log: log, logger: logger, news: make(chan struct{}, 1)}
}

// want returns a page with a record, or nil when it has to be fetched: the subscriber's shard is told then.
func (r *recaller) want(seq uint64, sub *subscriber) *page {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.find(seq); p != nil {
		return p
	}
	for _, w := range r.wanted {
		if seq >= w.from && seq-w.from < pageRecords {
			w.waiting = append(w.waiting, sub)
			return nil
		}
	}
	r.wanted = append(r.wanted, &recall{from: seq, waiting: []*subscriber{sub}})
	r.rouse()
	return nil
}

func (r *recaller) rouse() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// find returns a page with a record, if there is one. mu must be held.
func (r *recaller) find(seq uint64) *page {
	for i, p := range r.pages {
		if p.holds(seq) {
			copy(r.pages[i:], r.pages[i+1:])
			r.pages[len(r.pages)-1] = p
			r.used = time.Now()
			return p
		}
	}
	return nil
}

// run fetches what is wanted until ctx is done.
func (r *recaller) run(ctx context.Context) {
	var fetching sync.WaitGroup
	defer fetching.Wait()
	for range recallers {
		fetching.Go(func() {
			for ctx.Err() == nil {
				if w := r.take(); w != nil {
					r.serve(ctx, w)
					continue
				}
				select {
				case <-r.news:
				case <-time.After(keptTime):
					r.tidy()
				case <-ctx.Done():
				}
			}
		})
	}
}

// tidy lets go of pages that are of no use to anybody any more.
func (r *recaller) tidy() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.used) > keptTime {
		r.pages, r.bytes = nil, 0
	}
}

// keep keeps a page, and lets go of those that were not used for the longest time. mu must be held.
func (r *recaller) keep(p *page) {
	r.pages = append(r.pages, p)
	r.bytes += p.bytes
	r.used = time.Now()
	for len(r.pages) > 1 && r.bytes > keptBytes {
		r.bytes -= r.pages[0].bytes
		r.pages = append(r.pages[:0], r.pages[1:]...)
	}
}

// take returns the next page to be fetched, nil for none.
func (r *recaller) take() *recall {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, w := range r.wanted {
		if !w.taken {
			w.taken = true
			if i+1 < len(r.wanted) {
				r.rouse() // for another, who finds out whether there is more to do
			}
			return w
		}
	}
	return nil
}

// serve fetches a page and tells those who wait for it.
func (r *recaller) serve(ctx context.Context, w *recall) {
	p, err := r.fetch(ctx, w.from)
	for told := false; err != nil && !errors.Is(err, journal.ErrLost) && ctx.Err() == nil; told = true {
		if !told {
			r.logger.Warn("what subscribers missed cannot be read, retrying", "err", err)
		}
		select {
		case <-time.After(recallPause):
		case <-ctx.Done():
			return
		}
		p, err = r.fetch(ctx, w.from)
	}
	r.mu.Lock()
	for i, other := range r.wanted {
		if other == w {
			r.wanted = append(r.wanted[:i], r.wanted[i+1:]...)
			break
		}
	}
	if p != nil {
		r.keep(p)
	}
	r.mu.Unlock()
	byShard := make(map[*shard][]*subscriber)
	for _, sub := range w.waiting { // nobody is added any more
		byShard[sub.shard] = append(byShard[sub.shard], sub)
	}
	for s, subs := range byShard {
		s.post(func() { s.recalled(subs, p, w.from, nextOf(err)) })
	}
}

// nextOf returns what comes after a place that is lost, 0 where that is not known.
func nextOf(err error) uint64 {
	if lost := (*journal.LostError)(nil); errors.As(err, &lost) {
		return lost.Next
	}
	return 0
}

// fetch reads a page from the journal. It has one record at least, unless the error says otherwise.
func (r *recaller) fetch(ctx context.Context, from uint64) (*page, error) {
	p := &page{from: from}
	var buffer [16]*journal.Record
	for len(p.records) < pageRecords && p.bytes < pageBytes {
		n, err := r.log.Recall(ctx, from+uint64(len(p.records)), buffer[:])
		if len(p.records) > 0 && (err != nil || n == 0) {
			break // what there is serves those who wait; whoever needs more asks again
		}
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, journal.ErrLost
		}
		for _, record := range buffer[:n] {
			p.bytes += len(record.Data)
		}
		p.records = append(p.records, buffer[:n]...)
	}
	return p, nil
}

// recall has a subscriber wait for the records that are no longer at hand.
func (s *shard) recall(sub *subscriber) {
	if p := s.engine.recaller.want(sub.next, sub); p != nil {
		s.batches.recalled = p
		return
	}
	sub.recalling = true
}

// recalled goes on with subscribers that waited for a page. When there is none, the place of those at from is lost for
// good: a client that resumes by itself is ended, and told when it comes back; a browser goes on with what comes next.
func (s *shard) recalled(subs []*subscriber, p *page, from, next uint64) {
	for _, sub := range subs {
		sub.recalling = false
		if sub.roster == nil || sub.ended {
			continue
		}
		switch {
		case p != nil:
			s.batches.recalled = p
		case sub.next != from: // it waited for another's page
		case next > from && sub.offset == 0 && sub.session != nil:
			s.passOver(sub, next)
		default:
			sub.behind = false
		}
		s.flush(sub)
	}
}

// passOver has a browser go on behind what it has lost.
func (s *shard) passOver(sub *subscriber, next uint64) {
	s.engine.lost(sub, next-sub.next)
	sub.next = next
}
