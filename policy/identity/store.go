package identity

import (
	"crypto/subtle"
	"errors"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Migrations creates the table of agents. key_hash is SHA-256 of the key, null
// for a stdio agent; mac authenticates the columns before it, in their order
// (package rowmac).
func Migrations() []sqldb.Migration {
	return []sqldb.Migration{
		{Name: "identity/1", SQL: []string{
			`CREATE TABLE agents (
			name       TEXT   NOT NULL PRIMARY KEY,
			key_hash   {blob} UNIQUE,
			created_at BIGINT NOT NULL,
			revoked_at BIGINT NOT NULL
		)`,
		}},
		{Name: "identity/2", SQL: []string{`ALTER TABLE agents ADD COLUMN mac {blob} NOT NULL DEFAULT x''`}},
	}
}

// Store keeps agents in the state database. It is safe for concurrent use.
type Store struct{ rows *rowmac.Key }

// New returns a Store whose rows are authenticated by a key.
func New(rows *rowmac.Key) *Store { return &Store{rows: rows} }

// Add registers an agent and returns its key, which is not stored and cannot
// be shown again; a stdio agent has none. A name is 1 to 64 of [A-Za-z0-9_-].
// Errors: [ErrAgentExists], *[vault.InvalidError] of field "name",
// [vault.ErrCorrupt] when the name has a damaged row, which [Store.Revoke] ends.
func (s *Store) Add(tx *sqldb.Tx, name string, stdio bool, now time.Time) (key string, err error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	row := agentRow{name: name, created: sqldb.Micros(now)}
	if !stdio {
		if key, err = mint.New(KeyPrefix); err != nil {
			return "", err
		}
		sum := mint.Hash(key)
		row.hash = sum[:]
	}
	switch old, err := s.load(tx, name); {
	case errors.Is(err, sqldb.ErrNoRows):
	case err != nil:
		return "", err
	case old.revoked == 0:
		return "", ErrAgentExists
	default:
		// A revoked name starts anew; created_at rises even within one
		// microsecond, so that principals of the old registration stay shut out.
		row.created = max(row.created, old.created+1)
	}
	return key, s.store(tx, row)
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
	if strings.EqualFold(name, Local) || strings.EqualFold(name, ownerName) {
		return &vault.InvalidError{Field: "name", Rule: "is reserved"}
	}
	return nil
}

// Revoke ends an agent: from this transaction on its key and its sessions are
// refused. Its handles are the caller's to revoke. A damaged row is replaced by
// that of a revoked agent. Error: [ErrUnknownAgent].
func (s *Store) Revoke(tx *sqldb.Tx, name string, now time.Time) error {
	row, err := s.load(tx, name)
	switch {
	case errors.Is(err, vault.ErrCorrupt):
		row = agentRow{name: name, created: sqldb.Micros(now)}
	case errors.Is(err, sqldb.ErrNoRows), err == nil && row.revoked != 0:
		return ErrUnknownAgent
	case err != nil:
		return err
	}
	row.revoked = sqldb.Micros(now)
	return s.store(tx, row)
}

// List returns every agent by name, revoked and damaged ones included.
func (s *Store) List(tx *sqldb.Tx) ([]Registration, error) {
	var agents []Registration
	err := tx.Query(`SELECT `+columns+` FROM agents ORDER BY name`, nil, func(scan func(...any) error) error {
		var row agentRow
		err := row.scan(scan)
		if err != nil && !errors.Is(err, vault.ErrCorrupt) {
			return err
		}
		a := Registration{Name: row.name, Damaged: err != nil || !s.rows.Check(row.fields(), row.mac)}
		if !a.Damaged {
			a.Stdio, a.CreatedAt, a.RevokedAt = row.hash == nil, sqldb.Time(row.created), sqldb.Time(row.revoked)
		}
		if !a.Damaged && !a.Stdio {
			a.KeyHint = KeyPrefix + "…"
		}
		agents = append(agents, a)
		return nil
	})
	return agents, err
}

// ByKey returns the agent whose key it is, whatever the key's prefix; the
// caller fills in door, address and client. An unknown key costs one lookup, one
// comparison of 32 bytes and one MAC, as a known one does. Errors:
// [ErrUnauthenticated]; [vault.ErrCorrupt] for a row that this desk did not write.
func (s *Store) ByKey(tx *sqldb.Tx, key string) (Principal, error) {
	want := mint.Hash(key)
	row := agentRow{hash: make([]byte, len(want))} // what an unknown key is compared with
	err := row.scan(tx.QueryRow(`SELECT `+columns+` FROM agents WHERE key_hash = ?`, want[:]).Scan)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return Principal{}, err
	}
	// The database has compared already; this does not rest on how it did.
	same, whole := subtle.ConstantTimeCompare(row.hash, want[:]) == 1, s.rows.Check(row.fields(), row.mac)
	switch {
	case !same:
		return Principal{}, ErrUnauthenticated
	case !whole:
		return Principal{}, rowmac.Damaged("agent", row.name)
	case row.revoked != 0:
		return Principal{}, ErrUnauthenticated
	}
	return Principal{Kind: Agent, Name: row.name, since: row.created}, nil
}

// ByName returns the stdio agent of that name; [Local] is [LocalStdio]. An
// agent with a key is not reached by its name. Errors: those of [Store.ByKey].
func (s *Store) ByName(tx *sqldb.Tx, name string) (Principal, error) {
	if name == Local {
		return LocalStdio(), nil
	}
	row, err := s.live(tx, name)
	if err != nil {
		return Principal{}, err
	}
	if row.hash != nil {
		return Principal{}, ErrUnauthenticated
	}
	return Principal{Kind: Agent, Name: name, Stdio: true, Door: policy.DoorMCP, since: row.created}, nil
}

// Alive reports whether p may still act: nil for the owner and [Local], and
// for an agent as long as the registration it was made from is not revoked.
// Errors: those of [Store.ByKey].
func (s *Store) Alive(tx *sqldb.Tx, p Principal) error {
	switch {
	case p.Kind == Owner, p.Kind == Agent && p.Name == Local && p.Stdio:
		return nil
	case p.Kind != Agent:
		return ErrUnauthenticated
	}
	row, err := s.live(tx, p.Name)
	if err == nil && p.since != 0 && p.since != row.created {
		err = ErrUnauthenticated
	}
	return err
}
