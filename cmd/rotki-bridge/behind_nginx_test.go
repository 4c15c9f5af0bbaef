//go:build unix

package main_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/testcert"
	"github.com/rotki/notification-bridge/client"
)

// application is a web application of the deployment: whoever asks for /login as a user gets the cookie with a token.
func application(t *testing.T, m minter) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/login" {
			http.NotFound(w, r)
			return
		}
		http.SetCookie(w, &http.Cookie{
			Name: "app_token", Value: m.token(r.FormValue("user")), Path: "/", HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode,
		})
	}))
	t.Cleanup(server.Close)
	return server
}

// startSiteNginx runs nginx with behind-nginx.conf, before a bridge and an application, and returns where it listens and
// its logs.
func startSiteNginx(t *testing.T, ca *testcert.CA, bridge, app string) (addr, accessLog, errorLog string) {
	t.Helper()
	path, dir := nginxPath(t), t.TempDir()
	addr, accessLog, errorLog = freeAddr(t), filepath.Join(dir, "access.log"), filepath.Join(dir, "error.log")
	cert, key := ca.ServerFiles(t, dir)
	site := substitute(t, readDeploy(t, "behind-nginx.conf"),
		"listen 443 ssl", "listen "+addr+" ssl", "/etc/nginx/tls/app.pem", cert, "/etc/nginx/tls/app-key.pem", key,
		"/var/log/nginx/access.log", accessLog, "/var/log/nginx/error.log", errorLog,
		"127.0.0.1:5043", bridge, "127.0.0.1:5042", app)
	temporary := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temporary += fmt.Sprintf("%s_temp_path %s/%s;\n", kind, dir, kind)
	}
	main := fmt.Sprintf("pid %s/pid;\nerror_log %s;\nevents {}\nhttp {\n%s%s}\n", dir, errorLog, temporary, site)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(main), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "nginx", exec.Command(path, "-e", "stderr", "-p", dir, "-c", file, "-g", "daemon off;"), syscall.SIGTERM)
	await(t, "nginx listens", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return addr, accessLog, errorLog
}

// login returns the cookie that the application gives a user, as a header of a request.
func (d door) login(t *testing.T, user string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: d.tls, DisableKeepAlives: true}}
	response, err := client.Get(strings.Replace(d.base, "ws", "http", 1) + "/login?user=" + user)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for _, cookie := range response.Cookies() {
		return cookie.Name + "=" + cookie.Value
	}
	t.Fatalf("the application gives no cookie: %s", response.Status)
	return ""
}

