// Publish one notification of each type. In this directory: npm ci && node publish.mjs [HOST:PORT]
import { randomUUID } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, status } from "@grpc/grpc-js";
import { Verbosity } from "@rotki/notifications/v1/errors_pb.js";
import { NotificationService } from "@rotki/notifications/v1/notification_service_pb.js";

const addresses = ["0x2B888954421b424C5D3D9Ce9bB67c9bD47537d12", "0xFeebabE6b0418eC13b30aAdF129F5DcDd4f70CeA"];
const currentUpgrade = { fromDbVersion: 30, totalSteps: 8, currentStep: 5 };
const tokens = [{ tokenIdentifier: "eip155:1/erc20:0x76dc5F01A1977F37b483F2C5b06618ed8FcA898C" }];
const payloads = [
  { case: "legacy", value: { verbosity: Verbosity.WARNING, value: "A warning" } },
  { case: "balanceSnapshotError", value: { location: "poloniex", error: "Could not connect to poloniex" } },
  { case: "loginStatus", value: { startDbVersion: 26, targetDbVersion: 35, currentUpgrade } },
  { case: "evmAddressMigration", value: { addresses: addresses.map((address) => ({ evmChain: "optimism", address })) } },
  { case: "newEvmTokenDetected", value: { tokens } },
];

const { input, output, name } = NotificationService.method.publish;
const client = new Client(process.argv[2] ?? "127.0.0.1:5044", credentials.createInsecure());
const publish = client.makeBidiStreamRequest(`/${NotificationService.typeName}/${name}`,
  (request) => Buffer.from(toBinary(input, request)), (bytes) => fromBinary(output, bytes));
publish.on("data", ({ id, result: { case: outcome, value } }) => {
  if (outcome === "accepted") {
    console.log(`${id} accepted at ${value.position} for ${value.subscribers} subscriber(s)`);
  } else {
    process.exitCode = 1;
    console.log(`${id} rejected: ${value.field}: ${value.message}`);
  }
}).on("error", ({ code, details }) => {
  process.exitCode = 1;
  console.error(`stream broke: ${status[code]}: ${details}`);
}).on("close", () => client.close());
// The bridge knows a repeated id again: whatever a broken stream left unanswered may be sent again, with the same ids.
for (const payload of payloads) publish.write(create(input, { id: randomUUID(), notification: { payload } }));
publish.end();
