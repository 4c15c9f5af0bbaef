// permessage-deflate (RFC 7692), without context on either side.
import { randomBytes } from "node:crypto";
import { binary, bytes, frame, packed, text } from "./peer.mjs";

export const deflateCases = {};

const hello = "hello, hello, hello";
const small = packed(hello);
const bomb = packed(Buffer.alloc(1 << 20));

// accepted adds a case: these frames are one message.
function accepted(name, kind, data, ...frames) {
  deflateCases[`deflate: ${name}`] = async (peer) => {
    await peer.raw(...frames);
    await peer.expect(kind, data);
  };
}

function refused(code, name, ...frames) {
  deflateCases[`deflate: ${name}`] = async (peer) => {
    await peer.raw(...frames, frame(0x81, "ignored"));
    await peer.closes(code);
  };
}

accepted("text", "text", hello, frame(0xc1, small));
accepted("binary", "binary", binary(4096), frame(0xc2, packed(binary(4096))));
accepted("not compressed", "text", hello, frame(0x81, hello));
accepted("fragments", "text", hello, frame(0x41, small.subarray(0, 3)), frame(0x00), frame(0x80, small.subarray(3)));
accepted("a fragment a byte", "text", text(500), frame(0x41), ...[...packed(text(500))].map((byte) => frame(0x00, [byte])), frame(0x80));
accepted("empty", "text", "", frame(0xc1, [0]));
// RFC 7692 §7.2.3.
accepted("RFC: one block", "text", "Hello", frame(0xc1, bytes("\xf2\x48\xcd\xc9\xc9\x07\x00")));
accepted("RFC: no compression", "text", "Hello", frame(0xc1, bytes("\x00\x05\x00\xfa\xffHello\x00")));
accepted("RFC: final block", "text", "Hello", frame(0xc1, bytes("\xf3\x48\xcd\xc9\xc9\x07\x00\x00")));
accepted("RFC: two blocks", "text", "Hello", frame(0xc1, bytes("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")));

refused(1007, "corrupt", frame(0xc1, bytes("\xff\xff\xff")));
refused(1007, "corrupt in fragments", frame(0x42, small), frame(0x80, bytes("\xff\xff")));
refused(1007, "cut short", frame(0xc1, small.subarray(0, 4)));
refused(1007, "nothing at all", frame(0xc1));
refused(1007, "the last message as context", frame(0xc1, bytes("\xf2\x00\x11\x00\x00")));
refused(1007, "not UTF-8", frame(0xc1, packed(bytes("\xff"))));
refused(1009, "one too large", frame(0xc1, packed("x".repeat(4097))));
refused(1009, "a bomb", frame(0xc2, bomb));
refused(1009, "a bomb in fragments", frame(0x42, bomb.subarray(0, 9)), frame(0x00, bomb.subarray(9)), frame(0x80));
refused(1002, "RSV1 on a continuation", frame(0x41, small.subarray(0, 3)), frame(0xc0, small.subarray(3)));
refused(1002, "RSV1 on a continuation of what is not compressed", frame(0x01, "a"), frame(0xc0, "b"));
refused(1002, "RSV1 on a ping", frame(0xc9, "x"));
refused(1002, "RSV1 on a pong", frame(0xca));
refused(1002, "RSV1 on a close", frame(0xc8, bytes("\x03\xe8")));
refused(1002, "RSV1 on an unknown opcode", frame(0xc3, small));

Object.assign(deflateCases, {
  "deflate: a ping between fragments": async (peer) => {
    await peer.raw(frame(0x41, small.subarray(0, 5)), frame(0x89, "a"), frame(0x80, small.subarray(5)));
    const kinds = [await peer.next(), await peer.next()].map(({ kind }) => kind).sort(); // in either order
    if (kinds.join() !== "pong,text") throw new Error(kinds.join());
  },
  "deflate: cut in two at every place": async (peer) => {
    const stream = Buffer.concat([frame(0x41, small.subarray(0, 5)), frame(0x80, small.subarray(5)), frame(0x81, "plain")]);
    for (let i = 1; i < stream.length; i++) {
      await peer.raw(stream.subarray(0, i));
      await peer.raw(stream.subarray(i));
      await peer.expect("text", hello);
      await peer.expect("text", "plain");
    }
  },
  "deflate: compressed and not, in turns": async (peer) => {
    for (let i = 0; i < 50; i++) await peer.echoes(text(i * 10), { compress: i % 2 === 0 });
  },
  "deflate: the same message many times": async (peer) => {
    for (let i = 0; i < 50; i++) await peer.echoes(text(2000));
  },
  "deflate: the bridge compresses": async (peer) => {
    const came = peer.watch();
    await peer.echoes("x".repeat(4000));
    if (came()[0] !== 0xc1 || came().length > 100) throw new Error(`${came().length} bytes that begin with ${came()[0]}`);
  },
  "deflate: the bridge leaves alone what only grows": async (peer) => {
    const came = peer.watch();
    const noise = randomBytes(3000);
    await peer.echoes(noise);
    if (came()[0] !== 0x82 || came().length !== 3004) throw new Error(`${came().length} bytes that begin with ${came()[0]}`);
  },
});
