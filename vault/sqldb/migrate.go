package sqldb

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// applicationID marks a database file as coatcheck's ("coat" in ASCII); file(1)
// and [Open] recognise it.
const applicationID = 0x636f6174

// Migration is one step of the schema. Its statements run in one transaction
// with all other steps that are new. The position of a Migration in the list
// is its number; a released one is never changed, moved or removed.
type Migration struct {
	Name string // "vault/1"; for messages
	SQL  []string
}

// migrate brings the database to version len(migrations), kept in
// user_version. Reading the version needs no write lock, so a start on an
// up-to-date database waits for nobody. A file of somebody else is not touched,
// and nothing is laid beside it.
func (db *DB) migrate(ctx context.Context, path string, migrations []Migration) error {
	c := db.writer
	version, err := readVersion(c, len(migrations))
	if err != nil {
		return err
	}
	// SQLite follows links too, before it names the log.
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return mapError(err)
	}
	if db.turn, err = openTurn(path); err != nil {
		return err
	}
	if version == len(migrations) {
		return useLog(c)
	}
	if err := db.turn.take(ctx, time.Now().Add(db.busy)); err != nil {
		return err
	}
	err = migrateInTurn(c, migrations)
	return errors.Join(err, db.turn.release())
}

func migrateInTurn(c *conn, migrations []Migration) error {
	if err := useLog(c); err != nil {
		return err
	}
	if err := c.begin("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := migrateInTx(c, migrations)
	if err == nil {
		_, err = c.exec("COMMIT")
	}
	if err != nil {
		c.rollback()
	}
	return err
}

func migrateInTx(c *conn, migrations []Migration) error {
	version, err := readVersion(c, len(migrations)) // again: another process may have been faster
	if err != nil {
		return err
	}
	for _, m := range migrations[version:] {
		for _, statement := range m.SQL {
			if _, err := c.exec(sqlite.rewrite(statement)); err != nil {
				return fmt.Errorf("migration %s: %w", m.Name, err)
			}
		}
	}
	if _, err := c.exec("PRAGMA application_id=" + strconv.Itoa(applicationID)); err != nil {
		return err
	}
	_, err = c.exec("PRAGMA user_version=" + strconv.Itoa(len(migrations)))
	return err
}

func readVersion(c *conn, known int) (int, error) {
	tx := &Tx{c: c}
	var version, id, tables int
	if err := tx.QueryRow("SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema)").
		Scan(&version, &id, &tables); err != nil {
		return 0, err
	}
	switch {
	case id != applicationID && (version != 0 || tables != 0):
		return 0, vault.ErrForeign
	case version < 0:
		return 0, fmt.Errorf("%w: its schema has number %d", vault.ErrCorrupt, version)
	case version > known:
		return 0, fmt.Errorf("%w: it has schema %d, this program knows %d", vault.ErrNewer, version, known)
	default:
		return version, nil
	}
}

// useLog switches the file to the write-ahead log, where it stays.
func useLog(c *conn) error {
	var mode string
	if err := (&Tx{c: c}).QueryRow("PRAGMA journal_mode=WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return errors.New("the database cannot use a write-ahead log here")
	}
	return nil
}