// TestBehindNginx tries behind-nginx.toml and behind-nginx.conf: who a user is comes with the application's cookie.
func TestBehindNginx(t *testing.T) {
	const secret = "a secret of which both the application and the bridge know"
	ca, m := testcert.NewCA(t, "web"), newMinter(t, []byte(secret+"\n"), appIssuer, "")
	p := startConfigured(t, "behind-nginx.toml", "/etc/rotki-bridge/jwt-secret", file(t, secret+"\n"))
	app := application(t, m)
	addr, accessLog, errorLog := startSiteNginx(t, ca, p.websocket, strings.TrimPrefix(app.URL, "http://"))
	d := door{base: "wss://" + addr, tls: trust(ca)}

	origin := "https://" + addr
	user := func(name string) http.Header { return http.Header{"Cookie": {d.login(t, name)}, "Origin": {origin}} }
	ann := d.subscribe(t, "/ws/", user("ann"))
	bob := d.subscribe(t, "/ws/", user("bob"))
	eve := d.subscribe(t, "/ws/?token="+m.token("eve"), http.Header{"X-Forwarded-For": {"198.51.100.1"}})

	t.Run("publish", func(t *testing.T) {
		publish := []string{"publish", "--grpc-addr", p.grpc}
		token := file(t, m.token("backend", auth.ScopePublish))
		runs(t, "no token", warningEnvelope("a"), 1, "a token is required", publish...)
		runs(t, "a user's token", warningEnvelope("a"), 1, "the token does not allow this",
			append(publish, "--token-file", file(t, m.token("ann")))...)
		publishTo(t, p.grpc, m.token("backend", auth.ScopePublish), "ann", "to ann")
		runs(t, "a good one", warningEnvelope("to all"), 0, "1 accepted", append(publish, "--token-file", token)...)
		gets(t, "ann", ann, "to ann")
		gets(t, "ann", ann, "to all")
		gets(t, "bob", bob, "to all")
		gets(t, "eve", eve, "to all")
	})
	t.Run("listen", func(t *testing.T) {
		ca := file(t, string(ca.PEM()))
		runs(t, "a token", "", 0, warningEnvelope("to all"), "listen", "--url", d.base+"/ws/",
			"--token-file", file(t, m.token("bob")), "--ca", ca, "--since", "earliest", "--count", "1")
	})
	t.Run("refused", func(t *testing.T) {
		forged := newMinter(t, []byte(strings.ToUpper(secret)), appIssuer, "").token("ann")
		d.refused(t, "no cookie", "/ws/", http.Header{"Origin": {origin}}, http.StatusUnauthorized, "a token is required")
		d.refused(t, "a forged cookie", "/ws/", http.Header{"Cookie": {"app_token=" + forged}, "Origin": {origin}}, http.StatusUnauthorized, "the token was refused")
		d.refused(t, "a forged token", "/ws/?token="+forged, nil, http.StatusUnauthorized, "the token was refused")
		d.refused(t, "a cookie of another name", "/ws/", http.Header{"Cookie": {"token=" + m.token("ann")}, "Origin": {origin}}, http.StatusUnauthorized, "a token is required")
		stolen := user("ann")
		stolen.Set("Origin", "https://example.com")
		d.refused(t, "a page of another site", "/ws/", stolen, http.StatusForbidden, "may not connect")
		d.refused(t, "a name that nobody vouches for", "/ws/", http.Header{"X-Rotki-Subject": {"ann"}, "Origin": {origin}}, http.StatusUnauthorized, "a token is required")
	})
	t.Run("operators", func(t *testing.T) {
		for _, path := range []string{"/metrics", "/debug/pprof/", "/contract/"} {
			if status, text := d.get(t, path, user("ann")); status != http.StatusNotFound {
				t.Errorf("%s can be reached through nginx: %d %.80q", path, status, text)
			}
		}
		if status, text := (door{base: "ws://" + p.admin}).get(t, "/metrics", nil); status != http.StatusUnauthorized {
			t.Errorf("/metrics on this machine, without a token: %d %.80q", status, text)
		}
		status, said := command(t, "", "connections", "--admin-grpc-addr", p.adminGRPC, "--json",
			"--token-file", file(t, m.token("oz", auth.ScopeAdmin)))
		if status != 0 || strings.Count(said, "\n") != 3 || strings.Contains(said, "198.51.100.1") {
			t.Errorf("connections ends with status %d, and says:\n%s", status, said)
		}
	})
	p.kill()
	d.refused(t, "no bridge", "/ws/?token="+m.token("eve"), nil, http.StatusBadGateway, "502 Bad Gateway")
	errs, err := os.ReadFile(errorLog)
	if err != nil {
		t.Fatal(err)
	}
	accesses, err := os.ReadFile(accessLog)
	if err != nil || !strings.Contains(string(accesses), "GET /login HTTP/1.1") {
		t.Errorf("nginx's access log: %v:\n%s", err, accesses)
	}
	for name, text := range map[string]string{
		"nginx's access log": string(accesses), "nginx's error log": string(errs), "the bridge's log": p.log.tail(),
	} {
		if strings.Contains(text, "eyJ") { // with which every token begins
			t.Errorf("%s has a token:\n%s", name, text)
		}
	}
}

// publishTo publishes a warning for one recipient.
func publishTo(t *testing.T, addr, token, recipient, text string) {
	t.Helper()
	publisher, err := client.NewPublisher(client.PublisherConfig{
		Addr: addr, Token: func(context.Context) (string, error) { return token, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	defer publisher.Close(ctx)
	if _, err := publisher.Publish(ctx, warning(text).GetNotification(), client.WithRecipients(recipient)); err != nil {
		t.Fatal(err)
	}
}
