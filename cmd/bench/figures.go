//go:build linux

package main

import (
	"maps"
	"slices"
	"strconv"
)

// figure names something that is measured, with its unit.
type figure string

const (
	cpuPerDelivery        figure = "cpu_us_per_delivery"
	cpuPerMessage         figure = "cpu_us_per_message"
	cpuOfServer           figure = "server_us_per_message"
	cpuOfLoad             figure = "load_us_per_message"
	cpuPerHandshake       figure = "cpu_us_per_handshake"
	handshakeRate         figure = "handshakes_per_s"
	publishRate           figure = "acknowledged_per_s"
	p50                   figure = "p50_ms"
	p99                   figure = "p99_ms"
	bytesPerDelivery      figure = "bytes_per_delivery"
	compressed            figure = "compressed"
	rssPerConnection      figure = "rss_bytes_per_connection"
	rssPerConnectionLater figure = "rss_bytes_per_connection_after_burst"
	growthWithin          figure = "rss_mib_filling_ring"
	growthBeyondRing      figure = "rss_mib_beyond_ring"
)

// figures are what one run has measured.
type figures map[figure]float64

// spread is the median of some values, and the least and the greatest of them.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf needs one value at least.
func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}

// rounds are what the runs of one name have measured, by round; those that failed are not there.
type rounds map[int]figures

// values returns a figure of every round that has it, in order.
func (r rounds) values(f figure) []float64 {
	var values []float64
	for _, round := range slices.Sorted(maps.Keys(r)) {
		if value, ok := r[round][f]; ok {
			values = append(values, value)
		}
	}
	return values
}

func decimal(n int) string { return strconv.Itoa(n) }
