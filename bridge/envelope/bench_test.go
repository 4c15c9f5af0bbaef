package envelope_test

import (
	"encoding/json"
	"testing"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// BenchmarkEncode holds the compiled plan against encoding/json on a struct that was written for the purpose.
func BenchmarkEncode(b *testing.B) {
	b.Run("plan", func(b *testing.B) {
		c := rotkiContract(b)
		n := &notificationsv1.Notification{Payload: &notificationsv1.Notification_LoginStatus{
			LoginStatus: &notificationsv1.LoginStatus{
				StartDbVersion: 26, TargetDbVersion: 35,
				CurrentUpgrade: &notificationsv1.CurrentUpgrade{FromDbVersion: 30, TotalSteps: 8, CurrentStep: 5},
			},
		}}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Encode(n); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		type upgrade struct {
			From  uint32 `json:"from_db_version"`
			Total uint32 `json:"total_steps"`
			Step  uint32 `json:"current_step"`
		}
		type status struct {
			Start   uint32   `json:"start_db_version"`
			Target  uint32   `json:"target_db_version"`
			Upgrade *upgrade `json:"current_upgrade"`
		}
		data := &status{26, 35, &upgrade{30, 8, 5}}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}
