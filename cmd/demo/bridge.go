package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is a rotki-bridge of the demo's own, on free ports.
type process struct {
	command   *exec.Cmd
	Websocket string        `json:"websocket"`
	GRPC      string        `json:"grpc"`
	logged    chan struct{} // closed when its log has ended
}

// startBridge runs the program and returns once it listens.
func startBridge(ctx context.Context, program string) (*process, error) {
	p := &process{logged: make(chan struct{})}
	p.command = exec.CommandContext(ctx, program, "serve", "--log-format=json",
		"--http-addr=127.0.0.1:0", "--grpc-addr=127.0.0.1:0", "--admin-addr=127.0.0.1:0", "--admin-grpc-addr=127.0.0.1:0")
	p.command.Cancel = func() error { return p.command.Process.Signal(syscall.SIGTERM) }
	p.command.WaitDelay = 15 * time.Second
	log, err := p.command.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	lines := bufio.NewScanner(log)
	for p.GRPC == "" && lines.Scan() {
		if json.Unmarshal(lines.Bytes(), p) != nil {
			fmt.Fprintln(os.Stderr, lines.Text())
		}
	}
	go func() {
		defer close(p.logged)
		for lines.Scan() { // a full pipe would stop the bridge
		}
	}()
	if p.GRPC == "" {
		<-p.logged
		return nil, errors.Join(fmt.Errorf("%s did not say where it listens", program), p.command.Wait())
	}
	return p, nil
}

// stop drains the bridge and returns how it ended.
func (p *process) stop() error {
	if err := p.command.Cancel(); err != nil {
		return fmt.Errorf("stop the bridge: %w", err)
	}
	<-p.logged
	if err := p.command.Wait(); err != nil {
		return fmt.Errorf("the bridge ended with: %w", err)
	}
	return nil
}
