// Package browsertest shows tests what a websocket server looks like from a page in a real browser.
//
// The page, page.html, treats its connection as rotki's frontend does: it connects again exactly when the close was
// not clean. It comes from a loopback port of its own, so that its Origin is not the server's.
package browsertest

import (
	"context"
	_ "embed" // for the page
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// patience bounds how long a test waits for what must come; none expects it to pass.
const patience = 30 * time.Second

//go:embed page.html
var html []byte

// Page is a page in a browser of its own. It belongs to the goroutine of its test.
type Page struct {
	t      testing.TB
	ctx    context.Context      // chromedp keeps the browser in it
	frozen chan<- chan struct{} // the page's thread stands still until the channel in the channel is closed
	freeze <-chan chan struct{}
}

// State is what has happened to the page's connections.
type State struct {
	// Attempts counts the connections it began, Opens those that came about, Messages what it received.
	Attempts, Opens, Messages int
	// Closes holds the close events.
	Closes []Close
}

// Close is what the browser says of the end of a connection.
type Close struct {
	Code     int
	WasClean bool
	// After is how many messages the page had received by then.
	After int
}

// Open starts a browser with a page that connects to a websocket URL, and returns once it has connected. Both end with
// the test. Without a browser the test is skipped; in CI it fails.
func Open(t testing.TB, websocketURL string) *Page {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	switch {
	case err != nil && os.Getenv("CI") != "":
		t.Fatal("there is no chromium: install it (Debian: apt-get install chromium)")
	case err != nil:
		t.Skip("there is no chromium: install it to run this test (Debian: apt-get install chromium)")
	}
	freeze := make(chan chan struct{})
	p := &Page{t: t, frozen: freeze, freeze: freeze}
	server := httptest.NewServer(p.handler())
	t.Cleanup(server.Close)

	// The user data directory is chromedp's: new, empty, and removed at the end.
	browsers, closeBrowsers := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(chromium),
		chromedp.Headless,
		chromedp.NoFirstRun,
		chromedp.NoSandbox, // it does not run as root otherwise, and it sees nothing but this page
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
	)
	t.Cleanup(closeBrowsers)
	// A browser that is newer than chromedp sends events that it does not know; it would log them.
	ctx, closeBrowser := chromedp.NewContext(browsers, chromedp.WithErrorf(func(string, ...any) {}))
	p.ctx = ctx
	t.Cleanup(func() {
		deadline, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if chromedp.FromContext(ctx).Browser != nil {
			if err := chromedp.Cancel(deadline); err != nil {
				t.Errorf("close the browser: %v", err)
			}
		}
		closeBrowser()
	})
	start := time.AfterFunc(patience, closeBrowser) // a deadline of the first call would end the browser later on
	err = chromedp.Do(ctx, chromedp.Navigate(server.URL+"/#"+url.QueryEscape(websocketURL)))
	if !start.Stop() || err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	p.Await("the page has connected", "page.opens === 1")
	return p
}

func (p *Page) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(html)
	})
	mux.HandleFunc("GET /freeze", func(_ http.ResponseWriter, r *http.Request) {
		thaw := make(chan struct{})
		select {
		case p.frozen <- thaw:
		case <-r.Context().Done():
			return
		}
		select {
		case <-thaw:
		case <-r.Context().Done():
		}
	})
	return mux
}

// Evaluate returns the value of a JavaScript expression, in which page is what happened and socket the page's latest
// connection. A promise is awaited.
func Evaluate[T any](p *Page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// Do runs JavaScript.
func (p *Page) Do(script string) {
	p.t.Helper()
	Evaluate[chromedp.Void](p, script)
}

// Await returns once a JavaScript expression is true.
func (p *Page) Await(what, expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 2*patience)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Poll[chromedp.Void](expression,
		chromedp.WithPollingInterval(5*time.Millisecond), chromedp.WithPollingTimeout(patience)))
	if err != nil {
		p.t.Fatalf("it did not come to this: %s: %v; the page has seen %+v", what, err, p.State())
	}
}

// State returns what has happened so far.
func (p *Page) State() State {
	p.t.Helper()
	return Evaluate[State](p, "({ ...page, messages: page.messages.length })")
}

// Messages returns what the page received.
func (p *Page) Messages() []string {
	p.t.Helper()
	return Evaluate[[]string](p, "page.messages")
}

// Freeze blocks the page's thread, so that it takes in nothing and nothing else can be asked of it until thaw is
// called. It returns once the thread stands still.
func (p *Page) Freeze() (thaw func()) {
	p.t.Helper()
	p.Do("freeze()")
	select {
	case frozen := <-p.freeze:
		thaw = sync.OnceFunc(func() { close(frozen) })
	case <-time.After(patience):
		p.t.Fatal("the page does not freeze")
	}
	p.t.Cleanup(thaw)
	return thaw
}

// StaysAway checks that the page's only connection was closed cleanly, with a code, and that it does not come back.
func (p *Page) StaysAway(code int) {
	p.t.Helper()
	p.Await("the page's connection is closed", "page.closes.length > 0")
	p.Do("outlast()")
	state := p.State()
	if state.Attempts != 1 || len(state.Closes) != 1 || state.Closes[0].Code != code || !state.Closes[0].WasClean {
		p.t.Errorf("want one connection and one clean close with %d; the page has seen %+v", code, state)
	}
}

// CameBack returns once the page has connected for the nth time, by itself. It checks that no close before was clean,
// since after a clean one rotki's frontend would not have come back.
func (p *Page) CameBack(n int) {
	p.t.Helper()
	p.Await("the page is back", fmt.Sprintf("page.opens === %d", n))
	state := p.State()
	for _, c := range state.Closes {
		if c.WasClean || c.Code != 1006 {
			p.t.Errorf("want unclean closes with 1006; the page has seen %+v", state)
		}
	}
}
