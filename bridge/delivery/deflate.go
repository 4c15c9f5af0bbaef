package delivery

import (
	"bytes"
	"compress/flate"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// deflateTail ends every compressed message and is left out on the wire (RFC 7692 §7.2.1).
const deflateTail = "\x00\x00\xff\xff"

// finalBlock ends a stream, where a reader would else look for more: an empty last block.
const finalBlock = "\x01\x00\x00\xff\xff"

// offersDeflate reports whether a handshake offers permessage-deflate in a way to which the bridge's only answer,
// server_no_context_takeover; client_no_context_takeover, is allowed (RFC 7692 §7.1): without context each message is
// compressed once for everybody, and nothing is kept for a connection.
func offersDeflate(r *http.Request) bool {
	return slices.ContainsFunc(r.Header.Values("Sec-Websocket-Extensions"), holdsOffer)
}

// holdsOffer reads one header. It takes none that is malformed anywhere: gorilla/websocket, which answers, must find
// the same offers in it.
func holdsOffer(header string) bool {
	found := false
	for offer := range strings.SplitSeq(header, ",") {
		good := true
		var seen []string
		for parameter := range strings.SplitSeq(offer, ";") {
			name, value, hasValue := strings.Cut(parameter, "=")
			name, value = strings.Trim(name, " \t"), unquoted(strings.Trim(value, " \t"))
			if !isToken(name) || hasValue && (!isToken(value) || seen == nil) {
				return false
			}
			if seen == nil {
				good = name == "permessage-deflate"
			} else {
				good = good && !slices.Contains(seen, name) && canAnswer(name, value, hasValue)
			}
			seen = append(seen, name)
		}
		found = found || good
	}
	return found
}

// canAnswer reports whether a parameter of an offer asks for nothing but what is always done. server_max_window_bits
// must be in the answer to an offer with it (RFC 7692 §7.1.2.1), and compress/flate has one window only.
func canAnswer(name, value string, hasValue bool) bool {
	switch name {
	case "client_no_context_takeover", "server_no_context_takeover":
		return !hasValue
	case "client_max_window_bits":
		return !hasValue || slices.Contains([]string{"8", "9", "10", "11", "12", "13", "14", "15"}, value)
	}
	return false
}

func unquoted(value string) string {
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		return value[1 : n-1]
	}
	return value
}

// isToken reports whether s is a token of HTTP's (RFC 9110 §5.6.2).
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

// keptBuffer is how large a buffer may be that a compressor keeps between two messages.
const keptBuffer = 1 << 20

// compressor compresses messages, each on its own. It is safe for concurrent use, and compresses one at a time.
type compressor struct {
	mu     sync.Mutex
	writer *flate.Writer // made with the first message: it takes hundreds of kilobytes
	buffer bytes.Buffer
}

// deflate returns p as the payload of a compressed message.
func (c *compressor) deflate(p []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buffer.Reset()
	if c.writer == nil {
		c.writer, _ = flate.NewWriter(&c.buffer, flate.DefaultCompression) // fails for an unknown level only
	} else {
		c.writer.Reset(&c.buffer)
	}
	_, _ = c.writer.Write(p) // a bytes.Buffer takes everything
	_ = c.writer.Flush()
	payload := bytes.Clone(bytes.TrimSuffix(c.buffer.Bytes(), []byte(deflateTail)))
	if c.buffer.Cap() > keptBuffer {
		c.buffer = bytes.Buffer{}
	}
	return payload
}

// inflateFunc returns what a compressed message of at most limit bytes holds; the error is a violation.
type inflateFunc func(p []byte, limit int) ([]byte, error)

// inflater decompresses clients' messages. It is not safe for concurrent use.
type inflater struct {
	reader io.ReadCloser // made with the first message: it takes 45 KB
}

// inflate is an inflateFunc.
func (i *inflater) inflate(p []byte, limit int) ([]byte, error) {
	compressed := io.MultiReader(bytes.NewReader(p), strings.NewReader(deflateTail+finalBlock))
	if i.reader == nil {
		i.reader = flate.NewReader(compressed)
	} else {
		_ = i.reader.(flate.Resetter).Reset(compressed, nil) // what flate.NewReader returns always can, without an error
	}
	message, err := io.ReadAll(io.LimitReader(i.reader, int64(limit)+1))
	switch {
	case len(message) > limit:
		return nil, tooBig
	case err != nil:
		return nil, invalidPayload
	}
	return message, nil
}
