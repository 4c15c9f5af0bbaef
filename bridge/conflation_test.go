package bridge_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rotki/notification-bridge/bridge"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// TestProgressIsConflated: who reads too slowly gets less of the progress, but its end, and every warning.
func TestProgressIsConflated(t *testing.T) {
	b := start(t, bridge.Config{SendBuffer: 1})
	slow, other := b.subscribe(t, ""), b.subscribe(t, "")
	if err := slow.NetConn().(interface{ SetReadBuffer(int) error }).SetReadBuffer(16 << 10); err != nil {
		t.Fatal(err)
	}
	const steps, warnings = 4000, 4
	chain := strings.Repeat("x", 1000)
	p := b.publisher(t)
	for i := range int64(steps) {
		p.accepted(t, &notificationsv1.PublishRequest{Notification: &notificationsv1.Notification{
			Payload: &notificationsv1.Notification_ProgressUpdates{ProgressUpdates: &notificationsv1.ProgressUpdates{
				Total: steps, Processed: i + 1,
				Task: &notificationsv1.ProgressUpdates_UndecodedTransactions{
					UndecodedTransactions: &notificationsv1.UndecodedTransactions{Chain: chain},
				},
			}},
		}})
		_ = receive(t, other)
		if i%(steps/warnings) == 0 {
			p.accepted(t, &notificationsv1.PublishRequest{Notification: legacy("A warning")})
			_ = receive(t, other)
		}
	}
	processed, progress, warned := int64(0), 0, 0
	read := func() {
		var envelope struct {
			Type string
			Data struct{ Processed int64 }
		}
		if err := json.Unmarshal([]byte(receive(t, slow)), &envelope); err != nil {
			t.Fatal(err)
		}
		if envelope.Type == "legacy" {
			warned++
			return
		}
		if envelope.Data.Processed <= processed {
			t.Errorf("%d came after %d", envelope.Data.Processed, processed)
		}
		processed = envelope.Data.Processed
		progress++
	}
	await(t, "progress is left out", func() bool {
		read() // so seldom that the socket is full nearly always
		return b.metric(t, "bridge_conflated_total") > 0
	})
	for processed < steps {
		read()
	}
	if warned != warnings {
		t.Errorf("%d of %d warnings came", warned, warnings)
	}
	if left := b.metric(t, "bridge_conflated_total"); progress == steps || int(left) != steps-progress {
		t.Errorf("%v are said to have been left out, of %d steps there came %d", left, steps, progress)
	}
}
