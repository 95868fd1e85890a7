package overlay

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// errUntold refuses to keep something of a secret that could not be told from the
// next one of its path.
var errUntold = fmt.Errorf("the vault does not say when a secret was made, so that nothing can be kept of it here: %w", vault.ErrUnsupported)

// Migrations returns the schema of this package.
func Migrations() []sqldb.Migration {
	return []sqldb.Migration{
		{Name: "overlay/1", SQL: []string{
			`CREATE TABLE overlay (
			vault        {text} NOT NULL,
			path         {text} NOT NULL,
			made         BIGINT NOT NULL,
			destinations {text} NOT NULL,
			recipe       {text} NOT NULL,
			mac          {blob} NOT NULL,
			PRIMARY KEY (vault, path)
		) {clustered}`,
		}},
	}
}

// row is what is kept of one secret.
type row struct {
	path         string
	made         int64 // when the secret was made, microseconds
	destinations string
	recipe       string
	mac          []byte
}

func (v *Vault) fields(r row) rowmac.Fields {
	return rowmac.Row("overlay").Text(v.name).Text(r.path).Int(r.made).Text(r.destinations).Text(r.recipe)
}

// Complete returns the metadata m of the vault elsewhere with what is kept here of
// that very secret. Errors: [vault.ErrCorrupt] for a row that this desk did not
// write.
func (v *Vault) Complete(tx *sqldb.Tx, m vault.Metadata) (vault.Metadata, error) {
	r := row{path: string(m.Path)}
	err := tx.QueryRow(`SELECT made, destinations, recipe, mac FROM overlay WHERE vault = ? AND path = ?`, v.name, r.path).
		Scan(&r.made, &r.destinations, &r.recipe, &r.mac)
	switch {
	case errors.Is(err, sqldb.ErrNoRows):
		return m, nil
	case err != nil:
		return vault.Metadata{}, err
	case !v.rows.Check(v.fields(r), r.mac):
		return vault.Metadata{}, rowmac.Damaged("what is kept of the secret", r.path)
	case m.CreatedAt.IsZero() || r.made != sqldb.Micros(m.CreatedAt):
		return m, nil // another secret of that path
	}
	m.Generate = vault.Recipe(r.recipe)
	if err := json.Unmarshal([]byte(r.destinations), &m.Destinations); err != nil {
		return vault.Metadata{}, rowmac.Damaged("what is kept of the secret", r.path)
	}
	return m, nil
}

// Keep notes what c says of a secret that its vault has no words for, in the
// transaction that records it, and returns m completed. m is what that vault says
// of the secret after the rest of c. Destinations replace a damaged row. Errors: *[vault.InvalidError],
// [vault.ErrCorrupt]; [vault.ErrUnsupported] for a secret of which it is not known
// when it was made.
func (v *Vault) Keep(tx *sqldb.Tx, m vault.Metadata, c vault.Change) (vault.Metadata, error) {
	whole, err := v.Complete(tx, m)
	switch {
	case errors.Is(err, vault.ErrCorrupt) && c.Destinations != nil: // replaced, with the recipe
	case err != nil || c.Destinations == nil && c.Generate == nil:
		return whole, err
	default:
		m = whole
	}
	if m.CreatedAt.IsZero() && (c.Destinations != nil && len(*c.Destinations) > 0 || c.Generate != nil && *c.Generate != "") {
		return vault.Metadata{}, errUntold
	}
	if m, err = (vault.Change{Destinations: c.Destinations, Generate: c.Generate}).Apply(m, m.UpdatedAt); err != nil {
		return vault.Metadata{}, err
	}
	if len(m.Destinations) == 0 && m.Generate == "" {
		return m, v.Forget(tx, m.Path)
	}
	destinations, err := json.Marshal(m.Destinations)
	if err != nil {
		return vault.Metadata{}, err
	}
	r := row{path: string(m.Path), made: sqldb.Micros(m.CreatedAt), destinations: string(destinations), recipe: string(m.Generate)}
	_, err = tx.Exec(`INSERT INTO overlay (vault, path, made, destinations, recipe, mac) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (vault, path) DO UPDATE SET made = excluded.made, destinations = excluded.destinations, recipe = excluded.recipe, mac = excluded.mac`,
		v.name, r.path, r.made, r.destinations, r.recipe, v.rows.Sum(v.fields(r)))
	return m, err
}

// Forget drops what is kept of the secrets of a path.
func (v *Vault) Forget(tx *sqldb.Tx, p vault.Path) error {
	_, err := tx.Exec(`DELETE FROM overlay WHERE vault = ? AND path = ?`, v.name, string(p))
	return err
}
