// A websocket client that is strict about what it gets, by way of ws, and can send what no client may.
import { randomBytes } from "node:crypto";
import { constants, deflateRawSync } from "node:zlib";
import WebSocket from "ws";

// patience bounds how long a case waits for what must come, in milliseconds; none expects it to pass.
const patience = 30_000;

export class Peer {
  #arrived = [];
  #wanted;
  ended = false;

  static async connect(url, deflate) {
    const peer = new Peer();
    peer.ws = new WebSocket(url, {
      perMessageDeflate: deflate && { threshold: 0 },
      rejectUnauthorized: false, // the test's certificate is its own
    });
    for (const kind of ["text", "binary"]) {
      peer.ws.on("message", (data, binary) => binary === (kind === "binary") && peer.#arrive({ kind, data }));
    }
    peer.ws.on("ping", (data) => peer.#arrive({ kind: "ping", data }));
    peer.ws.on("pong", (data) => peer.#arrive({ kind: "pong", data }));
    peer.ws.on("close", (code, data) => peer.#arrive({ kind: "close", code, data }));
    peer.ws.on("error", (error) => peer.#arrive({ kind: "error", data: Buffer.from(String(error)) }));
    await new Promise((resolve, reject) => peer.ws.once("open", resolve).once("error", reject));
    peer.socket = peer.ws._socket;
    peer.socket.setNoDelay(true);
    return peer;
  }

  #arrive(event) {
    this.#arrived.push(event);
    this.#wanted?.();
  }

  async next() {
    if (this.#arrived.length === 0) {
      await new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error("nothing came")), patience);
        this.#wanted = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wanted = undefined;
    }
    return this.#arrived.shift();
  }

  async expect(kind, data) {
    const event = await this.next();
    if (event.kind !== kind) throw new Error(`${describe(event)} came instead of a ${kind}`);
    if (!event.data.equals(Buffer.from(data))) throw new Error(`${describe(event)}, want ${describe({ data: Buffer.from(data) })}`);
    return event;
  }

  // closes waits for the end, before which nothing else may come: a close frame with this code, 1005 for none.
  async closes(code) {
    const event = await this.expect("close", "");
    this.ended = true;
    if (event.code !== code) throw new Error(`closed with ${event.code}, want ${code}`);
  }

  async echoes(data, options = {}) {
    const binary = typeof data !== "string";
    this.ws.send(data, { binary, ...options });
    await this.expect(binary ? "binary" : "text", data);
  }

  // raw sends bytes as they are. It resolves when they are with the kernel.
  raw(...parts) {
    return new Promise((resolve, reject) =>
      this.socket.write(Buffer.concat(parts), (error) => (error ? reject(error) : resolve())),
    );
  }

  // watch returns all bytes that have come from now on.
  watch() {
    const chunks = [];
    this.socket.on("data", (chunk) => chunks.push(Buffer.from(chunk)));
    return () => Buffer.concat(chunks);
  }
}

function describe({ kind = "data", code, data }) {
  return `${kind}${code ? ` ${code}` : ""} of ${data.length} bytes (${JSON.stringify(data.subarray(0, 40).toString("latin1"))})`;
}

// frame returns a client's frame. length is what its header claims, bits in how many that is written.
export function frame(first, payload = "", { masked = true, length, bits } = {}) {
  const body = Buffer.from(payload);
  length = BigInt(length ?? body.length);
  bits ??= length < 126n ? 7 : length < 65536n ? 16 : 64;
  const header = [first, (masked ? 0x80 : 0) | (bits === 7 ? Number(length) : bits === 16 ? 126 : 127)];
  for (let shift = bits - 8; bits > 7 && shift >= 0; shift -= 8) header.push(Number((length >> BigInt(shift)) & 0xffn));
  if (!masked) return Buffer.concat([Buffer.from(header), body]);
  const mask = randomBytes(4);
  return Buffer.concat([Buffer.from(header), mask, body.map((byte, i) => byte ^ mask[i % 4])]);
}

export function closeFrame(code, reason = "") {
  return frame(0x88, Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]));
}

// packed compresses a message as RFC 7692 §7.2.1 has it.
export function packed(message) {
  return deflateRawSync(Buffer.from(message), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

// text and binary return n bytes that compress well.
export function text(n) {
  return "ü€".repeat(n / 5) + "x".repeat(n % 5);
}

export function binary(n) {
  return Buffer.from({ length: n }, (_, i) => (i * 7) & 0xff);
}

// bytes is a string's characters, as bytes.
export function bytes(string) {
  return Buffer.from(string, "latin1");
}
