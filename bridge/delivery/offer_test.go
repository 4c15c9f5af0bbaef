package delivery

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestOffersDeflate(t *testing.T) {
	for _, tc := range []struct {
		name    string
		headers []string
		want    bool
	}{
		{"none", nil, false},
		{"empty", []string{""}, false},
		{"Chromium", []string{"permessage-deflate; client_max_window_bits"}, true},
		{"Firefox", []string{"permessage-deflate"}, true},
		{"Safari", []string{"permessage-deflate"}, true},
		{"Safari of old", []string{"x-webkit-deflate-frame"}, false},
		{"Node's ws", []string{"permessage-deflate; client_max_window_bits"}, true},
		{"Python's websockets", []string{"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"}, false},
		{"gorilla/websocket", []string{"permessage-deflate; server_no_context_takeover; client_no_context_takeover"}, true},
		{"everything", []string{"permessage-deflate; client_max_window_bits=9; client_no_context_takeover; server_no_context_takeover"}, true},

		{"a smaller window", []string{"permessage-deflate; server_max_window_bits=10"}, false},
		{"the usual window, which the answer had to name", []string{"permessage-deflate; server_max_window_bits=15"}, false},
		{"a window of the client's, quoted", []string{`permessage-deflate; client_max_window_bits="10"`}, true},
		{"too small a window", []string{"permessage-deflate; client_max_window_bits=7"}, false},
		{"too large a window", []string{"permessage-deflate; client_max_window_bits=16"}, false},
		{"a window with a zero in front", []string{"permessage-deflate; client_max_window_bits=08"}, false},
		{"no window", []string{"permessage-deflate; client_max_window_bits="}, false},
		{"no window, quoted", []string{`permessage-deflate; client_max_window_bits=""`}, false},
		{"a value where none belongs", []string{"permessage-deflate; client_no_context_takeover=1"}, false},
		{"an unknown parameter", []string{"permessage-deflate; speed=11"}, false},
		{"a parameter twice", []string{"permessage-deflate; client_no_context_takeover; client_no_context_takeover"}, false},
		{"a window twice", []string{"permessage-deflate; client_max_window_bits; client_max_window_bits=10"}, false},
		{"a bad parameter before a good one", []string{"permessage-deflate; speed; client_max_window_bits"}, false},

		{"the second offer", []string{"permessage-deflate; server_max_window_bits=10, permessage-deflate"}, true},
		{"the first offer", []string{"permessage-deflate; client_max_window_bits, permessage-deflate; server_max_window_bits=10"}, true},
		{"no good offer", []string{"permessage-deflate; server_max_window_bits=10, permessage-deflate; x"}, false},
		{"the same parameter in two offers", []string{"permessage-deflate; client_max_window_bits=16, permessage-deflate; client_max_window_bits"}, true},
		{"another extension first", []string{`foo; bar=1; baz="2", permessage-deflate`}, true},
		{"another extension", []string{"permessage-bzip2"}, false},
		{"another extension with its parameters", []string{"foo; client_max_window_bits, foo; permessage-deflate"}, false},
		{"two headers", []string{"foo", "permessage-deflate"}, true},
		{"a malformed header and a good one", []string{"foo bar", "permessage-deflate"}, true},
		{"no spaces", []string{"foo,permessage-deflate;client_max_window_bits=8"}, true},
		{"many spaces", []string{" \tfoo ,\t permessage-deflate \t;\tclient_max_window_bits \t=\t8 "}, true},

		// What follows is malformed, or hides the offer; gorilla/websocket answers none of it.
		{"no name", []string{"; permessage-deflate"}, false},
		{"an empty parameter", []string{"permessage-deflate;"}, false},
		{"a value of the name's", []string{"permessage-deflate=1"}, false},
		{"an empty value of the name's", []string{"permessage-deflate="}, false},
		{"after two words", []string{"foo bar, permessage-deflate"}, false},
		{"two words", []string{"permessage-deflate permessage-deflate"}, false},
		{"in quotes", []string{`foo; a="b, permessage-deflate, c"`}, false},
		{"quoted name", []string{`"permessage-deflate"`}, false},
		{"quotes within quotes", []string{`permessage-deflate; client_max_window_bits=""8""`}, false},
		{"an open quote", []string{`permessage-deflate; client_max_window_bits="8`}, false},
		{"a space that is none to HTTP", []string{"\u00a0permessage-deflate\u00a0"}, false},
		{"another case", []string{"Permessage-Deflate"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := offersDeflate(offering(tc.headers...)); got != tc.want {
				t.Errorf("%q: %t", tc.headers, got)
			}
			checkAnswer(t, tc.headers)
		})
	}
}

