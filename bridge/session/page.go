package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// pages is over how many pages a registry's cursors are spread, so that one change does not write them all, and no page
// is too large: NATS carries 1 MiB by default, in which 20,000 cursors have room.
const pages = 64

// maxEntries is how many cursors a page has at the most. Names are the client's to choose, and may be the same for many.
const maxEntries = 16_000

// page is some of a registry's cursors, as they are stored:
//
//	format byte, instance, epoch, valid until      8 bytes each, the time in milliseconds since 1970
//	number of cursors, each: name (16 bytes), subject and kin (8 bytes each), flags (1 byte),
//	    serial, cursor, written beyond it, expiry in milliseconds (0 for a live one)
//	number of cursors of others that were taken up, each: instance (8 bytes), serial
//
// Where no size is given, numbers are unsigned varints (encoding/binary).
type page struct {
	instance uint64
	epoch    uint64
	until    time.Time // after which it no longer counts
	entries  []*entry
	taken    []entryID
}

const (
	format    = 1
	flagFresh = 1 << 0
	flagLive  = 1 << 1
)

func (p *page) encode() []byte {
	b := make([]byte, 0, 64+52*len(p.entries)+16*len(p.taken))
	b = append(b, format)
	for _, n := range []uint64{p.instance, p.epoch, uint64(p.until.UnixMilli())} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = binary.AppendUvarint(b, uint64(len(p.entries)))
	for _, e := range p.entries {
		b = append(b, e.owner.name[:]...)
		b = binary.BigEndian.AppendUint64(b, e.owner.subject)
		b = binary.BigEndian.AppendUint64(b, e.kin)
		flags, expires := byte(0), uint64(0)
		if e.fresh {
			flags |= flagFresh
		}
		if e.live {
			flags |= flagLive
		} else {
			expires = uint64(e.expires.UnixMilli())
		}
		b = append(b, flags)
		for _, n := range []uint64{e.id.serial, e.seq, max(e.written, e.seq) - e.seq, expires} {
			b = binary.AppendUvarint(b, n)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(p.taken)))
	for _, id := range p.taken {
		b = binary.BigEndian.AppendUint64(b, id.instance)
		b = binary.AppendUvarint(b, id.serial)
	}
	return b
}

var errMalformed = errors.New("malformed")

// decodePage reads what encode writes, and refuses everything else.
func decodePage(b []byte) (*page, error) {
	d := decoder{rest: b}
	if got := d.bytes(1); got != nil && got[0] != format {
		return nil, fmt.Errorf("format %d is not known", got[0])
	}
	p := &page{instance: d.fixed(), epoch: d.fixed(), until: d.time(d.fixed())}
	const least = 16 + 8 + 8 + 1 + 4 // bytes of a cursor
	for range d.count(least) {
		e := new(entry)
		copy(e.owner.name[:], d.bytes(len(e.owner.name)))
		e.owner.subject, e.kin = d.fixed(), d.fixed()
		flags := byte(0)
		if got := d.bytes(1); got != nil {
			flags = got[0]
		}
		e.fresh, e.live = flags&flagFresh != 0, flags&flagLive != 0
		e.id = entryID{p.instance, d.varint()}
		e.seq = d.varint()
		beyond := d.varint()
		e.written = e.seq + beyond
		expires := d.varint()
		if flags&^(flagFresh|flagLive) != 0 || e.live != (expires == 0) || e.written < e.seq {
			d.failed = true
		}
		if e.expires = p.until; !e.live {
			e.expires = d.time(expires)
		}
		p.entries = append(p.entries, e)
	}
	for range d.count(8 + 1) {
		p.taken = append(p.taken, entryID{d.fixed(), d.varint()})
	}
	if d.failed || len(d.rest) > 0 {
		return nil, errMalformed
	}
	return p, nil
}

// decoder takes numbers off bytes. Once something is missing, all that follows is zero.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) bytes(n int) []byte {
	if len(d.rest) < n {
		d.failed, d.rest = true, nil
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) fixed() uint64 {
	if b := d.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) varint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.failed, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// count returns a number of things of which each has least bytes, so that no more is made room for than can follow.
func (d *decoder) count(least int) int {
	n := d.varint()
	if n > uint64(len(d.rest)/least) {
		d.failed, d.rest = true, nil
		return 0
	}
	return int(n)
}

// time returns a time between 1970 and the year 10889.
func (d *decoder) time(ms uint64) time.Time {
	if ms >= 1<<48 {
		d.failed = true
		return time.Time{}
	}
	return time.UnixMilli(int64(ms))
}
