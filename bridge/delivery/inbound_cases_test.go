package delivery

import "strings"

// inboundCase is what a client sends, and what must come of it.
type inboundCase struct {
	name    string
	deflate bool
	stream  string
	said    []said
	code    violation
	partial bool // the client stops within a message
}

// inboundCases returns the cases of TestInbound. FuzzInbound begins with them.
func inboundCases() []inboundCase {
	cases := append(messageCases(), violationCases()...)
	return append(cases, deflateCases()...)
}

func messageCases() []inboundCase {
	return []inboundCase{
		{name: "nothing"},
		{name: "text", stream: client(0x81, "hello"), said: []said{text("hello")}},
		{name: "empty messages", stream: client(0x81, "") + client(0x82, ""), said: []said{text(""), binmsg("")}},
		{name: "binary", stream: client(0x82, "\xff\x00"), said: []said{binmsg("\xff\x00")}},
		{
			name: "several in a row", stream: client(0x81, "a") + client(0x89, "b") + client(0x82, "c") + client(0x8a, "d"),
			said: []said{text("a"), ping("b"), binmsg("c"), pong("d")},
		},
		{name: "no mask to speak of", stream: "\x81\x82\x00\x00\x00\x00hi", said: []said{text("hi")}},
		{name: "7 bits of length", stream: client(0x81, xs(125)), said: []said{text(xs(125))}},
		{name: "16 bits of length", stream: client(0x81, xs(126)), said: []said{text(xs(126))}},
		{name: "the largest", stream: client(0x82, xs(4096)), said: []said{binmsg(xs(4096))}},
		{
			// RFC 6455 §5.2 asks for the shortest form, which no reader known to us insists on.
			name: "longer forms than need be", stream: client16(0x81, 2, "hi") + client64(0x81, 2, "hi") + client64(0x82, 200, xs(200)),
			said: []said{text("hi"), text("hi"), binmsg(xs(200))},
		},
		{name: "two fragments", stream: client(0x01, "hel") + client(0x80, "lo"), said: []said{text("hello")}},
		{
			name: "empty fragments", stream: client(0x02, "") + client(0x00, "a") + client(0x00, "") + client(0x00, "b") + client(0x80, ""),
			said: []said{binmsg("ab")},
		},
		{name: "nothing but empty fragments", stream: client(0x01, "") + strings.Repeat(client(0x00, ""), 20) + client(0x80, ""), said: []said{text("")}},
		{
			name: "fragments up to the limit", stream: client(0x01, xs(2000)) + client(0x00, xs(2095)) + client(0x80, "x"),
			said: []said{text(xs(4096))},
		},
		{
			name: "control frames between fragments", stream: client(0x89, "0") + client(0x01, "a") + client(0x89, "1") + client(0x8a, "") + client(0x80, "b"),
			said: []said{ping("0"), ping("1"), pong(""), text("ab")},
		},
		{
			name: "control frames in a row", stream: client(0x89, "abc") + client(0x8a, "def") + client(0x01, "") + client(0x89, "ghi") + client(0x89, "jk") + client(0x80, "l"),
			said: []said{ping("abc"), pong("def"), ping("ghi"), ping("jk"), text("l")},
		},
		{name: "close between fragments", stream: client(0x01, "a") + client(0x88, "\x03\xe8"), said: []said{bye("\x03\xe8")}, partial: true},
		{name: "the largest ping", stream: client(0x89, xs(125)), said: []said{ping(xs(125))}},
		{name: "UTF-8", stream: client(0x81, "ü€🚀\x00\U0010ffff\ufffe"), said: []said{text("ü€🚀\x00\U0010ffff\ufffe")}},
		{name: "a rune in three fragments", stream: client(0x01, "\xe2") + client(0x00, "\x82") + client(0x80, "\xac"), said: []said{text("€")}},
		{
			name: "a rune around a ping", stream: client(0x01, "a\xf0\x9f") + client(0x89, "\xff") + client(0x80, "\x9a\x80"),
			said: []said{ping("\xff"), text("a🚀")},
		},
		{name: "close without a code", stream: client(0x88, ""), said: []said{bye("")}},
		{name: "close with a code", stream: client(0x88, "\x03\xe9"), said: []said{bye("\x03\xe9")}},
		{name: "close with a reason", stream: client(0x88, "\x0f\xa0tschüs"), said: []said{bye("\x0f\xa0tschüs")}},
		{name: "the longest reason", stream: client(0x88, "\x03\xe8"+xs(123)), said: []said{bye("\x03\xe8" + xs(123))}},
		{name: "nothing counts after a close", stream: client(0x88, "") + client(0x83, "") + client(0x81, "x"), said: []said{bye("")}},
		{name: "half a header", stream: client(0x81, "a") + "\x81", said: []said{text("a")}, partial: true},
		{name: "a header without its mask", stream: client(0x81, "a")[:5], partial: true},
		{name: "a header without its payload", stream: client(0x81, "a")[:6], partial: true},
		{name: "half a payload", stream: client(0x89, "abc")[:8], partial: true},
		{name: "half a message", stream: client(0x01, "abc"), partial: true},
		{name: "half an empty message", stream: client(0x01, ""), partial: true},
	}
}

