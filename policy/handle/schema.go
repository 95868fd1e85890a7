package handle

import (
	"encoding/json"
	"errors"

	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Migrations creates the table of handles. hash is SHA-256 of the text and id
// is made of it; seq orders the handles of one principal; destinations is the
// JSON of []vault.Destination.
//
// mac authenticates what [row.scan] reads, in the order of columns (package
// rowmac). seq stands outside: it only says which handle gives way first when
// its principal has too many, and is renumbered in bulk.
func Migrations() []sqldb.Migration {
	return []sqldb.Migration{
		{Name: "handle/1", SQL: []string{
			`CREATE TABLE handles (
			id           TEXT   NOT NULL PRIMARY KEY,
			hash         {blob} NOT NULL,
			principal    TEXT   NOT NULL,
			seq          BIGINT NOT NULL,
			path         TEXT   NOT NULL,
			version      BIGINT NOT NULL,
			destinations TEXT   NOT NULL,
			shape        TEXT   NOT NULL,
			rule         TEXT   NOT NULL,
			parent       TEXT   NOT NULL,
			created_at   BIGINT NOT NULL,
			expires_at   BIGINT NOT NULL,
			revoked_at   BIGINT NOT NULL,
			max_uses     BIGINT NOT NULL,
			used         BIGINT NOT NULL
		)`,
			`CREATE INDEX handles_ring ON handles (principal, seq)`,
		}},
		{Name: "handle/2", SQL: []string{`ALTER TABLE handles ADD COLUMN mac {blob} NOT NULL DEFAULT x''`}},
		// Two trees in place of three, one of which has the handles of a
		// principal side by side: fewer pages to write for each.
		{Name: "handle/3", SQL: []string{
			`CREATE TABLE handles_by_ring (
			principal    TEXT   NOT NULL,
			seq          BIGINT NOT NULL,
			id           TEXT   NOT NULL,
			hash         {blob} NOT NULL,
			path         TEXT   NOT NULL,
			version      BIGINT NOT NULL,
			destinations TEXT   NOT NULL,
			shape        TEXT   NOT NULL,
			rule         TEXT   NOT NULL,
			parent       TEXT   NOT NULL,
			created_at   BIGINT NOT NULL,
			expires_at   BIGINT NOT NULL,
			revoked_at   BIGINT NOT NULL,
			max_uses     BIGINT NOT NULL,
			used         BIGINT NOT NULL,
			mac          {blob} NOT NULL,
			PRIMARY KEY (principal, seq)
		) {clustered}`,
			`INSERT INTO handles_by_ring (` + columnsThen + `, seq)
			SELECT ` + columnsThen + `, row_number() OVER (PARTITION BY principal ORDER BY seq, created_at) FROM handles`,
			`DROP TABLE handles`,
			`ALTER TABLE handles_by_ring RENAME TO handles`,
			`CREATE UNIQUE INDEX handles_id ON handles (id)`,
		}},
		// One tree: an index on what is random is one more page to write for each
		// handle of a commit. [row.find] does without.
		{Name: "handle/4", SQL: []string{`DROP INDEX handles_id`}},
		{Name: "handle/5", SQL: []string{`ALTER TABLE handles ADD COLUMN tier {text} NOT NULL DEFAULT ''`}},
	}
}

// columnsThen is what a handle had when its table was made anew.
const columnsThen = `id, hash, principal, path, version, destinations, shape, rule, parent, created_at, expires_at, revoked_at, max_uses, used, mac`

// columns is what [row] reads, in its order, and then seq.
const columns = `id, hash, principal, path, version, destinations, shape, rule, parent, created_at, expires_at, revoked_at, max_uses, used, tier, mac`

type row struct {
	Handle
	hash         []byte
	destinations []byte
	created      int64
	expires      int64
	revoked      int64
	mac          []byte
	seq          int64
}

func (r *row) scan(scan func(...any) error) error {
	return scan(&r.ID, &r.hash, &r.Principal, &r.Path, &r.Version, &r.destinations, &r.Shape, &r.Rule, &r.Parent,
		&r.created, &r.expires, &r.revoked, &r.MaxUses, &r.Used, &r.Tier, &r.mac, &r.seq)
}

// fields leaves out a tier that is not there, as rows from before there was one do:
// a row with one more column is another message (package rowmac).
func (r *row) fields() rowmac.Fields {
	f := rowmac.Row("handles").Text(r.ID).Bytes(r.hash).Text(r.Principal).Text(string(r.Path)).Int(int64(r.Version)).
		Text(string(r.destinations)).Text(r.Shape).Text(r.Rule).Text(r.Parent).
		Int(r.created).Int(r.expires).Int(r.revoked).Int(int64(r.MaxUses)).Int(int64(r.Used))
	if r.Tier != "" {
		f = f.Text(string(r.Tier))
	}
	return f
}

// insert writes a new row.
func (s *Store) insert(tx *sqldb.Tx, r *row) error {
	_, err := tx.Exec(`INSERT INTO handles (`+columns+`, seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.hash, r.Principal, string(r.Path), r.Version, string(r.destinations), r.Shape, r.Rule, r.Parent,
		r.created, r.expires, r.revoked, r.MaxUses, r.Used, string(r.Tier), s.rows.Sum(r.fields()), r.seq)
	return err
}

// update writes the two columns of a row that ever change, on the condition
// that nobody has counted a use since it was read.
func (s *Store) update(tx *sqldb.Tx, r *row, used int) error {
	n, err := tx.Exec(`UPDATE handles SET used = ?, revoked_at = ?, mac = ? WHERE principal = ? AND seq = ? AND id = ? AND used = ?`,
		r.Used, r.revoked, s.rows.Sum(r.fields()), r.Principal, r.seq, r.ID, used)
	if err == nil && n != 1 {
		err = rowmac.Damaged("handle", r.ID) // cannot be, within one transaction
	}
	return err
}

// check reports a row that this desk did not write so.
func (s *Store) check(r *row) error {
	if !s.rows.Check(r.fields(), r.mac) {
		return rowmac.Damaged("handle", r.ID)
	}
	return nil
}

// handle completes what was scanned and checked.
func (r *row) handle() (Handle, error) {
	r.CreatedAt, r.ExpiresAt, r.RevokedAt = sqldb.Time(r.created), sqldb.Time(r.expires), sqldb.Time(r.revoked)
	if err := json.Unmarshal(r.destinations, &r.Destinations); err != nil {
		return Handle{ID: r.ID}, rowmac.Damaged("handle", r.ID)
	}
	return r.Handle, nil
}

// rowsOf reads the rows that fit a condition, checked or not. A row that does
// not read has its id and nothing else.
func rowsOf(tx *sqldb.Tx, where string, args ...any) (found []row, err error) {
	err = tx.Query(`SELECT `+columns+`, seq FROM handles WHERE `+where, args, func(scan func(...any) error) error {
		var r row
		err := r.scan(scan)
		if errors.Is(err, vault.ErrCorrupt) {
			r, err = row{Handle: Handle{ID: r.ID}}, nil
		}
		found = append(found, r)
		return err
	})
	return found, err
}
