//go:build unix

package main_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rotki/notification-bridge/bridge/auth"
)

// nginxPath returns where nginx is. Debian has it where only root looks.
func nginxPath(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	skip(t, "nginx is missing: install Debian's nginx")
	return ""
}

// TestNginxConfig has nginx check the file as it is deployed.
func TestNginxConfig(t *testing.T) {
	file, err := filepath.Abs("deploy/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command(nginxPath(t), "-t", "-e", "stderr", "-c", file).CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, output)
	}
}

// TestDeployment runs what the files deploy, on this machine and on free ports: three NATS servers, three bridges with
// Kubernetes' settings, and nginx. What is published through nginx comes to Server-Sent Events and to websockets. While
// one bridge after the other drains or is killed, a publisher and a subscriber that resumes go on, and so does a browser
// that knows nothing of it.
func TestDeployment(t *testing.T) {
	nginx := nginxPath(t)
	urls := startDeployedNATS(t)
	settings, _ := deployedBridges(t)
	for name, value := range settings["kubernetes"] {
		t.Setenv(name, value)
	}
	t.Setenv("ROTKI_BRIDGE_NATS_URL", strings.Join(urls, ","))
	const secret = "what the Secret rotki-bridge-jwt holds"
	t.Setenv("ROTKI_BRIDGE_JWT_SECRET_FILE", file(t, secret))
	token := newMinter(t, []byte(secret), "", "").token("anybody", auth.ScopePublish, auth.ScopeSubscribe)
	bridges := make([]*process, 3)
	ports := make([][]string, len(bridges))
	for i := range bridges {
		ports[i] = fixedPorts(t)
		bridges[i] = startProcess(t, ports[i]...)
	}
	front := startNginx(t, nginx, bridges)

	d := door{base: "ws://" + front.websocket}
	d.refused(t, "no token", "/ws/", nil, http.StatusUnauthorized, "a token is required")
	runs(t, "no token", warningEnvelope("a"), 1, "a token is required", "publish", "--grpc-addr", front.grpc)
	browser := openBrowser(t, front, token)
	events := eventsOf(t, front, token)
	run := stream(t, front.grpc, front.websocket, func(context.Context) (string, error) { return token, nil })
	for i := range 10 {
		for line := ""; line != "data: "+warningEnvelope(fmt.Sprint(i)); line = events.Text() {
			if !events.Scan() {
				t.Fatalf("the events ended before message %d: %v", i, events.Err())
			}
		}
	}
	for i := range bridges {
		run.awaitProgress()
		browser.receive(int(run.acknowledged.Load()))
		if i%2 == 0 {
			bridges[i].terminate(t)
			if status := bridges[i].exit(t, patience); status != 0 {
				t.Errorf("a bridge that drained ended with status %d", status)
			}
		} else {
			bridges[i].kill()
		}
		run.awaitProgress()
		bridges[i] = startProcess(t, ports[i]...)
		await(t, "it is ready", func() bool {
			status, _, err := bridges[i].get("/readyz")
			return err == nil && status == http.StatusOK
		})
	}
	run.awaitProgress()
	run.finish()
	browser.receive(int(run.sent.Load()))
	t.Logf("two bridges drained, one killed: %v; the browser connected %d times, and %d notifications came to it again",
		run, browser.connects, browser.repeats)
	if browser.connects == 1 {
		t.Error("the browser never lost its connection")
	}
}

// browser is a subscriber as a browser is one: it has an Origin and keeps a cookie, and connects again.
type browser struct {
	t     *testing.T
	front *process
	token string
	conn  *websocket.Conn

	cookie                      string
	received, repeats, connects int
}

func openBrowser(t *testing.T, front *process, token string) *browser {
	t.Helper()
	b := &browser{t: t, front: front, token: token}
	b.connect()
	t.Cleanup(func() { _ = b.conn.Close() })
	if b.cookie == "" {
		t.Fatal("the handshake set no cookie")
	}
	return b
}

