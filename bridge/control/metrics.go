package control

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "github.com/rotki/notification-bridge/gen/go/rotki/bridge/admin/v1"
)

// outcomes are the codes with which calls end. What is none of them is counted as the last.
var outcomes = []codes.Code{
	codes.OK, codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied, codes.Unavailable, codes.Canceled,
	codes.DeadlineExceeded, codes.Internal, codes.Unknown,
}

// metrics are how many calls there were, by their full names and outcomes.
type metrics struct {
	calls  map[string]map[codes.Code]prometheus.Counter
	lapsed prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_admin_calls_total", Help: "Calls of operators, by method and gRPC code.",
	}, []string{"method", "code"})
	m := &metrics{
		calls: make(map[string]map[codes.Code]prometheus.Counter),
		lapsed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bridge_lapsed", Help: "1 while other bridges may overlook this one, so that it holds what it delivers.",
		}),
	}
	registerer.MustRegister(calls, m.lapsed)
	for method, full := range map[string]string{
		"list_connections": adminv1.AdminService_ListConnections_FullMethodName,
		"disconnect":       adminv1.AdminService_Disconnect_FullMethodName,
		"revoke_token":     adminv1.AdminService_RevokeToken_FullMethodName,
	} {
		m.calls[full] = make(map[codes.Code]prometheus.Counter)
		for _, code := range outcomes {
			m.calls[full][code] = calls.WithLabelValues(method, code.String())
		}
	}
	return m
}

// count counts a call.
func (m *metrics) count(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	response, err := handler(ctx, request)
	if counters := m.calls[info.FullMethod]; counters != nil {
		counter := counters[status.Code(err)]
		if counter == nil {
			counter = counters[codes.Unknown]
		}
		counter.Inc()
	}
	return response, err
}
