// What a client may send, and what must come back.
import { binary, bytes, closeFrame, frame, text } from "./peer.mjs";

export const messageCases = {};

for (const n of [0, 1, 125, 126, 127, 1024, 4095, 4096]) {
  messageCases[`text of ${n} bytes`] = (peer) => peer.echoes(text(n));
  messageCases[`binary of ${n} bytes`] = (peer) => peer.echoes(binary(n));
  messageCases[`${n} bytes in two fragments`] = async (peer) => {
    const whole = binary(n);
    peer.ws.send(whole.subarray(0, n / 2), { fin: false });
    peer.ws.send(whole.subarray(n / 2));
    await peer.expect("binary", whole);
  };
}

// fragments sends a message in parts, and calls between before each but the first.
async function fragments(peer, parts, between = async () => {}) {
  for (const [i, part] of parts.entries()) {
    if (i > 0) await between(i);
    peer.ws.send(part, { binary: false, fin: i === parts.length - 1 });
  }
  await peer.expect("text", parts.join(""));
}

// everything is a stream of all that a client says, and answers checks what it is told.
const everything = Buffer.concat([
  frame(0x81, "text"), frame(0x89, "ping"), frame(0x01, bytes("\xe2")), frame(0x8a, "pong"), frame(0x00, ""),
  frame(0x80, bytes("\x82\xac")), frame(0x82, binary(130)), frame(0x81, "long form", { bits: 64 }),
]);

async function answers(peer) {
  const wanted = [["text", "text"], ["text", "€"], ["binary", binary(130)], ["text", "long form"]];
  for (let pongs = 0; wanted.length > 0 || pongs === 0; ) {
    const event = await peer.next();
    if (event.kind === "pong" && event.data.toString() === "ping") {
      pongs++; // before or after messages
      continue;
    }
    const [kind, data] = wanted.shift() ?? [];
    if (event.kind !== kind || !event.data.equals(Buffer.from(data))) throw new Error(`${event.kind}: ${event.data}`);
  }
}

Object.assign(messageCases, {
  "hundred fragments": (peer) => fragments(peer, Array.from({ length: 100 }, (_, i) => text(i % 7))),
  "many fragments of a byte": (peer) => fragments(peer, Array(400).fill("x")),
  "empty fragments": (peer) => fragments(peer, ["", "a", "", "", "b", ""]),
  "nothing but empty fragments": (peer) => fragments(peer, Array(50).fill("")),
  "pings between fragments": (peer) =>
    fragments(peer, ["a", "ü", "", "🚀"], async (i) => {
      peer.ws.ping(`ping ${i}`);
      await peer.expect("pong", `ping ${i}`);
    }),
  "pongs between fragments": (peer) => fragments(peer, ["a", "", "b"], async () => peer.ws.pong("unasked")),
  "a rune in four fragments": async (peer) => {
    await peer.raw(frame(0x01, bytes("\xf0")), frame(0x00, bytes("\x9f")), frame(0x00, bytes("\x9a")), frame(0x80, bytes("\x80")));
    await peer.expect("text", "🚀");
  },
  "fragments up to the limit": (peer) => fragments(peer, ["x".repeat(4000), "x".repeat(96), ""]),
  "pings of every length": async (peer) => {
    for (let n = 0; n <= 125; n++) {
      peer.ws.ping(binary(n));
      await peer.expect("pong", binary(n));
    }
  },
  "pings in a row": async (peer) => {
    await peer.raw(...Array.from({ length: 50 }, (_, i) => frame(0x89, String(i))));
    // Only the latest need be answered (RFC 6455 §5.5.3).
    for (let last = -1; last !== 49; ) {
      const { kind, data } = await peer.next();
      if (kind !== "pong" || !(Number(data) > last)) throw new Error(`${kind}: ${data} after ${last}`);
      last = Number(data);
    }
  },
  "pongs that nobody asked for": async (peer) => {
    for (const n of [0, 1, 125]) peer.ws.pong(binary(n));
  },
  "longer forms of the length than need be": async (peer) => {
    await peer.raw(frame(0x81, "hi", { bits: 16 }), frame(0x82, "hi", { bits: 64 }));
    await peer.expect("text", "hi");
    await peer.expect("binary", "hi");
  },
  "all bytes at once": async (peer) => {
    await peer.raw(everything);
    await answers(peer);
  },
  "one byte at a time": async (peer) => {
    for (const byte of everything) await peer.raw(Buffer.from([byte]));
    await answers(peer);
  },
  "cut in two at every place": async (peer) => {
    for (let i = 1; i < everything.length; i++) {
      await peer.raw(everything.subarray(0, i));
      await peer.raw(everything.subarray(i));
      await answers(peer);
    }
  },
  "more than is read for a while": async (peer) => {
    peer.ws.pause();
    const n = 300;
    for (let i = 0; i < n; i++) peer.ws.send(Buffer.alloc(4096, i));
    peer.ws.resume();
    for (let i = 0; i < n; i++) await peer.expect("binary", Buffer.alloc(4096, i));
  },

  "close": async (peer) => {
    peer.ws.close();
    await peer.closes(1005);
  },
  "close with a reason": async (peer) => {
    peer.ws.close(1000, "tschüs");
    await peer.closes(1000);
  },
  "close with the longest reason": async (peer) => {
    peer.ws.close(4999, text(123));
    await peer.closes(4999);
  },
  "close one byte at a time": async (peer) => {
    for (const byte of closeFrame(3000, "bye")) await peer.raw(Buffer.from([byte]));
    await peer.closes(3000);
  },
  "close within a message": async (peer) => {
    await peer.raw(frame(0x01, "half"), closeFrame(1001));
    await peer.closes(1001);
  },
  "close behind messages": async (peer) => {
    await peer.raw(frame(0x81, "a"), frame(0x81, "b"), closeFrame(1000));
    await peer.expect("text", "a");
    await peer.expect("text", "b");
    await peer.closes(1000);
  },
  "data after a close": async (peer) => {
    await peer.raw(closeFrame(1000), frame(0x81, "ignored"), frame(0x89, "ignored"), frame(0x83, ""));
    await peer.closes(1000);
  },
  "much data after a close": async (peer) => {
    peer.socket.on("error", () => {}); // the bridge has every right to end the connection
    peer.raw(closeFrame(1000), ...Array(50).fill(frame(0x82, binary(4096)))).catch(() => {});
    await peer.closes(1000);
  },
});

for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]) {
  messageCases[`close code ${code}`] = async (peer) => {
    await peer.raw(closeFrame(code));
    await peer.closes(code);
  };
}
