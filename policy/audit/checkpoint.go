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
// newest checkpoint, for keeping outside the database. Its cost is that of the
// records since the last one; with none it returns the last one again. Several
// processes may call it at once.
//
// It builds on a checkpoint only after checking its signature and that the
// stored tree still has the signed root. Errors: *[TamperError] when it has
// not, and then nothing is signed; those of the database.
func (l *Log) Checkpoint(ctx context.Context, db *sqldb.DB) (signed []byte, err error) {
	if err := ready(l.verifier); err != nil {
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

// read takes in the leaves after the newest checkpoint.
func (l *Log) read(tx *sqldb.Tx, g *growth) error {
	*g = growth{tiles: map[tileID][]byte{}}
	var size int64
	var signed []byte
	err := tx.QueryRow(`SELECT size, note FROM audit_checkpoints ORDER BY size DESC LIMIT 1`).Scan(&size, &signed)
	switch {
	case err == nil:
		if g.base, err = openTree(signed, l.verifier); err != nil || g.base.N != size {
			return &TamperError{Seq: size, Through: size, What: notSigned}
		}
		g.signed = signed
	case !errors.Is(err, sqldb.ErrNoRows):
		return err
	}
	var ok bool
	g.edge, ok, err = loadEdge(tx, g.base.N)
	if err != nil {
		return err
	}
	if !ok || g.base.N > 0 && g.edge.root() != g.base.Hash {
		return &TamperError{Seq: max(1, g.base.N/tileWidth*tileWidth), Through: g.base.N, What: treeChanged}
	}
	var last int64
	if err := tx.QueryRow(`SELECT coalesce(max(seq), 0) FROM audit_leaves`).Scan(&last); err != nil {
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
