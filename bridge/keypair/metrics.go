package keypair

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are one listener's.
type metrics struct {
	expiry     prometheus.Gauge
	ok, failed prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer, listener string) *metrics {
	expiry := shared(registerer, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "bridge_certificate_expiry_timestamp_seconds",
		Help: "When the listener's certificate expires, in seconds since 1970.",
	}, []string{"listener"}))
	reloads := shared(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_certificate_reloads_total",
		Help: "Changes of a listener's certificate, key or client CA, by whether they came into force.",
	}, []string{"listener", "result"}))
	return &metrics{
		expiry: expiry.WithLabelValues(listener),
		ok:     reloads.WithLabelValues(listener, "ok"),
		failed: reloads.WithLabelValues(listener, "failed"),
	}
}

func (m *metrics) expires(at time.Time) { m.expiry.Set(float64(at.Unix())) }

// shared registers a collector, or returns the one that another pair has registered.
func shared[C prometheus.Collector](registerer prometheus.Registerer, collector C) C {
	err := registerer.Register(collector)
	if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if existing, ok := already.ExistingCollector.(C); ok {
			return existing
		}
	}
	if err != nil {
		panic(err) // as MustRegister: two different metrics of one name
	}
	return collector
}
