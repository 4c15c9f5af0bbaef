package jetstream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rotki/notification-bridge/bridge/journal"
)

// mark is a file beside the store of a server in this process, which says what was acknowledged last. A store that was
// damaged begins again where it can still be read, without a word, and gives the same sequence numbers out once more:
// the mark tells. It is as durable as the store is without sync: it survives the process.
type mark struct {
	file *os.File
	last acknowledged
}

// acknowledged is what a mark says.
type acknowledged struct {
	epoch, seq uint64
	at         time.Time
}

const markSize = 3 * 8

// openMark opens a directory's mark. One that was never written says 0.
func openMark(dir string) (*mark, error) {
	file, err := os.OpenFile(filepath.Join(dir, "acknowledged"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	m := &mark{file: file}
	var text [markSize]byte
	if _, err := file.ReadAt(text[:], 0); err != nil {
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		_ = file.Close()
		return nil, err
	}
	m.last.epoch, m.last.seq = binary.BigEndian.Uint64(text[:]), binary.BigEndian.Uint64(text[8:])
	m.last.at = time.Unix(0, int64(binary.BigEndian.Uint64(text[16:])))
	return m, nil
}

// set writes what was acknowledged last, unless it is so written.
func (m *mark) set(epoch, seq uint64) error {
	if epoch == m.last.epoch && seq == m.last.seq {
		return nil
	}
	m.last = acknowledged{epoch, seq, time.Now()}
	var text [markSize]byte
	binary.BigEndian.PutUint64(text[:], epoch)
	binary.BigEndian.PutUint64(text[8:], seq)
	binary.BigEndian.PutUint64(text[16:], uint64(m.last.at.UnixNano()))
	_, err := m.file.WriteAt(text[:], 0)
	return err
}

// verify holds a stream against the mark. What is missing is logged; where sequence numbers would be given out for the
// second time, the stream gets another epoch, so that nobody takes a new notification for one that is lost.
func (j *Journal) verify(ctx context.Context, info *jetstream.StreamInfo) (*jetstream.StreamInfo, error) {
	if j.config.Server == nil || j.config.InMemory {
		return info, nil
	}
	m, err := openMark(j.config.Server.config.Dir)
	if err != nil {
		return nil, fmt.Errorf("read what was acknowledged last: %w", err)
	}
	j.mark = m
	last, state := m.last, info.State
	log := j.config.Logger.With("stream", j.config.Stream, "store", j.config.place())
	switch {
	case last.seq == 0:
		return info, nil
	case last.epoch != j.epoch:
		log.Error("the stream is another than before: all notifications that it held are lost", "acknowledged", last.seq)
	case last.seq > state.LastSeq:
		log.Error("the store is damaged: notifications that were acknowledged are lost", "from", state.LastSeq+1, "to", last.seq)
		return j.renew(ctx, info)
	case state.Msgs == 0 && time.Since(last.at) < info.Config.MaxAge:
		log.Error("the store is damaged: all notifications in it are lost", "to", last.seq)
	}
	return info, nil
}

// renew gives a stream another epoch.
func (j *Journal) renew(ctx context.Context, info *jetstream.StreamInfo) (*jetstream.StreamInfo, error) {
	config, epoch := info.Config, journal.NewEpoch()
	fresh := j.config.wanted(epoch)
	config.Subjects, config.Metadata = fresh.Subjects, fresh.Metadata
	stream, err := j.js.UpdateStream(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("give the stream %s at %s another epoch: %w", j.config.Stream, j.config.place(), err)
	}
	j.epoch = epoch
	return stream.CachedInfo(), nil
}

// acknowledge sets the mark before anybody is told of the last group.
func (j *Journal) acknowledge() {
	if j.mark == nil {
		return
	}
	if err := j.mark.set(j.epoch, j.newest); err != nil {
		j.config.Logger.Warn("what was acknowledged cannot be written down; if the store is damaged, that may go unnoticed", "err", err)
	}
}
