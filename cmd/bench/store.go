//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/rotki/notification-bridge/cmd/bench/baseline"
)

// store says what keeps the journal.
type store struct {
	name    string
	inside  bool // a NATS server in the process itself
	servers int  // NATS servers elsewhere, each of which stores every message
}

var (
	memory   = store{name: "memory"}
	embedded = store{name: "embedded", inside: true}
	single   = store{name: "one server", servers: 1}
	cluster  = store{name: "cluster", servers: 3}
)

// place is a store that runs.
type place struct {
	store
	dir  string // where its files are
	nats group
}

// open starts a store, with nothing in it.
func (l *lab) open(ctx context.Context, s store) (_ *place, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	p := &place{store: s, dir: dir}
	defer func() {
		if err != nil {
			p.close(&err)
		}
	}()
	routes, err := freeAddresses(s.servers)
	if err != nil {
		return nil, err
	}
	for i, route := range routes {
		name := "n" + decimal(i)
		flags := []string{"--server", name, "--dir", filepath.Join(dir, name)}
		if s.servers > 1 {
			flags = append(flags, "--route", route, "--routes", strings.Join(routes, ","))
		}
		server, err := l.baseline(ctx, baseline.NATS, flags...)
		if err != nil {
			return nil, err
		}
		p.nats = append(p.nats, server)
	}
	return p, nil
}

// close ends the servers and removes their files.
func (p *place) close(err *error) {
	for _, s := range p.nats {
		s.stop(err)
	}
	if failed := os.RemoveAll(p.dir); failed != nil && *err == nil {
		*err = failed
	}
}

// flags are the bridge's. Each bridge has a NATS server that it connects to first.
func (p *place) flags(bridge int) []string {
	switch {
	case p.inside:
		return []string{"--data-dir", filepath.Join(p.dir, "inside")}
	case p.servers > 0:
		return []string{"--nats-url", "nats://" + p.nats[bridge%len(p.nats)].NATS, "--stream-replicas", decimal(p.servers)}
	}
	return nil
}

// rawFlags are those of the baseline.
func (p *place) rawFlags() []string {
	if p.inside {
		return []string{"--dir", filepath.Join(p.dir, "inside"), "--replicas", "1"}
	}
	return []string{"--nats", p.nats[0].NATS, "--replicas", decimal(p.servers)}
}

// freeAddresses returns addresses that nobody listens at, for servers that must know each other's before they start.
func freeAddresses(n int) (addresses []string, err error) {
	for range n {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}
