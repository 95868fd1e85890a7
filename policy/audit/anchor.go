package audit

import (
	"bytes"
	"context"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// CheckLength compares the length of the log with the size that anchor states,
// for a start that cannot wait for [Verify]: one look at an index. No signature
// is checked and no key is loaded; that is left to the next checkpoint. nil
// passes. Error: *[TamperError].
func (l *Log) CheckLength(tx *sqldb.Tx, anchor []byte) error {
	if anchor == nil {
		return nil
	}
	origin, rest, _ := bytes.Cut(anchor, []byte("\n"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	size, err := strconv.ParseInt(string(line), 10, 64)
	if err != nil || string(origin) != l.verifier.Name() {
		return &TamperError{What: notAnchor}
	}
	last, err := length(tx)
	if err == nil && last < size {
		err = &TamperError{Seq: last + 1, Through: size, What: shortened}
	}
	return err
}

// length is the number of the last record.
func length(tx *sqldb.Tx) (last int64, err error) {
	err = tx.QueryRow(`SELECT coalesce(max(seq), 0) FROM audit_leaves`).Scan(&last)
	return last, err
}

// prove reports whether the log begins with what anchor covers.
func (l *Log) prove(ctx context.Context, db *sqldb.DB, anchor []byte) error {
	anchors, err := openAnchors(anchor, l.verifier)
	if err != nil {
		return &TamperError{What: notAnchor}
	}
	if len(anchors) == 0 {
		return nil
	}
	return db.View(ctx, func(tx *sqldb.Tx) error {
		base, _, e, err := l.base(tx)
		if err != nil {
			return err
		}
		for _, a := range anchors {
			if a.N <= base.N {
				err = proveStored(tx, base.N, a)
			} else {
				err = proveLeaves(ctx, tx, &e, a)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// proveStored proves that the tree a is the beginning of the stored tree, whose
// edge at size is that of a signed checkpoint. The tiles at the edge of a give
// its root; each of them is at the edge of the stored tree too, or full, and
// then its root is an entry of the tile above it.
func proveStored(tx *sqldb.Tx, size int64, a tlog.Tree) error {
	differs := &TamperError{Seq: 1, Through: a.N, What: forked}
	at := edge{size: a.N}
	var below []tlog.Hash // the full tile under the current one
	for level, entries := 0, a.N; entries > 0 || below != nil; level, entries = level+1, entries>>tileHeight {
		id := tileID{level, entries / tileWidth}
		stored := size >> (tileHeight * level) // entries of this level
		tile, err := loadHashes(tx, id)
		if err != nil {
			return err
		}
		width := int(entries % tileWidth)
		if want := min(tileWidth, stored-id.tile*tileWidth); int64(len(tile)) != want {
			return differs
		}
		at.levels = append(at.levels, append([]tlog.Hash(nil), tile[:width]...))
		if below != nil && tile[width] != merkle(below) {
			return differs
		}
		if below = nil; len(tile) == tileWidth {
			below = tile
		}
	}
	if at.root() != a.Hash {
		return differs
	}
	return nil
}

// proveLeaves grows e by the records up to the size of a and compares.
func proveLeaves(ctx context.Context, tx *sqldb.Tx, e *edge, a tlog.Tree) error {
	for e.size < a.N {
		if err := ctx.Err(); err != nil {
			return err
		}
		start := e.size
		err := tx.Query(`SELECT seq, leaf FROM audit_leaves WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?`,
			[]any{start, a.N, verifyPage}, func(scan func(...any) error) error {
				var seq int64
				var leaf []byte
				if err := scan(&seq, &leaf); err != nil {
					return err
				}
				if seq != e.size+1 {
					return &TamperError{Seq: e.size + 1, Through: e.size + 1, What: missing}
				}
				e.add(tlog.RecordHash(leaf), func(int, int64, tlog.Hash) {})
				return nil
			})
		if err != nil {
			return err
		}
		if e.size == start {
			return &TamperError{Seq: start + 1, Through: a.N, What: shortened}
		}
	}
	if e.root() != a.Hash {
		return &TamperError{Seq: 1, Through: a.N, What: forked}
	}
	return nil
}

func loadHashes(tx *sqldb.Tx, id tileID) ([]tlog.Hash, error) {
	stored, err := loadTile(tx, id)
	if err != nil || len(stored)%tlog.HashSize != 0 {
		return nil, err
	}
	hashes := make([]tlog.Hash, len(stored)/tlog.HashSize)
	for i := range hashes {
		hashes[i] = tlog.Hash(stored[i*tlog.HashSize:])
	}
	return hashes, nil
}
