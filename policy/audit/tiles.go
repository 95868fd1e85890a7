package audit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Export hands the log as its newest checkpoint covers it to put, as the files
// of C2SP tlog-tiles, and returns how many records these are:
//
//	checkpoint                the signed note
//	tile/LEVEL/N[.p/W]        hashes, 32 bytes each; 256 of them, or W at the edge
//	tile/entries/N[.p/W]      the records under a tile of level 0, each after its
//	                          length in two bytes, big-endian
//
// N is written in groups of three digits, all but the last after an x and a
// slash: 1234067 is x001/x234/067. A name uses slashes; data is put's until it
// returns. What is exported is not verified: that is for whoever reads it, with
// the log's public key. Records that no checkpoint covers yet are left out.
//
// It reads one snapshot, and holds it until put has had everything. Errors:
// [ErrUnsealed] for a log that was never signed, *[TamperError] where records
// or hashes are missing, put's.
func (l *Log) Export(ctx context.Context, db *sqldb.DB, put func(name string, data []byte) error) (records int64, err error) {
	if err := ready(l.verifier); err != nil && !errors.Is(err, ErrNoKey) {
		return 0, err
	}
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		tree, signed, err := l.newest(tx)
		if err != nil {
			return err
		}
		if tree.N == 0 {
			return ErrUnsealed
		}
		records = tree.N
		x := exporter{ctx: ctx, tx: tx, put: put}
		x.each(tree.N, "entries", x.bundle)
		for level, entries := 0, tree.N; entries > 0; level, entries = level+1, entries>>tileHeight {
			x.each(entries, fmt.Sprint(level), func(n int64, width int) ([]byte, error) { return x.tile(level, n, width) })
		}
		if x.err != nil {
			return x.err
		}
		return put("checkpoint", signed) // last: who sees it finds the rest
	})
	if err != nil {
		return 0, err
	}
	return records, nil
}

type exporter struct {
	ctx context.Context
	tx  *sqldb.Tx
	put func(string, []byte) error
	err error // the first one; nothing follows it
}

// each puts the files that hold so many entries, 256 to a file.
func (x *exporter) each(entries int64, folder string, content func(n int64, width int) ([]byte, error)) {
	for n := int64(0); n*tileWidth < entries && x.err == nil; n++ {
		if x.err = x.ctx.Err(); x.err != nil {
			return
		}
		width := int(min(tileWidth, entries-n*tileWidth))
		name := "tile/" + folder + "/" + tileName(n)
		if width < tileWidth {
			name += fmt.Sprintf(".p/%d", width)
		}
		var data []byte
		if data, x.err = content(n, width); x.err == nil {
			x.err = x.put(name, data)
		}
	}
}

// tileName writes the number of a tile.
func tileName(n int64) string {
	name := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		name = fmt.Sprintf("x%03d/", n%1000) + name
	}
	return name
}

// tile returns the first width hashes of a stored tile, which may have grown
// since the checkpoint.
func (x *exporter) tile(level int, n int64, width int) ([]byte, error) {
	hashes, err := loadTile(x.tx, tileID{level, n})
	if err != nil {
		return nil, err
	}
	if len(hashes) < width*tlog.HashSize {
		span := int64(1) << (tileHeight * level)
		return nil, &TamperError{Seq: n*tileWidth*span + 1, Through: (n*tileWidth + int64(width)) * span, What: treeChanged}
	}
	return hashes[:width*tlog.HashSize], nil
}

// bundle returns the records under a tile of level 0.
func (x *exporter) bundle(n int64, width int) ([]byte, error) {
	var data []byte
	next := n*tileWidth + 1
	err := x.tx.Query(`SELECT seq, leaf FROM audit_leaves WHERE seq >= ? AND seq < ? ORDER BY seq`, []any{next, next + int64(width)},
		func(scan func(...any) error) error {
			var seq int64
			var leaf []byte
			if err := scan(&seq, &leaf); err != nil {
				return err
			}
			if seq != next {
				return &TamperError{Seq: next, Through: next, What: missing}
			}
			next++
			if len(leaf) > math.MaxUint16 { // no leaf of ours is: see [MaxFieldBytes]
				return &TamperError{Seq: seq, Through: seq, What: changed}
			}
			data = append(binary.BigEndian.AppendUint16(data, uint16(len(leaf))), leaf...) //nolint:gosec // bounded just above
			return nil
		})
	if err == nil && next != n*tileWidth+1+int64(width) {
		err = &TamperError{Seq: next, Through: next, What: missing}
	}
	return data, err
}
