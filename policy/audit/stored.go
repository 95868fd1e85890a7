package audit

import (
	"bytes"

	"golang.org/x/mod/sumdb/tlog"
)

// storedTile is one tile as the database has it.
type storedTile struct {
	tile   int64
	hashes []byte
}

// compare holds an entry of the recomputed tree against the stored one and
// notes the first difference.
func (v *verification) compare(level int, index int64, h tlog.Hash) error {
	stored, err := v.stored(level, index)
	if err != nil {
		return err
	}
	span := int64(1) << (tileHeight * level) // records under the entry
	sealed := index < v.report.Sealed/span
	equal := bytes.Equal(stored, h[:])
	if equal && sealed || stored == nil && !sealed || v.doubt != nil {
		return nil
	}
	found := &finding{Seq: max(v.proven, index*span) + 1, Through: (index + 1) * span, What: changed}
	switch {
	case equal:
		if v.removed == nil {
			found.What = unsealed
			v.removed = found
		}
		return nil
	case stored == nil: // which record of the tile it was, nobody knows any more
		found.Through, found.What = min((index/tileWidth+1)*tileWidth*span, v.report.Sealed), rewritten
	case found.Seq < found.Through:
		found.What = rewritten
	}
	v.doubt = found
	return nil
}

// stored returns a hash of the stored tree, nil when it is not there.
func (v *verification) stored(level int, index int64) ([]byte, error) {
	current, ok := v.tiles[level]
	if tile := index / tileWidth; !ok || current.tile != tile {
		hashes, err := loadTile(v.tx, tileID{level, tile})
		if err != nil {
			return nil, err
		}
		current = storedTile{tile: tile, hashes: hashes}
		v.tiles[level] = current
	}
	at := int(index%tileWidth) * tlog.HashSize
	if at+tlog.HashSize > len(current.hashes) {
		return nil, nil
	}
	return current.hashes[at : at+tlog.HashSize], nil
}

// mark is a checkpoint in the database.
type mark struct {
	size int64
	note []byte
}

// checkpoints returns those over more than after and at most upTo records.
func (v *verification) checkpoints(after, upTo int64) ([]mark, error) {
	var marks []mark
	err := v.tx.Query(`SELECT size, note FROM audit_checkpoints WHERE size > ? AND size <= ? ORDER BY size`, []any{after, upTo},
		func(scan func(...any) error) error {
			var m mark
			if err := scan(&m.size, &m.note); err != nil {
				return err
			}
			marks = append(marks, m)
			return nil
		})
	return marks, err
}