func (b *browser) connect() {
	b.t.Helper()
	header := http.Header{"Origin": {"http://" + b.front.websocket}, "Sec-Websocket-Protocol": {"bearer." + b.token}}
	if b.cookie != "" {
		header.Set("Cookie", b.cookie)
	}
	await(b.t, "the browser connects", func() bool {
		conn, response, err := websocket.DefaultDialer.DialContext(b.t.Context(), "ws://"+b.front.websocket+"/ws/", header)
		if err != nil {
			return false
		}
		for _, cookie := range response.Cookies() {
			b.cookie = cookie.Name + "=" + cookie.Value
		}
		b.conn = conn
		return true
	})
	b.connects++
}

// receive receives until so many messages of a stream have come, each the next one, or one that has come before.
func (b *browser) receive(until int) {
	b.t.Helper()
	for b.received < until {
		_ = b.conn.SetReadDeadline(time.Now().Add(patience))
		_, text, err := b.conn.ReadMessage()
		if err != nil {
			if websocket.IsUnexpectedCloseError(err, websocket.CloseAbnormalClosure) { // a browser would stay away
				b.t.Fatalf("the browser's connection ended with %v", err)
			}
			_ = b.conn.Close()
			b.connect()
			continue
		}
		n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(string(text), strings.TrimSuffix(warningEnvelope(""), `"}}`)), `"}}`))
		if err != nil || n > b.received {
			b.t.Fatalf("%s came to the browser, %d was next", text, b.received)
		}
		if n < b.received {
			b.repeats++
		} else {
			b.received++
		}
	}
}

// eventsOf subscribes to Server-Sent Events.
func eventsOf(t *testing.T, front *process, token string) *bufio.Scanner {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+front.websocket+"/events?token="+token, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		t.Fatalf("/events: %s", response.Status)
	}
	return bufio.NewScanner(response.Body)
}

// substitute replaces each old by the new that follows it. Every old must be there.
func substitute(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("%q is not in the file", pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// startDeployedNATS starts three servers with the file that is deployed, and returns where they are.
func startDeployedNATS(t *testing.T) (urls []string) {
	t.Helper()
	path, err := natsServer()
	if err != nil {
		t.Fatal(err)
	}
	var routes [3]string
	for i := range routes {
		routes[i] = freeAddr(t)
	}
	for i, route := range routes {
		dir, addr := t.TempDir(), freeAddr(t)
		text := substitute(t, readDeploy(t, "nats.conf"),
			"listen: 0.0.0.0:4222", "listen: "+addr, "listen: 0.0.0.0:6222", "listen: "+route, "http: 0.0.0.0:8222", "http: "+freeAddr(t),
			"/data", dir, "nats-0.nats:6222", routes[0], "nats-1.nats:6222", routes[1], "nats-2.nats:6222", routes[2])
		file := filepath.Join(dir, "nats.conf")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		server := exec.Command(path, "-c", file)
		server.Env = append(os.Environ(), fmt.Sprintf("NATS_NAME=nats-%d", i))
		run(t, "nats-server", server, syscall.SIGKILL)
		urls = append(urls, "nats://"+addr)
	}
	return urls
}

// startNginx starts nginx with the file that is deployed, before three bridges, and returns where it is as if it were one.
func startNginx(t *testing.T, path string, bridges []*process) *process {
	t.Helper()
	dir, front := t.TempDir(), &process{websocket: freeAddr(t), grpc: freeAddr(t)}
	pairs := []string{"/tmp/nginx", dir + "/nginx", "listen 5043 ", "listen " + front.websocket + " ", "listen 5044 ", "listen " + front.grpc + " "}
	for i, b := range bridges {
		deployed := fmt.Sprintf("172.30.43.%d:", 11+i)
		pairs = append(pairs, deployed+"5043", b.websocket, deployed+"5044", b.grpc)
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(substitute(t, readDeploy(t, "nginx.conf"), pairs...)), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "nginx", exec.Command(path, "-e", "stderr", "-p", dir, "-c", file, "-g", "daemon off;"), syscall.SIGTERM)
	await(t, "nginx listens", func() bool {
		conn, err := net.Dial("tcp", front.grpc)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return front
}

// run runs a program until the end of the test, and shows what it said when that failed.
func run(t *testing.T, name string, command *exec.Cmd, end syscall.Signal) {
	t.Helper()
	said := new(bytes.Buffer)
	command.Stdout, command.Stderr = said, said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(end)
		_ = command.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, said)
		}
	})
}
