package session

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"time"
)

// samplePages are pages of all kinds.
func samplePages() map[string]*page {
	until := time.UnixMilli(1_800_000_000_123)
	name := Name{1, 2, 3}
	return map[string]*page{
		"empty": {instance: 1, epoch: 2, until: until},
		"parked": {instance: 1, epoch: 2, until: until, entries: []*entry{
			{owner: owner{name: name}, id: entryID{1, 3}, seq: 100, written: 130, expires: until.Add(time.Minute)},
		}},
		"live": {instance: 1, epoch: 2, until: until, entries: []*entry{
			{owner: owner{name: name, subject: 9}, id: entryID{1, 3}, seq: 100, written: 100, live: true, expires: until},
		}},
		"without a cookie": {instance: 1, epoch: 2, until: until, entries: []*entry{
			{id: entryID{1, 3}, fresh: true, kin: 7, expires: until},
		}},
		"taken": {instance: 1, epoch: 2, until: until, taken: []entryID{{2, 1}, {math.MaxUint64, math.MaxUint64}}},
		"large numbers": {instance: math.MaxUint64, epoch: math.MaxUint64, until: time.UnixMilli(1<<48 - 1), entries: []*entry{{
			owner: owner{name: name, subject: math.MaxUint64}, id: entryID{math.MaxUint64, math.MaxUint64}, kin: math.MaxUint64,
			seq: math.MaxUint64, written: math.MaxUint64, expires: time.UnixMilli(1<<48 - 1),
		}}},
	}
}

func TestPage(t *testing.T) {
	for name, p := range samplePages() {
		got, err := decodePage(p.encode())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.instance != p.instance || got.epoch != p.epoch || !got.until.Equal(p.until) || !slices.Equal(got.taken, p.taken) || len(got.entries) != len(p.entries) {
			t.Errorf("%s: got %+v, want %+v", name, got, p)
			continue
		}
		for i, want := range p.entries {
			e := got.entries[i]
			if e.owner != want.owner || e.id != want.id || e.seq != want.seq || e.written != want.written || e.kin != want.kin ||
				e.fresh != want.fresh || e.live != want.live || !e.expires.Equal(want.expires) {
				t.Errorf("%s: got %+v, want %+v", name, e, want)
			}
		}
	}
}

func TestMalformedPage(t *testing.T) {
	cursor := append(make([]byte, 16), flagLive, 1, 1, 0) // without a name, serial 1, cursor 1
	head := (&page{instance: 1, epoch: 2, until: time.UnixMilli(3)}).appendHead(nil, 0)
	head = head[:len(head)-1] // without a number of cursors
	with := func(parts ...[]byte) []byte { return slices.Concat(append([][]byte{head}, parts...)...) }
	if _, err := decodePage(with([]byte{1}, cursor, []byte{0})); err != nil {
		t.Fatal(err)
	}
	change := func(at int, to ...byte) []byte { return slices.Replace(slices.Clone(cursor), at, at+1, to...) }
	late := slices.Clone(head)
	binary.BigEndian.PutUint64(late[17:], 1<<48)
	for name, b := range map[string][]byte{
		"nothing":               nil,
		"another format":        with([]byte{0, 0})[1:],
		"a time too late":       append(late, 0, 0),
		"more than it says":     with([]byte{0, 0, 0}),
		"less than it says":     with([]byte{2}, cursor, []byte{0}),
		"very many":             with(binary.AppendUvarint(nil, math.MaxUint64)),
		"very many taken":       with([]byte{0}, binary.AppendUvarint(nil, math.MaxInt64)),
		"a flag that is none":   with([]byte{1}, change(16, flagLive|1<<7), []byte{0}),
		"no subject after all":  with([]byte{1}, change(16, flagLive|flagSubject, 0, 0, 0, 0, 0, 0, 0, 0), []byte{0}),
		"no kin after all":      with([]byte{1}, change(16, flagLive|flagKin, 0, 0, 0, 0, 0, 0, 0, 0), []byte{0}),
		"a number too long":     with([]byte{1}, change(18, 0x81, 0), []byte{0}),
		"a number too large":    with([]byte{1}, change(18, bytes.Repeat([]byte{0xff}, 11)...), []byte{0}),
		"written to beyond all": with([]byte{1}, change(19, binary.AppendUvarint(nil, math.MaxUint64)...), []byte{0}),
	} {
		if p, err := decodePage(b); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
	whole := samplePages()["large numbers"].encode()
	for n := range whole {
		if p, err := decodePage(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes: %+v", n, len(whole), p)
		}
	}
}

// FuzzDecodePage: what decodes is encoded as it was.
func FuzzDecodePage(f *testing.F) {
	for _, p := range samplePages() {
		f.Add(p.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePage(b)
		if err != nil {
			return
		}
		if got := p.encode(); !bytes.Equal(got, b) {
			t.Errorf("%x became %x", b, got)
		}
	})
}

// TestPageHasRoom: a page that is as full as can be is not too large for NATS.
func TestPageHasRoom(t *testing.T) {
	p := &page{until: time.UnixMilli(1<<48 - 1)}
	for range perPage {
		p.entries = append(p.entries, samplePages()["large numbers"].entries[0])
	}
	for range takenPerPage {
		p.taken = append(p.taken, entryID{math.MaxUint64, math.MaxUint64})
	}
	if size := len(p.encode()); size > 1_000_000 {
		t.Errorf("%d bytes", size)
	}
}
