//go:build linux

package load

import "time"

// The envelope in which every message travels, around its value.
const (
	Prefix = `{"type":"legacy","data":{"verbosity":"warning","value":"`
	Suffix = `"}}`
)

// A value begins with the time at which it was published and its number, at the same place in every envelope.
const (
	stampDigits    = len("1700000000000000000") // nanoseconds since 1970
	sequenceDigits = 8
)

// filler is what the rest of a value is made of. It is much like what rotki sends, so that it compresses like that,
// and needs no escape in JSON.
const filler = " Event 0x06a8b9f758b04718: asset ETH of aave-v3 on ethereum has a balance of 100.5, block 18232911."

// AppendValue appends the value of a message that is published at a time, such that its envelope has size bytes.
func AppendValue(p []byte, at time.Time, sequence, size int) []byte {
	p = appendDigits(p, at.UnixNano(), stampDigits)
	p = appendDigits(p, int64(sequence), sequenceDigits)
	for left := size - len(Prefix) - len(Suffix) - stampDigits - sequenceDigits; left > 0; {
		part := filler[:min(left, len(filler))]
		p = append(p, part...)
		left -= len(part)
	}
	return p
}

// parseEnvelope finds when a message was published, and its number.
func parseEnvelope(envelope []byte) (stamp int64, sequence int, ok bool) {
	const end = len(Prefix) + stampDigits + sequenceDigits
	if len(envelope) < end+len(Suffix) {
		return 0, 0, false
	}
	digits := envelope[len(Prefix):end]
	stamp, first := parseDigits(digits[:stampDigits])
	number, second := parseDigits(digits[stampDigits:])
	return stamp, int(number), first && second
}

// appendDigits appends the last digits of a number, with leading zeros.
func appendDigits(p []byte, n int64, digits int) []byte {
	p = append(p, "0000000000000000000"[:digits]...)
	for i := range digits {
		p[len(p)-1-i] = byte('0' + n%10)
		n /= 10
	}
	return p
}

func parseDigits(p []byte) (n int64, ok bool) {
	for _, c := range p {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
