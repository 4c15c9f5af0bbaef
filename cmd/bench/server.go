//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rotki/notification-bridge/cmd/bench/baseline"
	"github.com/rotki/notification-bridge/cmd/bench/procfs"
)

// bridge names the server that is measured, among the baselines' names.
const bridge = "bridge"

// noPings keeps the bridge's pings out of a measurement.
const noPings = "--ping-interval=1h"

// server is the bridge or a baseline, in a process of its own.
type server struct {
	baseline.Addresses
	Admin   string `json:"admin"` // of the bridge alone
	name    string
	command *exec.Cmd
	logged  chan struct{} // closed when its log has ended
	last    []string      // lines of its log; readable once logged is closed
}

// start runs a server and returns once it listens. It is killed when ctx is done. The flags are the bridge's.
func (l *lab) start(ctx context.Context, name string, flags ...string) (*server, error) {
	if name != bridge {
		return l.baseline(ctx, name)
	}
	return launch(bridge, exec.CommandContext(ctx, l.bridge, append([]string{
		"serve", "--log-format=json", "--http-addr=127.0.0.1:0", "--grpc-addr=127.0.0.1:0", "--admin-addr=127.0.0.1:0",
		"--admin-grpc-addr=127.0.0.1:0", "--max-connections=1000000",
	}, flags...)...))
}

// baseline runs a baseline as start does, with flags of its own.
func (l *lab) baseline(ctx context.Context, name string, flags ...string) (*server, error) {
	return launch(name, exec.CommandContext(ctx, l.self, append([]string{"baseline", name}, flags...)...))
}

func launch(name string, command *exec.Cmd) (*server, error) {
	s := &server{name: name, command: command, logged: make(chan struct{})}
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // none outlives this process
	log, err := s.command.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	lines := bufio.NewScanner(log)
	for s.Addresses == (baseline.Addresses{}) && lines.Scan() {
		s.keep(lines.Text())
		_ = json.Unmarshal(lines.Bytes(), s) // other lines do not say where it listens
	}
	go func() {
		defer close(s.logged)
		for lines.Scan() { // a full pipe would stop the server
			s.keep(lines.Text())
		}
	}()
	if s.Addresses == (baseline.Addresses{}) {
		return nil, fmt.Errorf("start %s: it did not say where it listens%s", name, s.kill())
	}
	return s, nil
}

func (s *server) keep(line string) {
	const kept = 5
	s.last = append(s.last[max(0, len(s.last)-kept+1):], line)
}

// kill ends the server and returns its last words, for an error's end.
func (s *server) kill() string {
	_ = s.command.Process.Kill()
	<-s.logged
	_ = s.command.Wait()
	if len(s.last) == 0 {
		return ""
	}
	return fmt.Sprintf("; the end of the log of %s:\n%s", s.name, strings.Join(s.last, "\n"))
}

// stop ends the server. An error of what was done with it gets the end of its log.
func (s *server) stop(err *error) {
	if log := s.kill(); *err != nil {
		*err = fmt.Errorf("%w%s", *err, log)
	}
}

func (s *server) cpu() (time.Duration, error) { return procfs.CPU(s.command.Process.Pid) }

func (s *server) rss() (int64, error) { return procfs.RSS(s.command.Process.Pid) }

// metric returns the value of a series without labels that the bridge tells.
func (s *server) metric(ctx context.Context, name string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Admin+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("read the bridge's metrics: %w", err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("the bridge tells no metric %s: %w", name, lines.Err())
}

// settle returns when the server has nothing to do any more.
func (s *server) settle(ctx context.Context) error { return group{s}.settle(ctx) }

// group is servers that are measured as one.
type group []*server

func (g group) cpu() (sum time.Duration, err error) {
	for _, s := range g {
		taken, err := s.cpu()
		if err != nil {
			return 0, err
		}
		sum += taken
	}
	return sum, nil
}

// settle returns when the servers have nothing to do any more.
func (g group) settle(ctx context.Context) error {
	const (
		interval = 100 * time.Millisecond
		idle     = 2 * time.Millisecond
		tries    = 50
	)
	before, err := g.cpu()
	for range tries {
		if err != nil {
			return err
		}
		if err := sleep(ctx, interval); err != nil {
			return err
		}
		var after time.Duration
		if after, err = g.cpu(); after-before < idle {
			return err
		}
		before = after
	}
	return err // some are never idle; what that costs is theirs
}

// restingRSS returns the server's memory as soon as it has stopped falling, or after the time that it has for that.
func (s *server) restingRSS(ctx context.Context, within time.Duration) (int64, error) {
	lowest, err := s.rss()
	if err != nil {
		return 0, err
	}
	for fell, end := time.Now(), time.Now().Add(within); time.Now().Before(end) && time.Since(fell) < within/3; {
		if err := sleep(ctx, within/100); err != nil {
			return 0, err
		}
		now, err := s.rss()
		if err != nil {
			return 0, err
		}
		if now < lowest-lowest/200 {
			fell = time.Now()
		}
		lowest = min(lowest, now)
	}
	return s.rss()
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
