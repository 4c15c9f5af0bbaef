package bridge_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/internal/browsertest"
	"github.com/rotki/notification-bridge/bridge/testcert"
)

// TestBrowserToken: a page shows its token as it can, as a parameter or a subprotocol, and stays away once it has expired.
func TestBrowserToken(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	b := start(t, bridge.Config{Access: bridge.AccessConfig{
		SecretFile: testcert.Write(t, t.TempDir(), "secret", []byte(secret)), Leeway: time.Nanosecond,
		Anonymous: []auth.Scope{auth.ScopePublish},
	}})
	signer, err := auth.ParseSigner([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	token := func(lasts time.Duration) string {
		text, err := signer.Sign(auth.Claims{Subject: "ann", Expires: time.Now().Add(lasts)}, "")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	url := "ws://" + b.HTTPAddr() + "/ws/"
	page := browsertest.Open(t, url+"?token="+token(10*time.Second)) // a browser takes a while to start
	page.Do(fmt.Sprintf(`
		window.chosen = {};
		for (const [name, offered] of Object.entries({both: ["rotki.notifications.v1", "bearer.%[2]s"], alone: ["bearer.%[2]s"], none: []})) {
			const socket = new WebSocket("%[1]s", offered);
			socket.onopen = () => { window.chosen[name] = socket.protocol.slice(0, 7); };
			socket.onclose = (e) => { window.chosen[name] ??= "refused"; };
		}`, url, token(time.Hour)))
	page.Await("each was answered", "Object.keys(window.chosen).length === 3")
	type answers struct{ Both, Alone, None string }
	if got := browsertest.Evaluate[answers](page, "window.chosen"); got != (answers{"rotki.n", "bearer.", "refused"}) {
		t.Errorf("answered with %+v", got)
	}
	page.StaysAway(websocket.ClosePolicyViolation)
}
