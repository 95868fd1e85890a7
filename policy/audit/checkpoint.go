package audit

import (
	"context"
	"errors"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// maxGrowth is how many leaves one step of [Log.Checkpoint] takes in, which
// bounds its memory and the time it holds the write lock.
const maxGrowth = 1 << 14

// Checkpoint seals every record committed before the call and returns the
// newest checkpoint, for keeping outside the database in place of anchor, the
// one kept there until now; nil when there is none. The result never covers
// less than anchor. Its cost is that of the records since the last one; with
// none it returns the last one again. Several processes may call it at once.
//
// Before anything is signed or stored, anchor is proven to be a prefix of this
// log and signed by its key. It builds on a checkpoint only after checking its
// signature and that the stored tree still has the signed root. Errors:
// *[TamperError] when one of these does not hold, and then nothing is signed;
// those of the database.
func (l *Log) Checkpoint(ctx context.Context, db *sqldb.DB, anchor []byte) (signed []byte, err error) {
	if err := l.readyToSign(ctx, anchor); err != nil {
		return nil, err
	}
	if err := l.prove(ctx, db, anchor); err != nil {
		return nil, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var g growth
		if err := db.View(ctx, func(tx *sqldb.Tx) error { return l.read(tx, &g) }); err != nil {
			return nil, err
		}
		if g.edge.size == g.base.N && g.signed != nil {
			return g.signed, nil
		}
		g.signed, err = signTree(tlog.Tree{N: g.edge.size, Hash: g.edge.root()}, l.signer)
		if err != nil || g.edge.size == 0 {
			return g.signed, err
		}
		err = db.Update(ctx, g.write)
		if err == nil && !g.more {
			return g.signed, nil
		}
		if err != nil && !errors.Is(err, errOvertaken) {
			return nil, err
		}
	}
}

// errOvertaken: another process has written a checkpoint meanwhile.
var errOvertaken = errors.New("another checkpoint was written")

// growth is one step from a checkpoint to the next.
type growth struct {
	base    tlog.Tree // newest checkpoint, zero when there is none
	signed  []byte    // its note
	edge    edge
	partial [][]byte          // tiles at the edge of base, by level
	tiles   map[tileID][]byte // tiles that change
	changed []tileID          // their order
	more    bool              // there are leaves beyond this step
}

// readyToSign opens the key; a log without an anchor may still get one.
func (l *Log) readyToSign(ctx context.Context, anchor []byte) error {
	err := ready(l.verifier)
	if !errors.Is(err, ErrNoKey) {
		return err
	}
	if anchor != nil {
		return &TamperError{What: keyGone}
	}
	if k, ok := l.signer.(interface{ create(context.Context) error }); ok {
		return k.create(ctx)
	}
	return err
}

// newest returns the newest checkpoint in the database, zero when there is none.
func (l *Log) newest(tx *sqldb.Tx) (tree tlog.Tree, signed []byte, err error) {
	var size int64
	err = tx.QueryRow(`SELECT size, note FROM audit_checkpoints ORDER BY size DESC LIMIT 1`).Scan(&size, &signed)
	if errors.Is(err, sqldb.ErrNoRows) {
		return tree, nil, nil
	}
	if err != nil {
		return tree, nil, err
	}
	if tree, err = openTree(signed, l.verifier); err != nil || tree.N != size {
		return tree, nil, &TamperError{Seq: size, Through: size, What: notSigned}
	}
	return tree, signed, nil
}

// base returns the newest checkpoint and the edge of its tree, once the stored
// tree has shown to be the signed one.
func (l *Log) base(tx *sqldb.Tx) (tree tlog.Tree, signed []byte, e edge, err error) {
	if tree, signed, err = l.newest(tx); err != nil {
		return tree, nil, e, err
	}
	e, ok, err := loadEdge(tx, tree.N)
	if err != nil {
		return tree, nil, e, err
	}
	if !ok || tree.N > 0 && e.root() != tree.Hash {
		return tree, nil, e, &TamperError{Seq: max(1, tree.N/tileWidth*tileWidth), Through: tree.N, What: treeChanged}
	}
	return tree, signed, e, nil
}

// read takes in the leaves after the newest checkpoint.
func (l *Log) read(tx *sqldb.Tx, g *growth) (err error) {
	*g = growth{tiles: map[tileID][]byte{}}
	if g.base, g.signed, g.edge, err = l.base(tx); err != nil {
		return err
	}
	last, err := length(tx)
	if err != nil {
		return err
	}
	if last < g.base.N {
		return &TamperError{Seq: last + 1, Through: g.base.N, What: missing}
	}
	for _, entries := range g.edge.levels {
		var tile []byte
		for _, h := range entries {
			tile = append(tile, h[:]...)
		}
		g.partial = append(g.partial, tile)
	}
	g.more = last > g.base.N+maxGrowth
	return tx.Query(`SELECT seq, leaf FROM audit_leaves WHERE seq > ? ORDER BY seq LIMIT ?`, []any{g.base.N, maxGrowth}, g.take)
}

func (g *growth) take(scan func(...any) error) error {
	var seq int64
	var leaf []byte
	if err := scan(&seq, &leaf); err != nil {
		return err
	}
	if seq != g.edge.size+1 {
		return &TamperError{Seq: g.edge.size + 1, Through: g.edge.size + 1, What: missing}
	}
	g.edge.add(tlog.RecordHash(leaf), func(level int, index int64, h tlog.Hash) {
		id := tileID{level, index / tileWidth}
		tile, ok := g.tiles[id]
		if !ok {
			g.changed = append(g.changed, id)
			if index%tileWidth != 0 { // continues a tile of base
				tile = g.partial[level]
			}
		}
		g.tiles[id] = append(tile, h[:]...)
	})
	return nil
}

// write stores what was read, unless another process was faster.
func (g *growth) write(tx *sqldb.Tx) error {
	var newest int64
	if err := tx.QueryRow(`SELECT coalesce(max(size), 0) FROM audit_checkpoints`).Scan(&newest); err != nil {
		return err
	}
	if newest != g.base.N {
		return errOvertaken
	}
	for _, id := range g.changed {
		if _, err := tx.Exec(`INSERT INTO audit_tiles (level, tile, hashes) VALUES (?, ?, ?)
			ON CONFLICT (level, tile) DO UPDATE SET hashes = excluded.hashes`, id.level, id.tile, g.tiles[id]); err != nil {
			return err
		}
	}
	// Of the checkpoints within one tile of leaves the newest is enough.
	if _, err := tx.Exec(`DELETE FROM audit_checkpoints WHERE size > ? AND size < ?`,
		(g.edge.size-1)/tileWidth*tileWidth, g.edge.size); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO audit_checkpoints (size, note) VALUES (?, ?)`, g.edge.size, string(g.signed))
	return err
}
