package audit

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Report is what [Verify] found in a log without fault.
type Report struct {
	Records  int64 // in the log
	Sealed   int64 // of them, covered by the newest checkpoint in the database
	Unsealed int64 // after it: nothing yet proves that these are unchanged
	Anchored int64 // covered by the largest anchor; 0 without one
}

// TamperError says that the log is not what was sealed, and where the first
// difference lies. It ends with what is known: from Seq on, at the latest at
// Through.
type TamperError struct {
	Seq     int64  // first record that may be meant; 0: the log as a whole
	Through int64  // last one; equal to Seq when the place is exact
	What    string // one of a few fixed sentences
}

// What a [TamperError] says.
const (
	missing     = "missing"
	changed     = "not what was sealed: edited, removed, inserted or moved"
	rewritten   = "not all as their checkpoint sealed them"
	notSigned   = "the checkpoint here is not signed by this log's key"
	unsealed    = "sealed once, and the checkpoint was removed"
	treeChanged = "as sealed, but the stored tree was changed"
	shortened   = "known to the anchor and not to the log: it was cut, or an older copy was put back"
	notAnchor   = "the anchor, the checkpoint kept outside the database, is not signed by this log's key"
	keyGone     = "it was signed, and its signing key is gone"
	forked      = "not all of the anchor's history: the log was forked, or rewritten and sealed anew"
)

// Error names the records and what is wrong.
func (e *TamperError) Error() string {
	switch {
	case e.Seq == 0:
		return "audit log: " + e.What
	case e.Through <= e.Seq:
		return fmt.Sprintf("audit log, record %d: %s", e.Seq, e.told())
	default:
		return fmt.Sprintf("audit log, records %d to %d: %s", e.Seq, e.Through, e.told())
	}
}

func (e *TamperError) told() string {
	if e.What != shortened {
		return e.What
	}
	return fmt.Sprintf("the anchor covers %d records and the log ends at %d: it was cut, or an older copy was put back", e.Through, e.Seq-1)
}

// AgainstAnchor reports that the log differs from the anchor: only an anchor
// that was given up makes such a log acceptable again.
func (e *TamperError) AgainstAnchor() bool {
	return e.What == shortened || e.What == forked || e.What == notAnchor || e.What == keyGone
}

// RowKeyGone is what a [TamperError] says of a log that knows of a row key that
// is no longer there.
const RowKeyGone = "its rows were authenticated, and the key of that is gone: an older copy of it was put back"

// verifyPage is how many records are read at a time.
const verifyPage = 4096

// Verify recomputes the whole tree from the records and compares it with the
// stored tree, with every checkpoint in the database and with anchor: one or
// more checkpoints from [Log.Checkpoint], one after another, that were kept
// outside the database; nil when there are none. It reads one snapshot.
//
// The first record in doubt is named exactly as long as the stored tree still
// holds its hash; where that was rewritten too, the checkpoints around it are.
// Errors: *[TamperError]; [ErrCheckpoint] when the anchor is not this log's; the
// database's. It changes nothing.
func Verify(ctx context.Context, db *sqldb.DB, verifier note.Verifier, anchor []byte) (Report, error) {
	if err := ready(verifier); errors.Is(err, ErrNoKey) && anchor != nil {
		return Report{}, &TamperError{What: keyGone}
	} else if err != nil && !errors.Is(err, ErrNoKey) { // without a key no checkpoint holds
		return Report{}, err
	}
	anchors, err := openAnchors(anchor, verifier)
	if err != nil {
		return Report{}, err
	}
	v := verification{verifier: verifier, anchors: anchors, tiles: map[int]storedTile{}}
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		v.tx = tx
		return v.run(ctx)
	})
	if err != nil {
		return Report{}, err
	}
	return v.report, nil
}

// finding is what may become the error, once the rest of the log is known.
type finding TamperError

// verification walks the log once, from the first record to the last.
type verification struct {
	tx       *sqldb.Tx
	verifier note.Verifier
	anchors  []tlog.Tree // still ahead, by size
	report   Report

	edge    edge
	tiles   map[int]storedTile // the current stored tile of each level
	proven  int64              // records up to here are those of some signed checkpoint
	agreed  int64              // records up to here are those of an anchor
	doubt   *finding           // first difference from the stored tree after proven
	damage  *finding           // first such difference where the records turned out to be proven
	removed *finding           // first part of the stored tree that no checkpoint covers
	foreign *finding           // first anchor that differs
}

func (v *verification) run(ctx context.Context) error {
	if err := v.tx.QueryRow(`SELECT coalesce(max(size), 0) FROM audit_checkpoints`).Scan(&v.report.Sealed); err != nil {
		return err
	}
	v.meetAnchors() // those of an empty log
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		hashes, gap, err := v.readPage()
		if err != nil {
			return err
		}
		if err := v.takePage(hashes); err != nil {
			return err
		}
		if gap {
			return v.first(&TamperError{Seq: v.edge.size + 1, Through: v.edge.size + 1, What: missing})
		}
		if len(hashes) < verifyPage {
			return v.finish()
		}
	}
}

