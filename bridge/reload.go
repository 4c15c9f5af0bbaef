package bridge

import (
	"errors"
	"fmt"

	"github.com/rotki/notification-bridge/bridge/contract"
)

// inForce is the contract in force, and what is served about it.
type inForce struct {
	*contract.Contract
	documents documents
}

// types returns the names of the notification types.
func (b *Bridge) types() []string { return b.contract.Load().Types() }

// Reload reads the contract's file again and puts it into force; connections and streams stay, and so does what is in
// the journal. The error says why the contract that was in force still is. Reload is safe for concurrent use.
func (b *Bridge) Reload() error {
	if b.config.Contract == "" {
		return errors.New("there is nothing to reload: the bridge was started without --contract")
	}
	b.reloading.Lock()
	defer b.reloading.Unlock()
	return b.loadContract()
}

// loadContract puts the configured contract into force.
func (b *Bridge) loadContract() error {
	builtin, err := contract.Builtin()
	if err != nil {
		return err
	}
	if b.config.Contract == "" {
		b.contract.Store(&inForce{builtin, builtinDocuments(builtin)})
		return nil
	}
	loaded, err := contract.Read(b.config.Contract)
	if err != nil {
		return fmt.Errorf("--contract: %w", err)
	}
	if err := contract.Extends(loaded, builtin); err != nil {
		return fmt.Errorf("--contract: %s: is no compatible extension of the contract that this bridge was built with: %w", b.config.Contract, err)
	}
	before := b.contract.Swap(&inForce{loaded, loadedDocuments(loaded)})
	log := b.config.Logger.With("file", b.config.Contract, "types", len(loaded.Types()), "beyond_builtin", loaded.Beyond(builtin))
	if before != nil {
		log = log.With("gone", before.Beyond(loaded))
	}
	log.Info("contract loaded")
	return nil
}
