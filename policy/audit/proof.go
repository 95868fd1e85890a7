package audit

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// The errors of a proof.
var (
	// ErrNoRecord: the log has no record of that number.
	ErrNoRecord = errors.New("no such record in the log")
	// ErrUnsealed: no signed checkpoint covers that record yet. One follows
	// within seconds.
	ErrUnsealed = errors.New("not yet covered by a signed checkpoint")
	// ErrProof: the text is not a proof in the form of [Proof.Marshal].
	ErrProof = errors.New("not a proof of a record")
	// ErrNotProven: the proof does not hold: record, path and checkpoint do not
	// belong together, or another key signed. Nothing in it is to be believed.
	ErrNotProven = errors.New("the proof does not hold")
)

// Proof shows that one record is in the log that a signed checkpoint covers. Who
// has the log's public key needs nothing else to check it.
type Proof struct {
	Index      int64  // of the leaf, from 0: the record's number less 1
	Leaf       []byte // as [Encode] wrote it
	Hashes     tlog.RecordProof
	Checkpoint []byte // signed note
}

// Prove returns the proof that record seq is in the newest checkpoint. What it
// returns has been checked. Errors: [ErrNoRecord], [ErrUnsealed], *[TamperError]
// when record, stored tree and checkpoint do not belong together.
func (l *Log) Prove(ctx context.Context, db *sqldb.DB, seq int64) (p Proof, err error) {
	if err := ready(l.verifier); err != nil && !errors.Is(err, ErrNoKey) {
		return Proof{}, err
	}
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		p, err = l.proofOf(tx, seq)
		return err
	})
	if err != nil {
		return Proof{}, err
	}
	return p, nil
}

func (l *Log) proofOf(tx *sqldb.Tx, seq int64) (Proof, error) {
	p := Proof{Index: seq - 1}
	err := tx.QueryRow(`SELECT leaf FROM audit_leaves WHERE seq = ?`, seq).Scan(&p.Leaf)
	if errors.Is(err, sqldb.ErrNoRows) {
		return Proof{}, ErrNoRecord
	}
	if err != nil {
		return Proof{}, err
	}
	tree, signed, err := l.newest(tx)
	if err != nil {
		return Proof{}, err
	}
	if tree.N < seq {
		return Proof{}, ErrUnsealed
	}
	p.Checkpoint = signed
	tiles := &tileReader{tx: tx}
	p.Hashes, err = tlog.ProveRecord(tree.N, p.Index, tlog.TileHashReader(tree, tiles))
	switch {
	case tiles.err != nil:
		return Proof{}, tiles.err
	case err != nil: // the tiles do not give the signed root
		return Proof{}, &TamperError{Seq: 1, Through: tree.N, What: treeChanged}
	case tlog.CheckRecord(p.Hashes, tree.N, tree.Hash, p.Index, tlog.RecordHash(p.Leaf)) != nil:
		return Proof{}, &TamperError{Seq: seq, Through: seq, What: changed}
	}
	return p, nil
}

// tileReader is a [tlog.TileReader] of the stored tree.
type tileReader struct {
	tx  *sqldb.Tx
	err error // of the database
}

// Height implements [tlog.TileReader].
func (*tileReader) Height() int { return tileHeight }

