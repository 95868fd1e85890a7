package broker

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/clock"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// times knows when each of many things last happened. That informs people and
// decides nothing, so that it costs no commit a page of its own: it is kept in
// memory and written beside the work, in its own time and by [Broker.Close]. A
// process that is killed loses what it had not written; the record says the same.
type times struct {
	db    *sqldb.DB
	log   *slog.Logger
	now   func() time.Time
	table string // of a key and at, in microseconds
	key   string
	every time.Duration // from the first that is not written yet to the writing

	mu      sync.Mutex
	unsaved map[string]time.Time
	timer   *time.Timer // nil: none is set
	closed  bool
	saving  sync.WaitGroup
}

// maxSaved bounds what one commit writes, which others wait for.
const maxSaved = 256

// note keeps that something happened.
func (t *times) note(key string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !at.After(t.unsaved[key]) {
		return
	}
	if t.unsaved == nil {
		t.unsaved = map[string]time.Time{}
	}
	t.unsaved[key] = at
	if t.timer == nil && !t.closed {
		t.timer = time.AfterFunc(t.every, t.due)
	}
}

// due writes what was noted. What comes meanwhile sets the timer anew.
func (t *times) due() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = nil
	if t.closed {
		return
	}
	t.saving.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
		defer cancel()
		if err := t.save(ctx); err != nil { // it stays noted; the next one tries again
			t.log.WarnContext(ctx, "times of use not kept", slog.String("table", t.table), slog.Any("error", err))
		}
	})
}

// save writes what was noted until now. Another process may have written a later
// time, which stays, unless it is one that the clock was set back from.
func (t *times) save(ctx context.Context) error {
	for keys := range slices.Chunk(t.keys(), maxSaved) {
		var written map[string]time.Time
		wrong := t.now().Add(clock.Tolerance)
		err := t.db.Update(ctx, func(tx *sqldb.Tx) error {
			written = t.noted(keys) // here, where nobody forgets one meanwhile
			for key, at := range written {
				if _, err := tx.Exec(`INSERT INTO `+t.table+` (`+t.key+`, at) VALUES (?, ?) ON CONFLICT (`+t.key+`) DO UPDATE
					SET at = excluded.at WHERE excluded.at > `+t.table+`.at OR `+t.table+`.at > ?`, key, sqldb.Micros(at), sqldb.Micros(wrong)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		t.saved(written)
	}
	return nil
}

// keys are those of the times that are not written.
func (t *times) keys() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.unsaved))
}

// noted returns those of some times that are not written.
func (t *times) noted(keys []string) map[string]time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[string]time.Time, len(keys))
	for _, key := range keys {
		if at, ok := t.unsaved[key]; ok {
			out[key] = at
		}
	}
	return out
}

// saved drops what is written, unless it has happened again since.
func (t *times) saved(written map[string]time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, at := range written {
		if t.unsaved[key].Equal(at) {
			delete(t.unsaved, key)
		}
	}
}

// forget forgets key, in memory and in the table.
func (t *times) forget(tx *sqldb.Tx, key string) error {
	t.mu.Lock()
	delete(t.unsaved, key)
	t.mu.Unlock()
	_, err := tx.Exec(`DELETE FROM `+t.table+` WHERE `+t.key+` = ?`, key)
	return err
}

// of returns when each of some things last happened; those of which nothing is
// known are left out.
func (t *times) of(ctx context.Context, keys []string) (map[string]time.Time, error) {
	out := t.noted(keys) // before the table is asked, where it goes from here
	err := t.db.View(ctx, func(tx *sqldb.Tx) error {
		for some := range slices.Chunk(keys, vault.MaxPageSize) {
			args := make([]any, len(some))
			for i, key := range some {
				args[i] = key
			}
			if err := tx.Query(`SELECT `+t.key+`, at FROM `+t.table+` WHERE `+t.key+` IN (?`+strings.Repeat(`, ?`, len(some)-1)+`)`, args, func(scan func(...any) error) error {
				var key string
				var micros int64
				err := scan(&key, &micros)
				if at := sqldb.Time(micros); at.After(out[key]) {
					out[key] = at
				}
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// close writes what is left. Nothing is noted after it.
func (t *times) close(ctx context.Context) error {
	t.mu.Lock()
	t.closed = true
	if t.timer != nil {
		t.timer.Stop()
	}
	t.mu.Unlock()
	t.saving.Wait()
	return t.save(ctx)
}
