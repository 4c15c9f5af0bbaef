package session

import (
	"bytes"
	"reflect"
	"testing"
	"time"
)

func somePage() *page {
	until := time.UnixMilli(1_800_000_000_000)
	return &page{
		instance: 7, epoch: 8, until: until,
		entries: []*entry{
			{owner: owner{name: Name{1}}, id: entryID{7, 1}, seq: 10, written: 10, live: true, expires: until},
			{owner: owner{name: Name{2}, subject: 9}, id: entryID{7, 300}, seq: 1 << 40, written: 1<<40 + 200, kin: 5, fresh: true, expires: until.Add(-time.Minute)},
		},
		taken: []entryID{{1, 2}, {1 << 63, 1 << 40}},
	}
}

func TestPage(t *testing.T) {
	for name, p := range map[string]*page{
		"full":  somePage(),
		"empty": {instance: 1, epoch: 1<<64 - 1, until: time.UnixMilli(0)},
	} {
		got, err := decodePage(p.encode())
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("%s became %+v, %v", name, got, err)
		}
	}
}

func TestMalformedPages(t *testing.T) {
	whole := somePage().encode()
	for n := range whole {
		if _, err := decodePage(whole[:n]); err == nil {
			t.Errorf("%d bytes of %d were taken for a page", n, len(whole))
		}
	}
	if _, err := decodePage(append(bytes.Clone(whole), 0)); err == nil {
		t.Error("one byte too many was taken")
	}
	other := bytes.Clone(whole)
	other[0]++
	if _, err := decodePage(other); err == nil {
		t.Error("another format was taken")
	}
}

func FuzzDecodePage(f *testing.F) {
	f.Add(somePage().encode())
	f.Add((&page{until: time.UnixMilli(1)}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePage(b)
		if err != nil {
			return
		}
		again, err := decodePage(p.encode())
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
	})
}
