package keypair

import (
	"crypto/tls"
	"os"
	"runtime"
)

// part is files that are good only together.
type part struct {
	name  string
	files []string
	load  func() (loaded, error)

	seen   []os.FileInfo // as when they were read last; nil for one that could not be found
	failed string        // why that did not work; empty if it did
}

// loaded is what was read from a part's files.
type loaded struct {
	change func(*tls.Config) // puts it there
	about  []any             // what the log says of it
}

// look takes note of the files and says whether they are others than the last time. It follows links: what Kubernetes
// mounts are links to files in a directory that is replaced as a whole.
func (p *part) look() (changed bool) {
	now := make([]os.FileInfo, len(p.files))
	for i, file := range p.files {
		now[i], _ = os.Stat(file) // reading it says what is wrong
	}
	changed = len(p.seen) != len(now)
	for i := 0; !changed && i < len(now); i++ {
		changed = differ(p.seen[i], now[i])
	}
	p.seen = now
	return changed
}

func differ(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a != b
	}
	return !os.SameFile(a, b) || a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime())
}

// refresh loads a part again if its files have changed, or if the last time did not work.
func (p *Pair) refresh(part *part) {
	changed := part.look()
	if !changed && part.failed == "" {
		return
	}
	found, err := part.load()
	if part.look() {
		part.failed = "changed while it was read" // and is about to be read again
		return
	}
	if err != nil {
		if changed || part.failed != err.Error() {
			p.metrics.failed.Inc()
			p.config.Logger.Warn(part.name+" not reloaded, the one before stays in force", "err", err)
		}
		part.failed = err.Error()
		return
	}
	part.failed = ""
	p.replace(found)
	p.metrics.ok.Inc()
	p.metrics.expires(p.expiry())
	p.config.Logger.Info(part.name+" reloaded", found.about...)
}

func (p *Pair) loadCertificate() (loaded, error) {
	pair, err := p.config.readCertificate()
	if err != nil {
		return loaded{}, err
	}
	p.warnOfReaders()
	return loaded{
		change: func(c *tls.Config) { c.Certificates = []tls.Certificate{pair} },
		about:  []any{"file", p.config.Cert, "not_after", date(pair.Leaf.NotAfter)},
	}, nil
}

func (p *Pair) loadClientCA() (loaded, error) {
	pool, certificates, err := p.config.readClientCA()
	if err != nil {
		return loaded{}, err
	}
	return loaded{
		change: func(c *tls.Config) { c.ClientCAs = pool },
		about:  []any{"file", p.config.ClientCA, "certificates", certificates},
	}, nil
}

// warnOfReaders warns of a key that others can read; Windows tells nothing of that in a mode.
func (p *Pair) warnOfReaders() {
	info, err := os.Stat(p.config.Key)
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return
	}
	p.config.Logger.Warn("key can be read or changed by others than its owner; chmod 600 would do",
		"flag", "--"+p.config.KeyFlag, "file", p.config.Key, "mode", info.Mode().Perm().String())
}
