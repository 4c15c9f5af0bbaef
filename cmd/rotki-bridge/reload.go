package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// hangups are the SIGHUPs that a process gets from the call of trapHangups on. Windows sends none.
type hangups chan os.Signal

// trapHangups keeps SIGHUP from ending the process.
func trapHangups() hangups {
	h := make(hangups, 1)
	signal.Notify(h, syscall.SIGHUP)
	return h
}

// each calls reload for each SIGHUP, and logs why it failed, until stop is called.
func (h hangups) each(logger *slog.Logger, reload func() error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var reloading sync.WaitGroup
	reloading.Go(func() {
		for {
			select {
			case <-h:
				if err := reload(); err != nil {
					logger.Error("not reloaded; the contract that was in force stays", "err", err)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		signal.Stop(h)
		cancel()
		reloading.Wait()
	}
}