// readPage returns the leaf hashes of the next records; gap is true when the
// one after them is not where it should be.
func (v *verification) readPage() (hashes []tlog.Hash, gap bool, err error) {
	hashes = make([]tlog.Hash, 0, verifyPage)
	var seq int64
	var leaf []byte
	take := func(scan func(...any) error) error {
		if err := scan(&seq, &leaf); err != nil {
			return err
		}
		if gap = gap || seq != v.edge.size+int64(len(hashes))+1; !gap {
			hashes = append(hashes, tlog.RecordHash(leaf))
		}
		return nil
	}
	if v.edge.size == 0 { // nothing below the first number escapes
		err = v.tx.Query(`SELECT seq, leaf FROM audit_leaves ORDER BY seq LIMIT ?`, []any{verifyPage}, take)
	} else {
		err = v.tx.Query(`SELECT seq, leaf FROM audit_leaves WHERE seq > ? ORDER BY seq LIMIT ?`, []any{v.edge.size, verifyPage}, take)
	}
	return hashes, gap, err
}

// takePage adds leaf hashes to the tree and compares at each stored hash, at
// each checkpoint and at each anchor.
func (v *verification) takePage(hashes []tlog.Hash) error {
	marks, err := v.checkpoints(v.edge.size, v.edge.size+int64(len(hashes)))
	if err != nil {
		return err
	}
	for _, h := range hashes {
		var failed error
		v.edge.add(h, func(level int, index int64, h tlog.Hash) {
			if err := v.compare(level, index, h); failed == nil {
				failed = err
			}
		})
		if failed != nil {
			return failed
		}
		v.meetAnchors()
		if len(marks) > 0 && marks[0].size == v.edge.size {
			if err := v.meetCheckpoint(marks[0].note); err != nil {
				return err
			}
			marks = marks[1:]
		}
	}
	return nil
}

// meetCheckpoint compares the tree with a checkpoint over the records so far.
func (v *verification) meetCheckpoint(signed []byte) error {
	tree, err := openTree(signed, v.verifier)
	switch {
	case err != nil || tree.N != v.edge.size:
		return v.first(&TamperError{Seq: v.edge.size, Through: v.edge.size, What: notSigned})
	case tree.Hash != v.edge.root():
		return v.first(&TamperError{Seq: v.proven + 1, Through: v.edge.size, What: rewritten})
	}
	v.prove()
	return nil
}

// prove notes that the records so far are those of a signed checkpoint. Where
// the stored tree differed, the tree is wrong.
func (v *verification) prove() {
	if v.damage == nil && v.doubt != nil {
		v.damage = &finding{Seq: v.doubt.Seq, Through: min(v.doubt.Through, v.edge.size), What: treeChanged}
	}
	v.proven, v.doubt = v.edge.size, nil
}

// meetAnchors compares the tree with the anchors over the records so far.
func (v *verification) meetAnchors() {
	for len(v.anchors) > 0 && v.anchors[0].N == v.edge.size {
		tree := v.anchors[0]
		v.anchors = v.anchors[1:]
		switch {
		case tree.Hash == v.edge.root():
			v.prove()
			v.agreed, v.report.Anchored = tree.N, tree.N
		case v.foreign == nil:
			v.foreign = &finding{Seq: v.agreed + 1, Through: tree.N, What: forked}
		}
	}
}

// first returns what was found first: a doubt about an earlier record, or e.
func (v *verification) first(e *TamperError) error {
	if v.doubt != nil && (v.doubt.Seq < e.Seq || e.What == rewritten) {
		return (*TamperError)(v.doubt)
	}
	return e
}

// finish judges what only the end of the log shows.
func (v *verification) finish() error {
	v.report.Records = v.edge.size
	v.report.Unsealed = v.report.Records - v.report.Sealed
	beyond, err := v.stored(0, v.edge.size)
	if err != nil {
		return err
	}
	switch {
	case v.report.Unsealed < 0 || beyond != nil:
		return v.first(&TamperError{Seq: v.edge.size + 1, Through: max(v.edge.size+1, v.report.Sealed), What: missing})
	case v.doubt != nil:
		return (*TamperError)(v.doubt)
	case v.foreign != nil:
		return (*TamperError)(v.foreign)
	case len(v.anchors) > 0:
		return &TamperError{Seq: v.edge.size + 1, Through: v.anchors[len(v.anchors)-1].N, What: shortened}
	case v.removed != nil:
		return (*TamperError)(v.removed)
	case v.damage != nil:
		return (*TamperError)(v.damage)
	default:
		return nil
	}
}
