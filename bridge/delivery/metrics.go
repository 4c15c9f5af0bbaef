package delivery

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	disconnects map[string]prometheus.Counter
	handshakes  map[handshakeResult]prometheus.Counter
	frames      prometheus.Counter
	bytes       prometheus.Counter
	blocked     prometheus.Counter
	conflated   prometheus.Counter
	lost        prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer, e *Engine) *metrics {
	disconnects := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_disconnects_total",
		Help: "Websocket connections that ended, by reason.",
	}, []string{"reason"})
	handshakes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_handshakes_total",
		Help: "Websocket handshakes, by result.",
	}, []string{"result"})
	m := &metrics{
		disconnects: make(map[string]prometheus.Counter),
		handshakes:  make(map[handshakeResult]prometheus.Counter),
		frames: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bridge_delivered_frames_total",
			Help: "Notifications handed to the kernel, counted once per subscriber.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bridge_delivered_bytes_total",
			Help: "Bytes handed to the kernel, websocket framing and control frames included.",
		}),
		blocked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bridge_blocked_writes_total",
			Help: "Writes that found a subscriber's socket full.",
		}),
		conflated: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bridge_conflated_total",
			Help: "Notifications that were left out because a newer one made them worthless, counted once per subscriber.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bridge_session_lost_total",
			Help: "Notifications that were no longer held when a browser came back that had missed them.",
		}),
	}
	// Label sets are closed: every series is there from the start, at zero.
	for _, d := range allDisconnects {
		m.disconnects[d.Name] = disconnects.WithLabelValues(d.Name)
	}
	for _, result := range handshakeResults {
		m.handshakes[result] = handshakes.WithLabelValues(string(result))
	}
	connections := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bridge_connections",
		Help: "Websocket subscribers at this moment.",
	}, func() float64 { return float64(e.Connections()) })
	registerer.MustRegister(disconnects, handshakes, m.frames, m.bytes, m.blocked, m.conflated, m.lost, connections)
	return m
}

// wrote counts what a shard has written since the last time and sets it back.
func (m *metrics) wrote(frames, bytes *int) {
	if *bytes > 0 {
		m.frames.Add(float64(*frames))
		m.bytes.Add(float64(*bytes))
		*frames, *bytes = 0, 0
	}
}
