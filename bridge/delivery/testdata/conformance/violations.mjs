// What no client may send, and with which code it is told so.
import { binary, bytes, closeFrame, frame } from "./peer.mjs";

export const violationCases = {};

// refused adds a case: these frames end the connection, and nothing that comes after them counts.
function refused(code, name, ...frames) {
  violationCases[name] = async (peer) => {
    await peer.raw(...frames, frame(0x81, "ignored"));
    await peer.closes(code);
  };
}

for (const n of [4097, 65535, 65536]) {
  violationCases[`too large: text of ${n} bytes`] = async (peer) => {
    peer.ws.send("x".repeat(n));
    await peer.closes(1009);
  };
  refused(1009, `too large: ${n} bytes, not compressed`, frame(0x82, binary(n)));
  refused(1009, `too large: header of ${n} bytes`, frame(0x82, "", { length: n, bits: n < 65536 ? 16 : 64 }));
}
for (const length of [2n ** 32n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n]) {
  refused(1009, `too large: header of ${length} bytes`, frame(0x81, "x", { length, bits: 64 }));
}
refused(1009, "too large: fragments", frame(0x01, "x".repeat(4096)), frame(0x00), frame(0x80, "x"));
refused(1009, "too large: fragments beyond 64 bits", frame(0x02, "ab"), frame(0x80, "x", { length: 2n ** 64n - 1n }));

for (const [name, broken] of Object.entries({
  "lone continuation": "a\x80", "cut short": "a\xe2\x82", overlong: "\xc0\xaf", surrogate: "\xed\xa0\x80",
  "beyond Unicode": "\xf4\x90\x80\x80", "no byte of UTF-8": "\xff",
})) {
  refused(1007, `UTF-8: ${name}`, frame(0x81, bytes(broken)));
  refused(1007, `UTF-8 in fragments: ${name}`, frame(0x01, "a"), ...[...bytes(broken)].map((byte) => frame(0x00, [byte])), frame(0x80));
}
refused(1007, "UTF-8: a rune that a fragment breaks", frame(0x01, bytes("\xe2\x82")), frame(0x89), frame(0x80, "a"));

for (const bits of [0x10, 0x20, 0x30, 0x50, 0x60, 0x70]) {
  const name = `reserved bits 0x${bits.toString(16)}`;
  refused(1002, `${name} on a message`, frame(0x81 | bits, "x"));
  refused(1002, `${name} on a ping`, frame(0x89 | bits));
  refused(1002, `${name} on a close`, frame(0x88 | bits));
  refused(1002, `${name} on a continuation`, frame(0x01, "a"), frame(0x80 | bits, "b"));
}
for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
  refused(1002, `opcode ${opcode}`, frame(0x80 | opcode));
  refused(1002, `opcode ${opcode} with a payload, within a message`, frame(0x01, "a"), frame(0x80 | opcode, "b"));
}

refused(1002, "no mask", frame(0x81, "x", { masked: false }));
refused(1002, "no mask: empty", frame(0x82, "", { masked: false }));
refused(1002, "no mask: long", frame(0x82, binary(200), { masked: false }));
refused(1002, "no mask: ping", frame(0x89, "", { masked: false }));
refused(1002, "no mask: close", frame(0x88, "", { masked: false }));

refused(1002, "continuation of nothing", frame(0x80, "x"));
refused(1002, "unfinished continuation of nothing", frame(0x00));
violationCases["continuation after the end"] = async (peer) => {
  await peer.raw(frame(0x01, "a"), frame(0x80, "b"), frame(0x80, "c"));
  await peer.expect("text", "ab");
  await peer.closes(1002);
};
refused(1002, "message within a message", frame(0x01, "a"), frame(0x81, "b"));
refused(1002, "fragment within a message", frame(0x01, "a"), frame(0x02, "b"));

for (const [name, opcode] of Object.entries({ close: 8, ping: 9, pong: 10 })) {
  refused(1002, `fragmented ${name}`, frame(opcode, ""), frame(0x80, ""));
  refused(1002, `${name} too long`, frame(0x80 | opcode, binary(126)));
  refused(1002, `${name} with 16 bits of length`, frame(0x80 | opcode, bytes("\x03\xe8"), { bits: 16 }));
  refused(1002, `${name} too long by far`, frame(0x80 | opcode, "", { length: 2n ** 63n, bits: 64 }));
}

for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]) {
  refused(1002, `close code ${code}`, closeFrame(code));
}
refused(1002, "close payload of one byte", frame(0x88, [3]));
refused(1007, "close reason cut short", closeFrame(1000, bytes("a\xc3")));
refused(1007, "close reason no UTF-8", closeFrame(1000, bytes("\xff")));

violationCases["violation one byte at a time"] = async (peer) => {
  for (const byte of Buffer.concat([frame(0x01, "a"), frame(0x80, bytes("\xff"))])) await peer.raw(Buffer.from([byte]));
  await peer.closes(1007);
};
violationCases["violation behind a message"] = async (peer) => {
  await peer.raw(frame(0x81, "a"), frame(0x83));
  await peer.expect("text", "a");
  await peer.closes(1002);
};
