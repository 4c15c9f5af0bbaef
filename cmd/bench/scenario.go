//go:build linux

package main

import (
	"context"
	"time"

	"github.com/rotki/notification-bridge/cmd/bench/baseline"
)

// scenario is a question: what some runs, taken by turns, measure beside each other.
type scenario struct {
	name    string // as --only takes it
	title   string
	figures []figure // that it shows
	runs    []run
	targets []target
	rounds  int // no more than so many; 0: as many as are asked for
}

// run is one thing to measure, with a server of its own.
type run struct {
	name    string
	measure func(context.Context, *lab) (figures, error)
}

// target is a ratio of what two runs of a round have measured, and what is wanted of it.
type target struct {
	figure  figure
	of      string // a run
	over    string // the run by which it is divided; empty: the figure itself is looked at
	atMost  float64
	atLeast float64 // with neither, the ratio is for information
	// steadiest makes it the greatest of all runs' figures over the least. Neither of nor over are set.
	steadiest bool
}

// scale is what part of the full size is measured.
type scale float64

// count scales a number of subscribers.
func (s scale) count(n int) int { return max(min(n, 20), int(float64(n)*float64(s))) }

// messages scales how many come in a burst.
func (s scale) messages(n int) int { return max(10, int(float64(n)*float64(s))) }

// time scales how long something is measured.
func (s scale) time(d time.Duration) time.Duration {
	return max(d/20, time.Duration(float64(d)*float64(s)))
}

// paced is a run at so many messages per second.
func (s scale) paced(server string, subscribers, rate int) fanOut {
	interval := time.Second / time.Duration(rate)
	return fanOut{
		server: server, subscribers: s.count(subscribers), interval: interval,
		messages: max(3, int(s.time(5*time.Second)/interval)),
	}
}

// scenarios returns all of them, in the order in which they are taken.
func scenarios(s scale, openFiles int) []scenario {
	storms := func(server string) run { return run{server, storm{server, s.count(10_000)}.measure} }
	return []scenario{
		pacedScenario(s, "paced-10000", 10_000, 10, 1.25, 1.3),
		pacedScenario(s, "paced-1000", 1_000, 100, 1.15, 0),
		burstScenario(s, "burst-1000", 1_000, 2_000),
		burstScenario(s, "burst-10000", 10_000, 300),
		idleScenario(s, openFiles),
		stalledScenario(s),
		publishScenario(s),
		durableScenario(s),
		replicasScenario(s),
		{
			name: "storm", title: "10,000 connect at once",
			figures: []figure{cpuPerHandshake, handshakeRate},
			runs:    []run{storms(baseline.Upgrade), storms(bridge)},
			targets: []target{{figure: cpuPerHandshake, of: bridge, over: baseline.Upgrade, atMost: 1}},
		},
		{
			name: "subscribers", title: "cost by number of subscribers, 10 messages/s",
			figures: []figure{cpuPerDelivery, p50, p99},
			runs: []run{
				{"1000", s.paced(bridge, 1_000, 10).measure},
				{"5000", s.paced(bridge, 5_000, 10).measure},
				{"10000", s.paced(bridge, 10_000, 10).measure},
			},
			targets: []target{{figure: cpuPerDelivery, steadiest: true, atMost: 1.3}},
		},
		historyScenario(s),
		filterScenario(s),
		deflateScenario(s),
	}
}

// scenarioNames are for --help.
func scenarioNames() string {
	names := ""
	for _, s := range scenarios(1, 1<<20) {
		names += ", " + s.name
	}
	return names[2:]
}

func pacedScenario(s scale, name string, subscribers, rate int, cpu, latency float64) scenario {
	measured := func(server string) run { return run{server, s.paced(server, subscribers, rate).measure} }
	return scenario{
		name: name, title: thousands(subscribers) + " subscribers, " + decimal(rate) + " messages/s: one frame per wake-up",
		figures: []figure{cpuPerDelivery, p50, p99},
		runs:    []run{measured(baseline.Bare), measured(bridge), measured(baseline.Hub)},
		targets: []target{
			{figure: cpuPerDelivery, of: bridge, over: baseline.Bare, atMost: cpu},
			{figure: p50, of: bridge, over: baseline.Bare, atMost: latency},
			{figure: p99, of: bridge, over: baseline.Bare, atMost: latency},
			{figure: cpuPerDelivery, of: baseline.Hub, over: baseline.Bare},
		},
	}
}

func burstScenario(s scale, name string, subscribers, messages int) scenario {
	measured := func(server string) run {
		return run{server, fanOut{server: server, subscribers: s.count(subscribers), messages: s.messages(messages)}.measure}
	}
	return scenario{
		name: name, title: thousands(subscribers) + " subscribers, " + thousands(messages) + " messages at once",
		figures: []figure{cpuPerDelivery},
		runs:    []run{measured(baseline.Coalescing), measured(bridge), measured(baseline.Hub)},
		targets: []target{
			{figure: cpuPerDelivery, of: bridge, over: baseline.Coalescing, atMost: 2},
			{figure: cpuPerDelivery, of: baseline.Hub, over: baseline.Coalescing},
		},
	}
}