// SaveTiles implements [tlog.TileReader].
func (*tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadTiles implements [tlog.TileReader]. A stored tile may have grown since the
// checkpoint; its beginning is the tile of that time.
func (r *tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	for i, t := range tiles {
		hashes, err := loadTile(r.tx, tileID{t.L, t.N})
		if err != nil {
			r.err = err
			return nil, err
		}
		if len(hashes) < t.W*tlog.HashSize {
			return nil, errors.New("a stored tile is too short")
		}
		out[i] = hashes[:t.W*tlog.HashSize]
	}
	return out, nil
}

// proofHeader is the first line of a proof (C2SP tlog-proof).
const proofHeader = "c2sp.org/tlog-proof@v1\n"

// Marshal writes the proof in the form of C2SP tlog-proof, with the leaf as its
// extra data:
//
//	c2sp.org/tlog-proof@v1
//	extra LEAF       base64 of the leaf, the bytes that are hashed
//	index INDEX      decimal, from 0
//	HASH             base64, any number of lines, the leaf's neighbour first
//	                 (an empty line)
//	CHECKPOINT       the signed note to its end
//
// A tool that knows the format and the log's public key checks it with the
// record hash SHA-256(0x00 ‖ LEAF) of RFC 6962.
func (p Proof) Marshal() []byte {
	var b bytes.Buffer
	b.WriteString(proofHeader)
	b.WriteString("extra " + base64.StdEncoding.EncodeToString(p.Leaf) + "\n")
	b.WriteString("index " + strconv.FormatInt(p.Index, 10) + "\n")
	for _, h := range p.Hashes {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	b.WriteByte('\n')
	b.Write(p.Checkpoint)
	return b.Bytes()
}

// ParseProof reads what [Proof.Marshal] writes, byte for byte. Nothing of it is
// proven before [Proof.Check]. The error is [ErrProof].
func ParseProof(text []byte) (Proof, error) {
	head, checkpoint, ok := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(strings.TrimPrefix(string(head), proofHeader), "\n")
	if !ok || !bytes.HasPrefix(text, []byte(proofHeader)) || len(lines) < 2 {
		return Proof{}, fmt.Errorf("%w: it does not begin as one", ErrProof)
	}
	extra, ok := strings.CutPrefix(lines[0], "extra ")
	leaf, err := base64.StdEncoding.Strict().DecodeString(extra)
	if !ok || err != nil {
		return Proof{}, fmt.Errorf("%w: the record is not in it", ErrProof)
	}
	p := Proof{Leaf: leaf, Checkpoint: checkpoint}
	number, ok := strings.CutPrefix(lines[1], "index ")
	if p.Index, err = strconv.ParseInt(number, 10, 64); !ok || err != nil || p.Index < 0 {
		return Proof{}, fmt.Errorf("%w: it has no index", ErrProof)
	}
	for _, line := range lines[2:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return Proof{}, fmt.Errorf("%w: a line is not a hash", ErrProof)
		}
		p.Hashes = append(p.Hashes, h)
	}
	if !bytes.Equal(p.Marshal(), text) || !strictSignatures(checkpoint) {
		return Proof{}, fmt.Errorf("%w: not in canonical form", ErrProof)
	}
	return p, nil
}

// strictSignatures reports that each signature of a note is spelt in the one
// way that base64 of its bytes has; note.Open takes others too.
func strictSignatures(signed []byte) bool {
	for line := range strings.Lines(string(signed)) {
		signature, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "— ")
		if !ok {
			continue
		}
		text := signature[strings.LastIndexByte(signature, ' ')+1:]
		plain, err := base64.StdEncoding.DecodeString(text)
		if err != nil || base64.StdEncoding.EncodeToString(plain) != text {
			return false
		}
	}
	return true
}

// Check verifies the proof with the log's public key alone, and returns the
// record and how many records its checkpoint covers. Errors: [ErrNotProven],
// and those of a key that cannot be loaded.
func (p Proof) Check(verifier note.Verifier) (r Record, size int64, err error) {
	if err := ready(verifier); err != nil {
		return Record{}, 0, err
	}
	tree, err := openTree(p.Checkpoint, verifier)
	if err != nil {
		return Record{}, 0, fmt.Errorf("%w: its checkpoint is not signed by this key", ErrNotProven)
	}
	if p.Index >= tree.N || tlog.CheckRecord(p.Hashes, tree.N, tree.Hash, p.Index, tlog.RecordHash(p.Leaf)) != nil {
		return Record{}, 0, fmt.Errorf("%w: its record is not where it says in the signed log", ErrNotProven)
	}
	e, err := Decode(p.Leaf)
	if err != nil {
		return Record{}, 0, fmt.Errorf("%w: %v", ErrNotProven, err)
	}
	return Record{Seq: p.Index + 1, Entry: e}, tree.N, nil
}
