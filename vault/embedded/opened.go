package embedded

import (
	"bytes"
	"maps"
	"slices"
	"sync"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// maxOpened bounds the records that [opened] remembers. They hold metadata and no value.
const maxOpened = 256

// opened remembers records by path, so that one which is asked for again and
// again is not decrypted and decoded each time. What is remembered counts only
// for the very sealed bytes it was opened from, which the database is asked for
// every time: it is never older than they are.
type opened struct {
	mu   sync.Mutex
	rows map[vault.Path]openedRow
}

type openedRow struct {
	row
	deletedAt int64
	sealed    []byte
}

func (o *opened) get(p vault.Path, first int, deletedAt int64, sealed []byte) (row, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	known, ok := o.rows[p]
	if !ok || known.first != first || known.deletedAt != deletedAt || !bytes.Equal(known.sealed, sealed) {
		return row{}, false
	}
	return known.own(), true
}

func (o *opened) put(r row, deletedAt int64, sealed []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.rows == nil || len(o.rows) >= maxOpened { // rarely, and cheaper than keeping an order
		o.rows = map[vault.Path]openedRow{}
	}
	o.rows[r.Path] = openedRow{row: r.own(), deletedAt: deletedAt, sealed: sealed}
}

// own returns r with a map and a list that the caller may keep and change.
func (r row) own() row {
	r.Tags, r.Destinations = maps.Clone(r.Tags), slices.Clone(r.Destinations)
	return r
}

// liveInTx is the key, in [sqldb.Tx.Shared], of the live row of a path: the
// writes of one commit ask the database for it once. Whatever changes the row
// forgets it.
type liveInTx vault.Path

func known(tx *sqldb.Tx, p vault.Path) (row, bool) {
	r, ok := tx.Shared()[liveInTx(p)].(row)
	return r.own(), ok
}

func remember(tx *sqldb.Tx, r row) { tx.Shared()[liveInTx(r.Path)] = r.own() }

func forget(tx *sqldb.Tx, p vault.Path) { delete(tx.Shared(), liveInTx(p)) }