func violationCases() []inboundCase {
	const unmasked = "\x81\x02hi"
	cases := []inboundCase{
		{name: "no mask", stream: unmasked, code: protocolError},
		{name: "no mask, no payload", stream: "\x81\x00", code: protocolError},
		{name: "no mask, 16 bits of length", stream: "\x81\x7e", code: protocolError},
		{name: "no mask, 64 bits of length", stream: "\x81\x7f", code: protocolError},
		{name: "no mask at a close", stream: "\x88\x00", code: protocolError},
		{name: "no mask after good frames", stream: client(0x81, "a") + client(0x01, "b") + unmasked, said: []said{text("a")}, code: protocolError},
		{name: "RSV1", stream: client(0xc1, "hi"), code: protocolError},
		{name: "RSV1 on a ping", stream: client(0xc9, ""), code: protocolError},
		{name: "RSV2", stream: client(0xa1, "hi"), code: protocolError},
		{name: "RSV3", stream: client(0x91, "hi"), code: protocolError},
		{name: "RSV3 on a continuation", stream: client(0x01, "a") + client(0x90, "b"), code: protocolError},
		{name: "data opcode", stream: client(0x83, "hi"), code: protocolError},
		{name: "control opcode", stream: client(0x8b, ""), code: protocolError},
		{name: "unknown opcode within a message", stream: client(0x01, "a") + client(0x87, ""), code: protocolError},
		{name: "control too long", stream: client(0x89, xs(126)), code: protocolError},
		{name: "control with 16 bits of length", stream: client16(0x89, 2, "hi"), code: protocolError},
		{name: "control with 64 bits of length", stream: client64(0x8a, 2, "hi"), code: protocolError},
		{name: "control too long, by far", stream: client64(0x88, 1<<63, ""), code: protocolError},
		{name: "fragmented ping", stream: client(0x09, "a") + client(0x80, "b"), code: protocolError},
		{name: "fragmented pong", stream: client(0x0a, ""), code: protocolError},
		{name: "fragmented close", stream: client(0x08, "\x03\xe8"), code: protocolError},
		{name: "continuation of nothing", stream: client(0x80, "hi"), code: protocolError},
		{name: "unfinished continuation of nothing", stream: client(0x00, "hi"), code: protocolError},
		{name: "continuation after the end", stream: client(0x01, "a") + client(0x80, "b") + client(0x80, "c"), said: []said{text("ab")}, code: protocolError},
		{name: "continuation after an empty message", stream: client(0x81, "") + client(0x80, ""), said: []said{text("")}, code: protocolError},
		{name: "message within a message", stream: client(0x01, "a") + client(0x81, "b"), code: protocolError},
		{name: "fragment within a message", stream: client(0x02, "") + client(0x01, "b"), code: protocolError},
		{name: "close payload of one byte", stream: client(0x88, "\x03"), code: protocolError},
		{name: "close code", stream: client(0x88, "\x03\xed"), code: protocolError}, // 1005
		{name: "close reason cut short", stream: client(0x88, "\x03\xe8a\xc3"), code: invalidPayload},
		{name: "close reason no UTF-8", stream: client(0x88, "\x03\xe8\xff"), code: invalidPayload},

		{name: "one too large", stream: client(0x81, xs(4097)), code: tooBig},
		{name: "16 bits too large", stream: client16(0x82, 0xffff, ""), code: tooBig},
		{name: "64 bits too large", stream: client64(0x81, 4097, ""), code: tooBig},
		{name: "32 bits too many", stream: client64(0x81, 1<<32|1, "x"), code: tooBig},
		{name: "63 bits", stream: client64(0x81, 1<<63-1, ""), code: tooBig},
		{name: "the 64th bit", stream: client64(0x81, 1<<63, ""), code: tooBig},
		{name: "64 bits", stream: client64(0x81, 1<<64-1, ""), code: tooBig},
		{name: "fragments too large", stream: client(0x01, xs(4096)) + client(0x00, "") + client(0x80, "x"), code: tooBig},
		{name: "fragments beyond 64 bits", stream: client(0x01, "ab") + client64(0x80, 1<<64-1, ""), code: tooBig},
		{name: "too large after good ones", stream: client(0x81, xs(4000)) + client(0x81, xs(4097)), said: []said{text(xs(4000))}, code: tooBig},

		{name: "UTF-8 cut short by the end", stream: client(0x01, "\xe2") + client(0x80, "\x82"), code: invalidPayload},
		{name: "a rune that a fragment breaks", stream: client(0x01, "\xe2\x82") + client(0x80, "a"), code: invalidPayload},
	}
	for _, broken := range []struct{ name, bytes string }{
		{"lone continuation", "a\x80"},
		{"cut short", "\xe2\x82"},
		{"overlong", "\xc0\xaf"},
		{"surrogate", "\xed\xa0\x80"},
		{"beyond Unicode", "\xf4\x90\x80\x80"},
		{"no byte of UTF-8", "\xff"},
	} {
		cases = append(cases,
			inboundCase{name: "no UTF-8: " + broken.name, stream: client(0x81, broken.bytes), code: invalidPayload},
			inboundCase{name: "no UTF-8, in binary: " + broken.name, stream: client(0x82, broken.bytes), said: []said{binmsg(broken.bytes)}})
	}
	return cases
}

