package audit

import (
	"crypto/sha256"
	"errors"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// The tree is that of RFC 6962 over the bytes of the leaves. Its hashes are
// stored in tiles of height 8, as C2SP tlog-tiles defines them: entry i of
// level 0 is the hash of leaf i; entry i of level l+1 is the root over the 256
// entries of tile i of level l. A tile is a row of audit_tiles with the 32-byte
// hashes of entries 256·tile and up, in order; the last one of a level may hold
// fewer than 256.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// tileID names a tile.
type tileID struct {
	level int
	tile  int64
}

// edge is a tree without its past: for each level the entries of the tile that
// is not full yet, which is all that growing and the root need.
type edge struct {
	size   int64
	levels [][]tlog.Hash
	buf    []tlog.Hash
}

// add appends the hash of one leaf. It calls each for every entry that the tree
// gains by it, from level 0 up.
func (e *edge) add(h tlog.Hash, each func(level int, index int64, h tlog.Hash)) {
	index := e.size
	e.size++
	for level := 0; ; level++ {
		each(level, index, h)
		if level == len(e.levels) {
			e.levels = append(e.levels, make([]tlog.Hash, 0, tileWidth))
		}
		e.levels[level] = append(e.levels[level], h)
		if len(e.levels[level]) < tileWidth {
			return
		}
		h = merkle(e.levels[level])
		e.levels[level] = e.levels[level][:0]
		index >>= tileHeight
	}
}

// root is the hash of the tree.
func (e *edge) root() tlog.Hash {
	root := tlog.Hash(sha256.Sum256(nil)) // RFC 6962: the empty tree
	below := false
	for _, entries := range e.levels {
		e.buf = append(e.buf[:0], entries...)
		if below {
			e.buf = append(e.buf, root)
		}
		if len(e.buf) > 0 {
			root, below = merkle(e.buf), true
		}
	}
	return root
}

// merkle returns the root over equally high subtrees, of which the last may be
// lower, and overwrites them. Taking pairs from the left and carrying a single
// last one up gives the tree of RFC 6962.
func merkle(h []tlog.Hash) tlog.Hash {
	for len(h) > 1 {
		n := 0
		for i := 0; i+1 < len(h); i += 2 {
			h[n] = tlog.NodeHash(h[i], h[i+1])
			n++
		}
		if len(h)%2 == 1 {
			h[n] = h[len(h)-1]
			n++
		}
		h = h[:n]
	}
	return h[0]
}

// loadEdge reads the edge of the tree of that size from its tiles. ok is false
// when they are not there in full.
func loadEdge(tx *sqldb.Tx, size int64) (e edge, ok bool, err error) {
	e.size = size
	for level, entries := 0, size; entries > 0; level, entries = level+1, entries>>tileHeight {
		list := make([]tlog.Hash, 0, tileWidth)
		if width := int(entries % tileWidth); width > 0 {
			hashes, err := loadTile(tx, tileID{level, entries / tileWidth})
			if err != nil || len(hashes) != width*tlog.HashSize {
				return e, false, err
			}
			for i := range width {
				list = append(list, tlog.Hash(hashes[i*tlog.HashSize:]))
			}
		}
		e.levels = append(e.levels, list)
	}
	return e, true, nil
}

// loadTile returns the bytes of a tile, none when it is not there.
func loadTile(tx *sqldb.Tx, id tileID) (hashes []byte, err error) {
	err = tx.QueryRow(`SELECT hashes FROM audit_tiles WHERE level = ? AND tile = ?`, id.level, id.tile).Scan(&hashes)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = nil
	}
	return hashes, err
}
