package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// pages is over how many pages a registry's cursors are spread, so that one change does not write them all.
const pages = 64

// What is beyond these is not saved, so that no page is too large for NATS, which carries 1 MiB: perPage cursors take
// 800,000 bytes at the most, takenPerPage of others 72,000.
const (
	perPage      = 10_000
	takenPerPage = 4_000
)

// page is some of a registry's cursors, as they are stored:
//
//	format byte, instance, epoch, valid until      8 bytes each, the time in milliseconds since 1970
//	number of cursors, each: name (16 bytes), flags (1 byte), subject and kin (8 bytes each, where flagged),
//	    serial, cursor, written beyond it,
//	    expiry in milliseconds, unless it is a live one
//	number of cursors of others that were taken up, each: instance (8 bytes), serial
//
// Where no size is given, numbers are unsigned varints (encoding/binary), as short as can be.
type page struct {
	instance uint64
	epoch    uint64
	until    time.Time // after which it no longer counts
	entries  []*entry
	taken    []entryID
}

const (
	format      = 1
	flagFresh   = 1 << 0
	flagLive    = 1 << 1
	flagSubject = 1 << 2
	flagKin     = 1 << 3
	flags       = flagFresh | flagLive | flagSubject | flagKin
)

func (p *page) encode() []byte {
	b := p.appendHead(nil, len(p.entries))
	for _, e := range p.entries {
		b = e.append(b)
	}
	return p.appendTaken(b)
}

// appendHead appends what comes before so many cursors.
func (p *page) appendHead(b []byte, entries int) []byte {
	b = append(b, format)
	for _, n := range []uint64{p.instance, p.epoch, uint64(p.until.UnixMilli())} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return binary.AppendUvarint(b, uint64(entries))
}

func (e *entry) append(b []byte) []byte {
	b = append(b, e.owner.name[:]...)
	at := len(b)
	b = append(b, 0)
	if e.fresh {
		b[at] |= flagFresh
	}
	if e.owner.subject != 0 {
		b[at] |= flagSubject
		b = binary.BigEndian.AppendUint64(b, e.owner.subject)
	}
	if e.kin != 0 {
		b[at] |= flagKin
		b = binary.BigEndian.AppendUint64(b, e.kin)
	}
	b = binary.AppendUvarint(b, e.id.serial)
	b = binary.AppendUvarint(b, e.seq)
	b = binary.AppendUvarint(b, max(e.written, e.seq)-e.seq)
	if e.live {
		b[at] |= flagLive
	} else {
		b = binary.AppendUvarint(b, uint64(e.expires.UnixMilli()))
	}
	return b
}

func (p *page) appendTaken(b []byte) []byte {
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
	const least = 16 + 1 + 3 // bytes of a cursor
	for range d.count(least) {
		p.entries = append(p.entries, d.entry(p))
	}
	for range d.count(8 + 1) {
		p.taken = append(p.taken, entryID{d.fixed(), d.varint()})
	}
	if d.failed || len(d.rest) > 0 {
		return nil, errMalformed
	}
	return p, nil
}

// entry returns a cursor in a page.
func (d *decoder) entry(p *page) *entry {
	e := &entry{of: p, expires: p.until}
	copy(e.owner.name[:], d.bytes(len(e.owner.name)))
	has := byte(0)
	if got := d.bytes(1); got != nil {
		has = got[0]
	}
	e.fresh, e.live = has&flagFresh != 0, has&flagLive != 0
	if has&flagSubject != 0 {
		e.owner.subject = d.fixed()
	}
	if has&flagKin != 0 {
		e.kin = d.fixed()
	}
	e.id = entryID{p.instance, d.varint()}
	e.seq = d.varint()
	e.written = e.seq + d.varint()
	if !e.live {
		e.expires = d.time(d.varint())
	}
	missing := has&flagSubject != 0 && e.owner.subject == 0 || has&flagKin != 0 && e.kin == 0
	if has&^flags != 0 || missing || e.written < e.seq {
		d.failed = true
	}
	return e
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
	if n <= 0 || n > 1 && d.rest[n-1] == 0 { // none, too large, or longer than it need be
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