func deflateCases() []inboundCase {
	hello := packed("hello, hello, hello")
	bomb := packed(xs(1 << 20))
	cases := []inboundCase{
		{name: "text", stream: client(0xc1, hello), said: []said{text("hello, hello, hello")}},
		{name: "binary", stream: client(0xc2, packed("\xff\x00")), said: []said{binmsg("\xff\x00")}},
		{name: "not compressed", stream: client(0x81, "hello"), said: []said{text("hello")}},
		{name: "one compressed, one not", stream: client(0xc1, hello) + client(0x81, hello[:0]) + client(0xc1, hello), said: []said{
			text("hello, hello, hello"), text(""), text("hello, hello, hello"),
		}},
		{
			name: "fragments around a ping", stream: client(0x41, hello[:3]) + client(0x89, "a") + client(0x00, "") + client(0x80, hello[3:]),
			said: []said{ping("a"), text("hello, hello, hello")},
		},
		{name: "empty", stream: client(0xc1, "\x00") + client(0xc1, packed("")), said: []said{text(""), text("")}},
		{name: "half a message", stream: client(0x41, hello), partial: true},
		{name: "a rune in two fragments", stream: client(0x41, packed("€")[:2]) + client(0x80, packed("€")[2:]), said: []said{text("€")}},

		// RFC 7692 §7.2.3.1 to §7.2.3.6.
		{name: "RFC: one block", stream: client(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00"), said: []said{text("Hello")}},
		{name: "RFC: two fragments", stream: client(0x41, "\xf2\x48\xcd") + client(0x80, "\xc9\xc9\x07\x00"), said: []said{text("Hello")}},
		{name: "RFC: no compression", stream: client(0xc1, "\x00\x05\x00\xfa\xffHello\x00"), said: []said{text("Hello")}},
		{name: "RFC: final block", stream: client(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), said: []said{text("Hello")}},
		{name: "RFC: two blocks", stream: client(0xc1, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), said: []said{text("Hello")}},
		{
			name: "RFC: the last message as context", stream: client(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00") + client(0xc1, "\xf2\x00\x11\x00\x00"),
			said: []said{text("Hello")}, code: invalidPayload, // the handshake forbids it
		},

		{name: "the largest", stream: client(0xc1, packed(xs(4096))), said: []said{text(xs(4096))}},
		{name: "one too large", stream: client(0xc1, packed(xs(4097))), code: tooBig},
		{name: "a bomb", stream: client(0xc1, bomb), code: tooBig},
		{name: "a bomb in fragments", stream: client(0x42, bomb[:9]) + client(0x80, bomb[9:]), code: tooBig},
		{name: "compressed and still too large", stream: client64(0xc1, 4097, ""), code: tooBig},
		{name: "corrupt", stream: client(0xc1, "\xff\xff\xff"), code: invalidPayload},
		{name: "corrupt after a good block", stream: client(0xc2, packed("abc")+"\xff\xff"), code: invalidPayload},
		{name: "cut short", stream: client(0xc2, hello[:4]), code: invalidPayload},
		{name: "no deflate at all", stream: client(0xc1, ""), code: invalidPayload}, // an empty message is 00 (RFC 7692 §7.2.3.6)
		{name: "not UTF-8", stream: client(0xc1, packed("\xff")), code: invalidPayload},
		{name: "RSV1 on a continuation", stream: client(0x41, hello[:3]) + client(0xc0, hello[3:]), code: protocolError},
		{name: "RSV1 on a continuation of what is not compressed", stream: client(0x01, "a") + client(0xc0, "b"), code: protocolError},
		{name: "RSV1 on a ping", stream: client(0xc9, ""), code: protocolError},
		{name: "RSV1 on a pong", stream: client(0xca, ""), code: protocolError},
		{name: "RSV1 on a close", stream: client(0xc8, ""), code: protocolError},
		{name: "RSV1 and RSV2", stream: client(0xe1, hello), code: protocolError},
		{name: "RSV2", stream: client(0xa1, "hi"), code: protocolError},
		{name: "RSV3", stream: client(0x91, "hi"), code: protocolError},
	}
	for i := range cases {
		cases[i].name, cases[i].deflate = "deflate: "+cases[i].name, true
	}
	return cases
}