func idleScenario(s scale, openFiles int) scenario {
	const (
		wanted  = 19_500
		reserve = 500 // files of a process that are no connections
	)
	connections := min(wanted, max(20, openFiles-reserve))
	title := thousands(connections) + " idle connections"
	if connections < wanted {
		title += ", since a process may not have enough open files here for " + thousands(wanted)
	}
	return scenario{
		name: "idle", title: title, rounds: 2,
		figures: []figure{rssPerConnection, rssPerConnectionLater},
		runs:    []run{{bridge, idle{connections: s.count(connections), rest: s.time(20 * time.Second)}.measure}},
		targets: []target{
			{figure: rssPerConnection, of: bridge, atMost: 4096},
			{figure: rssPerConnectionLater, of: bridge, atMost: 4096},
		},
	}
}

func stalledScenario(s scale) scenario {
	const without, with = "none", "10000"
	measured := func(name string, subscribers int) run {
		const interval = 10 * time.Millisecond
		return run{name, stalled{
			healthy: s.count(1_000), stalled: subscribers, interval: interval,
			messages: int(s.time(5*time.Second) / interval), rest: s.time(15 * time.Second),
		}.measure}
	}
	return scenario{
		name: "stalled", title: "1,000 subscribers that read, 100 messages/s, beside 10,000 that never do",
		figures: []figure{p50, p99, growthWithin, growthBeyondRing},
		runs:    []run{measured(without, 0), measured(with, s.count(10_000))},
		targets: []target{
			{figure: p99, of: with, over: without, atMost: 1.2},
			{figure: growthBeyondRing, of: with, atMost: 16}, // the garbage that the bridge leaves uncollected
		},
	}
}

func publishScenario(s scale) scenario {
	const one, eight = ", 1 stream", ", 8 streams"
	measured := func(server, name string, streams int) run {
		return run{server + name, throughput{server, streams, s.time(2 * time.Second)}.measure}
	}
	return scenario{
		name: "publish", title: "acknowledged messages of a stream with 256 on their way, no subscribers",
		figures: []figure{publishRate, cpuPerMessage},
		runs: []run{
			measured(baseline.Echo, one, 1), measured(bridge, one, 1), measured(baseline.Echo, eight, 8), measured(bridge, eight, 8),
		},
		targets: []target{
			{figure: publishRate, of: bridge + one, over: baseline.Echo + one, atLeast: 0.6},
			{figure: publishRate, of: bridge + eight, over: baseline.Echo + eight},
		},
	}
}

func historyScenario(s scale) scenario {
	const empty, full = "empty", "50000"
	without := s.paced(bridge, 1_000, 100)
	with := without
	with.history = s.count(50_000)
	return scenario{
		name: "history", title: "cost by messages in the journal, 1,000 subscribers, 100 messages/s",
		figures: []figure{cpuPerDelivery, p50, p99},
		runs:    []run{{empty, without.measure}, {full, with.measure}},
		targets: []target{{figure: cpuPerDelivery, of: full, over: empty, atMost: 1.1}},
	}
}

func filterScenario(s scale) scenario {
	const everyone, few, nobody = "all", "100", "nobody"
	all := s.paced(bridge, 10_000, 10)
	some, none := all, all
	some.subscribers = max(1, all.subscribers/100)
	some.others = all.subscribers - some.subscribers
	none.toNobody = true
	return scenario{
		name: "filters", title: "10,000 subscribers, messages for all, for the 100 that want their type, for a recipient who is not there",
		figures: []figure{cpuPerMessage},
		runs:    []run{{everyone, all.measure}, {few, some.measure}, {nobody, none.measure}},
		targets: []target{
			{figure: cpuPerMessage, of: few, over: everyone, atMost: 0.1},
			{figure: cpuPerMessage, of: nobody, over: everyone, atMost: 0.05},
		},
	}
}

func deflateScenario(s scale) scenario {
	const without, with = "plain", "deflate"
	plain := s.paced(bridge, 1_000, 100)
	plain.size = 2 << 10
	deflate := plain
	deflate.deflate = true
	return scenario{
		name: "deflate", title: "1,000 subscribers, 100 messages/s of 2 KiB, without and with permessage-deflate offered",
		figures: []figure{cpuPerDelivery, bytesPerDelivery, compressed},
		runs:    []run{{without, plain.measure}, {with, deflate.measure}},
		targets: []target{
			{figure: cpuPerDelivery, of: with, over: without},
			{figure: bytesPerDelivery, of: with, over: without},
		},
	}
}

// thousands writes a number with a comma: 10,000.
func thousands(n int) string {
	if n < 1000 {
		return decimal(n)
	}
	return decimal(n/1000) + "," + decimal(n%1000 + 1000)[1:]
}
