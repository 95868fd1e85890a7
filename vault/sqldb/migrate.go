package sqldb

import (
	"fmt"
	"strconv"

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
// up-to-date database waits for nobody.
func migrate(c *conn, migrations []Migration) error {
	version, err := readVersion(c)
	if err != nil || version == len(migrations) {
		return err
	}
	if err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer c.rollback() // after a commit there is nothing left to undo
	if version, err = readVersion(c); err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("%w: it has schema %d, this program knows %d", vault.ErrNewer, version, len(migrations))
	}
	for _, m := range migrations[version:] {
		for _, statement := range m.SQL {
			if err := c.exec(sqlite.rewrite(statement)); err != nil {
				return fmt.Errorf("migration %s: %w", m.Name, err)
			}
		}
	}
	for pragma, n := range map[string]int{"application_id": applicationID, "user_version": len(migrations)} {
		if err := c.exec("PRAGMA " + pragma + "=" + strconv.Itoa(n)); err != nil {
			return err
		}
	}
	return c.exec("COMMIT")
}

func readVersion(c *conn) (int, error) {
	tx := &Tx{c: c}
	var version, id, tables int
	if err := tx.QueryRow("SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema)").
		Scan(&version, &id, &tables); err != nil {
		return 0, err
	}
	if id != applicationID && (version != 0 || tables != 0) {
		return 0, vault.ErrForeign
	}
	return version, nil
}
