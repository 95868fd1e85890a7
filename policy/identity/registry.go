package identity

import (
	"errors"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// registry is a table of those who have a name and, most of them, a key.
type registry struct {
	rows            *rowmac.Key
	table, noun     string
	prefix          string // of the keys made for it
	columns         string // what [entry.dest] takes
	write           func(tx *sqldb.Tx, e *entry, mac []byte) error
	exists, unknown error
}

const agentColumns = `name, key_hash, created_at, revoked_at, description, namespaces, scopes, registrar, mac`

func agentsOf(rows *rowmac.Key) registry {
	return registry{
		rows: rows, table: "agents", noun: "agent", prefix: KeyPrefix, exists: ErrAgentExists, unknown: ErrUnknownAgent,
		columns: agentColumns,
		write: func(tx *sqldb.Tx, e *entry, mac []byte) error {
			_, err := tx.Exec(`INSERT INTO agents (`+agentColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT (name) DO UPDATE SET key_hash = excluded.key_hash, created_at = excluded.created_at, revoked_at = excluded.revoked_at,
					description = excluded.description, namespaces = excluded.namespaces, scopes = excluded.scopes,
					registrar = excluded.registrar, mac = excluded.mac`,
				e.name, e.hash, e.created, e.revoked, e.description, e.namespaces, e.scopes, e.registrar, mac)
			return err
		},
	}
}

// entry is a row of a registry.
type entry struct {
	name                            string
	hash                            []byte // SHA-256 of the key; nil: it has none
	created, revoked                int64
	description, namespaces, scopes string
	registrar                       string // id of the admin who registered it; "": the owner
	mac                             []byte
}

// dest is where the registry's columns go, in their order.
func (e *entry) dest() []any {
	return []any{&e.name, &e.hash, &e.created, &e.revoked, &e.description, &e.namespaces, &e.scopes, &e.registrar, &e.mac}
}

// fields is what the MAC of an entry is of. The columns after the first four came
// later and stand in it only when they say something, so that rows from before keep
// their MAC: the three of what limits it together, and the registrar. Rows of four,
// five, seven and eight columns have no message in common (package rowmac), and those
// that say nothing are never written: who empties a column leaves a MAC of more
// columns than are asked for, and who fills one a MAC of fewer.
func (g *registry) fields(e *entry) rowmac.Fields {
	f := rowmac.Row(g.table).Text(e.name).Bytes(e.hash).Int(e.created).Int(e.revoked)
	if e.description != "" || e.namespaces != "" || e.scopes != "" {
		f = f.Text(e.description).Text(e.namespaces).Text(e.scopes)
	}
	if e.registrar != "" {
		f = f.Text(e.registrar)
	}
	return f
}

func (g *registry) check(e *entry) error {
	if !g.rows.Check(g.fields(e), e.mac) {
		return rowmac.Damaged(g.noun, e.name)
	}
	return nil
}

// bounds are what an entry says of its own.
func (e *entry) bounds() Bounds {
	return Bounds{Namespaces: Namespaces{e.namespaces}, Scopes: Scopes{e.scopes}}
}

// load returns the entry of a name. Errors: [sqldb.ErrNoRows], [vault.ErrCorrupt].
func (g *registry) load(tx *sqldb.Tx, name string) (e entry, err error) {
	if err = tx.QueryRow(`SELECT `+g.columns+` FROM `+g.table+` WHERE name = ?`, name).Scan(e.dest()...); err == nil {
		err = g.check(&e)
	}
	return e, err
}

// live returns the entry of a name that is not revoked.
func (g *registry) live(tx *sqldb.Tx, name string) (entry, error) {
	key := entryInTx{g.table, name}
	if e, ok := known[entry](tx, key); ok {
		return e, nil
	}
	e, err := g.load(tx, name)
	if errors.Is(err, sqldb.ErrNoRows) || err == nil && e.revoked != 0 {
		err = ErrUnauthenticated
	}
	if err == nil {
		tx.Shared()[key] = e
	}
	return e, err
}

// store writes an entry, in place of the one its name has.
func (g *registry) store(tx *sqldb.Tx, e *entry) error {
	changed(tx)
	return g.write(tx, e, g.rows.Sum(g.fields(e)))
}

// add gives an entry its time, and a key if it is to have one, and writes it.
func (g *registry) add(tx *sqldb.Tx, e entry, keyed bool, now time.Time) (key string, err error) {
	if err := checkName(e.name); err != nil {
		return "", err
	}
	e.created = sqldb.Micros(now)
	switch old, err := g.load(tx, e.name); {
	case errors.Is(err, sqldb.ErrNoRows):
	case err != nil:
		return "", err
	case old.revoked == 0:
		return "", g.exists
	default:
		// A revoked name starts anew; created_at rises even within one
		// microsecond, so that principals of the old registration stay shut out.
		e.created = max(e.created, old.created+1)
	}
	if keyed {
		if key, err = mint.New(g.prefix); err != nil {
			return "", err
		}
		sum := mint.Hash(key)
		e.hash = sum[:]
	}
	return key, g.store(tx, &e)
}

func checkName(name string) error {
	if name == "" || len(name) > 64 {
		return &vault.InvalidError{Field: "name", Rule: "is not 1 to 64 characters long"}
	}
	for i := range len(name) {
		if c := name[i]; !mint.IsDigit(c) && c != '_' && c != '-' {
			return &vault.InvalidError{Field: "name", Rule: "has a character outside A-Z a-z 0-9 _ and -"}
		}
	}
	if strings.HasPrefix(name, KeyPrefix) || strings.HasPrefix(name, AdminKeyPrefix) || strings.HasPrefix(name, TokenPrefix) {
		return &vault.InvalidError{Field: "name", Rule: "is a key or a token"}
	}
	if strings.EqualFold(name, Local) || strings.EqualFold(name, ownerName) {
		return &vault.InvalidError{Field: "name", Rule: "is reserved"}
	}
	return nil
}

// IsName reports whether an agent or an admin may be called that, so that it can
// stand on record: a key that was taken for a name cannot.
func IsName(text string) bool { return checkName(text) == nil }

// revoke ends an entry. A damaged one is replaced by a revoked one.
func (g *registry) revoke(tx *sqldb.Tx, name string, now time.Time) error {
	e, err := g.load(tx, name)
	switch {
	case errors.Is(err, vault.ErrCorrupt):
		e = entry{name: name, created: sqldb.Micros(now)}
	case errors.Is(err, sqldb.ErrNoRows), err == nil && e.revoked != 0:
		return g.unknown
	case err != nil:
		return err
	}
	e.revoked = sqldb.Micros(now)
	return g.store(tx, &e)
}

// list returns every entry by name, revoked and damaged ones included.
func (g *registry) list(tx *sqldb.Tx) ([]Registration, error) {
	var all []Registration
	err := tx.Query(`SELECT `+g.columns+` FROM `+g.table+` ORDER BY name`, nil, func(scan func(...any) error) error {
		var e entry
		err := scan(e.dest()...)
		if err != nil && !errors.Is(err, vault.ErrCorrupt) {
			return err
		}
		r := Registration{Name: e.name, Damaged: true}
		if err == nil && g.check(&e) == nil {
			r = g.registration(&e)
		}
		all = append(all, r)
		return nil
	})
	return all, err
}

func (g *registry) registration(e *entry) Registration {
	r := Registration{
		Name: e.name, Stdio: e.hash == nil, Description: e.description, Namespaces: Namespaces{e.namespaces}, Scopes: Scopes{e.scopes},
		Registrar: e.registrar, CreatedAt: sqldb.Time(e.created), RevokedAt: sqldb.Time(e.revoked),
	}
	if !r.Stdio {
		r.KeyHint = g.prefix + "…"
	}
	return r
}
