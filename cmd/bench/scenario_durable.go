//go:build linux

package main

import (
	"time"

	"github.com/rotki/notification-bridge/cmd/bench/baseline"
)

// durableScenario compares the bridge with what nats.go alone gets from the same store, and with the least that a gRPC
// server in front of that can be. Neither can have the journal in memory.
func durableScenario(s scale) scenario {
	all := scenario{
		name: "durable",
		title: "acknowledged messages with 256 of each stream on their way, by what keeps the journal. The load generator's" +
			" gRPC client takes its time from the same cores; nats.go alone needs none",
		figures: []figure{publishRate, cpuPerMessage, cpuOfServer, cpuOfLoad},
	}
	add := func(server string, store store, streams int) string {
		name := server + ", " + store.name + ", " + decimal(streams)
		all.runs = append(all.runs, run{name, durable{server, store, streams, s.time(2 * time.Second)}.measure})
		return name
	}
	for _, streams := range []int{1, 8} {
		add(bridge, memory, streams)
		for _, store := range []store{embedded, single, cluster} {
			raw, relay, of := add(baseline.Raw, store, streams), add(baseline.Relay, store, streams), add(bridge, store, streams)
			all.targets = append(all.targets,
				target{figure: publishRate, of: of, over: raw, atLeast: 0.7},
				target{figure: publishRate, of: of, over: relay},
				target{figure: cpuPerMessage, of: of, over: relay},
			)
		}
	}
	return all
}

func replicasScenario(s scale) scenario {
	const alone, one, three = "memory", "1 on a cluster", "3 on a cluster"
	measured := func(name string, bridges int, store store) run {
		return run{name, replicas{s.paced(bridge, 15_000, 10), bridges, store}.measure}
	}
	return scenario{
		name: "replicas", title: "15,000 subscribers, 10 messages/s: of one bridge, of one on a cluster of three, spread over three on it",
		figures: []figure{cpuPerDelivery, p50, p99},
		runs:    []run{measured(alone, 1, memory), measured(one, 1, cluster), measured(three, 3, cluster)},
		targets: []target{
			{figure: p50, of: three, over: alone, atMost: 3}, // three NATS servers and two bridges more share its cores
			{figure: p99, of: three, over: alone, atMost: 3},
			{figure: p50, of: three, over: one},
			{figure: p99, of: three, over: one},
			{figure: cpuPerDelivery, of: three, over: alone},
		},
	}
}
