package audit

import (
	"crypto/rand"

	"golang.org/x/mod/sumdb/note"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Migrations creates the tables of the log:
//
//	audit_leaves       the records; leaf is what [Encode] returns
//	audit_tiles        hashes of the tree, 256 to a row (see tree.go)
//	audit_checkpoints  signed notes, the newest of every 256 records
//	audit_keys         the signing key, sealed (see [OpenKey])
func Migrations() []sqldb.Migration {
	return []sqldb.Migration{
		{Name: "audit/1", SQL: []string{
			`CREATE TABLE audit_leaves (seq BIGINT NOT NULL PRIMARY KEY, leaf TEXT NOT NULL)`,
			`CREATE TABLE audit_tiles (level BIGINT NOT NULL, tile BIGINT NOT NULL, hashes {blob} NOT NULL, PRIMARY KEY (level, tile))`,
			`CREATE TABLE audit_checkpoints (size BIGINT NOT NULL PRIMARY KEY, note TEXT NOT NULL)`,
			`CREATE TABLE audit_keys (origin TEXT NOT NULL PRIMARY KEY, sealed {blob} NOT NULL)`,
		}},
		// One tree in place of two: half the pages to write for each record.
		{Name: "audit/2", SQL: []string{
			`CREATE TABLE audit_leaves_by_seq (seq {key} NOT NULL PRIMARY KEY, leaf TEXT NOT NULL)`,
			`INSERT INTO audit_leaves_by_seq (seq, leaf) SELECT seq, leaf FROM audit_leaves ORDER BY seq`,
			`DROP TABLE audit_leaves`,
			`ALTER TABLE audit_leaves_by_seq RENAME TO audit_leaves`,
		}},
	}
}

// Log appends records and seals them. It is safe for concurrent use, also by
// several processes on one database.
type Log struct {
	signer   note.Signer
	verifier note.Verifier
}

// New returns a Log whose checkpoints signer signs and verifier, its public
// half, checks; the signer's name is the log's origin.
func New(signer note.Signer, verifier note.Verifier) *Log {
	return &Log{signer: signer, verifier: verifier}
}

// NewKey makes the key pair of a log called origin (no spaces, no "+"), in the
// text forms that [note.NewSigner] and [note.NewVerifier] read. skey is a
// secret: seal it; vkey may be published.
func NewKey(origin string) (skey, vkey string, err error) {
	return note.GenerateKey(rand.Reader, origin)
}

// Append records e as a part of tx and returns its number, which counts once
// tx is committed. It reads the last number and inserts one row; one statement
// with RETURNING was measured at twice the cost. Errors: [ErrEntry], and those
// of the database; the caller must then give up the whole transaction.
func (*Log) Append(tx *sqldb.Tx, e Entry) (seq int64, err error) {
	leaf, err := Encode(e)
	if err != nil {
		return 0, err
	}
	// Writers take turns (sqldb), so the next number is one more than the
	// largest there is: no gap after a rollback, and nothing kept in memory
	// longer than a commit.
	if last, ok := tx.Shared()[lastSeq{}].(int64); ok {
		seq = last + 1
	} else if err := tx.QueryRow(`SELECT coalesce(max(seq), 0) + 1 FROM audit_leaves`).Scan(&seq); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(`INSERT INTO audit_leaves (seq, leaf) VALUES (?, ?)`, seq, string(leaf)); err != nil {
		return 0, err
	}
	tx.Shared()[lastSeq{}] = seq
	return seq, nil
}

// lastSeq is the key of the last number in [sqldb.Tx.Shared].
type lastSeq struct{}

// MaxPage is how many records [Log.Tail] and [Log.Last] return at most.
const MaxPage = 1000

// Tail returns up to limit records after number after, oldest first.
// Error: [ErrLeaf].
func (*Log) Tail(tx *sqldb.Tx, after int64, limit int) ([]Record, error) {
	return records(tx, `SELECT seq, leaf FROM audit_leaves WHERE seq > ? ORDER BY seq LIMIT ?`, after, page(limit))
}

// Last returns the newest n records, oldest first. Error: [ErrLeaf].
func (*Log) Last(tx *sqldb.Tx, n int) ([]Record, error) {
	return records(tx, `SELECT seq, leaf FROM (SELECT seq, leaf FROM audit_leaves ORDER BY seq DESC LIMIT ?) AS newest ORDER BY seq`, page(n))
}

func page(limit int) int { return max(0, min(limit, MaxPage)) }

func records(tx *sqldb.Tx, query string, args ...any) ([]Record, error) {
	var found []Record
	err := tx.Query(query, args, func(scan func(...any) error) error {
		var r Record
		var leaf []byte
		if err := scan(&r.Seq, &leaf); err != nil {
			return err
		}
		e, err := Decode(leaf)
		if err != nil {
			return err
		}
		r.Entry = e
		found = append(found, r)
		return nil
	})
	return found, err
}
