package ingest

import "github.com/prometheus/client_golang/prometheus"

// result is what became of a request, as a metric label.
type result string

const (
	accepted  result = "accepted"
	duplicate result = "duplicate"
	rejected  result = "rejected"
)

func newPublishes(registerer prometheus.Registerer) map[result]prometheus.Counter {
	vector := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_publishes_total",
		Help: "Answered publish requests, by result.",
	}, []string{"result"})
	registerer.MustRegister(vector)
	counters := make(map[result]prometheus.Counter)
	for _, r := range []result{accepted, duplicate, rejected} {
		counters[r] = vector.WithLabelValues(string(r))
	}
	return counters
}
