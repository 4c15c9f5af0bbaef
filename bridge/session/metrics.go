package session

import "github.com/prometheus/client_golang/prometheus"

// by is how a cursor was found, as a metric label.
type by string

const (
	byCookie by = "cookie"
	byOrigin by = "origin"
)

type metrics struct {
	resumed map[by]prometheus.Counter
	repeats prometheus.Counter
	expired prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer, r *Registry) *metrics {
	resumed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_sessions_resumed_total",
		Help: "Browsers that came back and went on where they had been, by what they were known.",
	}, []string{"by"})
	m := &metrics{
		resumed: make(map[by]prometheus.Counter),
		repeats: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bridge_session_repeats_total",
			Help: "Notifications that browsers who came back may have got twice, at most.",
		}),
		expired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bridge_sessions_expired_total",
			Help: "Browsers that did not come back in time, or for whom there was no room.",
		}),
	}
	for _, b := range []by{byCookie, byOrigin} {
		m.resumed[b] = resumed.WithLabelValues(string(b))
	}
	parked := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bridge_sessions_parked",
		Help: "Browsers whose connection was lost to this bridge, and that may come back.",
	}, func() float64 { return float64(r.parked()) })
	registerer.MustRegister(resumed, m.repeats, m.expired, parked)
	return m
}