// checkAnswer fails the test if permessage-deflate would be in use without being in gorilla/websocket's answer.
func checkAnswer(t *testing.T, headers []string) {
	t.Helper()
	request := offering(headers...)
	if !offersDeflate(request) {
		return
	}
	const answer = "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
	client := &playback{Reader: bytes.NewReader(nil)}
	upgrader := newUpgrader(true)
	if _, err := upgrader.Upgrade(hijackable{conn: client}, request, nil); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(client.written.String(), answer) {
		t.Errorf("%q is answered with %q", headers, client.written.String())
	}
}

// FuzzOffersDeflate: offers that were put together at random are judged by what they were put together from; and no
// header at all gets another answer than the one in use.
func FuzzOffersDeflate(f *testing.F) {
	for _, recipe := range []string{"", "\x00", "\x04\x11\x00", "\x0c\x16\x1f\x00", "\x07\x12\x00\x13", "\x08\x08\x02\x00", "\x08\x02\x02"} {
		f.Add([]byte(recipe), "permessage-deflate")
	}
	f.Add([]byte{0}, `foo; a="b, permessage-deflate"`)
	f.Add([]byte{0}, `permessage-deflate; client_max_window_bits=""8"", x y`)
	f.Fuzz(func(t *testing.T, recipe []byte, header string) {
		checkAnswer(t, []string{header})
		offers, want := cook(recipe)
		if got := offersDeflate(offering(offers)); got != want {
			t.Errorf("%q: %t, want %t", offers, got, want)
		}
		checkAnswer(t, []string{header, offers})
	})
}

// cook makes offers after a recipe, a byte per word, and says whether one of them can be accepted.
func cook(recipe []byte) (header string, acceptable bool) {
	words := []struct {
		text string
		good bool
	}{
		{"client_no_context_takeover", true},
		{"server_no_context_takeover", true},
		{"client_max_window_bits", true},
		{"client_max_window_bits=8", true},
		{`client_max_window_bits="15"`, true},
		{"client_max_window_bits\t= 11", true},
		{"client_max_window_bits=7", false},
		{"client_no_context_takeover=true", false},
		{"server_max_window_bits=15", false},
		{"server_max_window_bits", false},
		{`server_max_window_bits="9"`, false},
		{"permessage-deflate", false},
		{"x", false},
	}
	var offers []string
	for len(recipe) > 0 {
		name := []string{"permessage-deflate", "permessage-deflate", "permessage-deflate", "foo"}[recipe[0]%4]
		count := min(int(recipe[0]/4%4), len(recipe)-1)
		offer, good, seen := name, name != "foo", []string(nil)
		for _, b := range recipe[1 : 1+count] {
			word := words[int(b)%len(words)]
			key := strings.TrimRight(strings.Split(word.text, "=")[0], "\t")
			good = good && word.good && !slices.Contains(seen, key)
			seen = append(seen, key)
			offer += []string{";", "; ", " ;\t"}[int(b)/len(words)%3] + word.text
		}
		offers, acceptable = append(offers, offer), acceptable || good
		recipe = recipe[1+count:]
	}
	return strings.Join(offers, ", "), acceptable
}

// TestInflateLimit: what the bridge compresses it can read, up to the limit.
func TestInflateLimit(t *testing.T) {
	var c compressor
	for _, n := range []int{0, 1, 125, 126, 4095, 4096, 4097} {
		for _, message := range []string{xs(n), string(bytes.Repeat([]byte{0, 0xff, 0x80, 'a', 7}, n)[:n])} {
			got, err := new(inflater).inflate(c.deflate([]byte(message)), maxClientMessage)
			if n > maxClientMessage {
				if err != error(tooBig) {
					t.Errorf("%d bytes: %v", n, err)
				}
			} else if err != nil || string(got) != message {
				t.Errorf("%d bytes became %d: %v", n, len(got), err)
			}
		}
	}
}
