// Package client talks to a rotki notification bridge from both sides: a Publisher hands typed notifications to it
// over gRPC, a Subscriber reads them back from its websocket.
//
// Both connect when there is something to do and reconnect by themselves. A Publisher keeps what was not
// acknowledged and sends it again under the same id, which the bridge recognises within its dedup window (2 minutes
// by default; a bridge without a durable journal forgets it when it restarts). A Subscriber goes on
// where it was, and so gets what was published while it was not connected, as long as the bridge has it.
//
// Who they are they say with a token, which a function gives whenever one is shown, or a publisher with a certificate. A
// bridge that asks a client to stay away for a while, because it is too fast or there are too many, is obeyed: nothing
// is lost by it.
//
// # Concurrency
//
// A Publisher, a Pending and a Subscriber are safe for concurrent use. Notifications that one goroutine publishes
// keep their order. The hooks in the configurations are called by the goroutine that talks to the bridge, one at a
// time, and must not block.
package client
