// Runs every case of the protocol against an echo server, and prints a line of JSON for each.
// Usage: node conformance.mjs URL (none | offered | agreed), for permessage-deflate.
import { deflateCases } from "./deflate.mjs";
import { messageCases } from "./messages.mjs";
import { Peer } from "./peer.mjs";
import { violationCases } from "./violations.mjs";

const [url, deflate] = process.argv.slice(2);

const cases = {
  handshake: async (peer) => {
    const want = deflate === "agreed" ? "permessage-deflate" : "";
    if (peer.ws.extensions !== want) throw new Error(`extensions: ${peer.ws.extensions}`);
  },
  ...messageCases,
  ...violationCases,
  ...(deflate === "agreed" ? deflateCases : {
    "RSV1 without deflate": async (peer) => {
      await peer.raw(Buffer.from([0xc1, 0x81, 0, 0, 0, 0, 0x78]));
      await peer.closes(1002);
    },
  }),
};

for (const [name, run] of Object.entries(cases)) {
  let detail = "";
  let peer;
  try {
    peer = await Peer.connect(url, deflate !== "none");
    await run(peer);
    if (!peer.ended) {
      await peer.echoes("still here");
      peer.ws.close(1000);
      await peer.closes(1000);
    }
  } catch (error) {
    detail = error.stack;
    peer?.ws.terminate();
  }
  console.log(JSON.stringify({ name, ok: detail === "", detail }));
}
