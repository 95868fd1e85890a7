package identity

import (
	"crypto/subtle"
	"errors"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Migrations creates the table of agents. key_hash is SHA-256 of the key, null
// for a stdio agent.
func Migrations() []sqldb.Migration {
	return []sqldb.Migration{{Name: "identity/1", SQL: []string{
		`CREATE TABLE agents (
			name       TEXT   NOT NULL PRIMARY KEY,
			key_hash   {blob} UNIQUE,
			created_at BIGINT NOT NULL,
			revoked_at BIGINT NOT NULL
		)`,
	}}}
}

// Store keeps agents in the state database. It holds nothing itself and is
// safe for concurrent use.
type Store struct{}

// New returns a Store.
func New() *Store { return &Store{} }

// Add registers an agent and returns its key, which is not stored and cannot
// be shown again; a stdio agent has none. A name is 1 to 64 of [A-Za-z0-9_-].
// Errors: [ErrAgentExists], *[vault.InvalidError] of field "name".
func (*Store) Add(tx *sqldb.Tx, name string, stdio bool, now time.Time) (key string, err error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	var hash []byte
	if !stdio {
		if key, err = mint.New(KeyPrefix); err != nil {
			return "", err
		}
		sum := mint.Hash(key)
		hash = sum[:]
	}
	// A revoked name starts anew; created_at rises even within one microsecond,
	// so that principals of the old registration stay shut out.
	n, err := tx.Exec(`INSERT INTO agents (name, key_hash, created_at, revoked_at) VALUES (?, ?, ?, 0)
		ON CONFLICT (name) DO UPDATE SET key_hash = excluded.key_hash, revoked_at = 0,
			created_at = CASE WHEN excluded.created_at > agents.created_at THEN excluded.created_at ELSE agents.created_at + 1 END
		WHERE agents.revoked_at <> 0`, name, hash, sqldb.Micros(now))
	if err != nil {
		return "", err
	}
	if n == 0 {
		return "", ErrAgentExists
	}
	return key, nil
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
// refused. Its handles are the caller's to revoke. Error: [ErrUnknownAgent].
func (*Store) Revoke(tx *sqldb.Tx, name string, now time.Time) error {
	n, err := tx.Exec(`UPDATE agents SET revoked_at = ? WHERE name = ? AND revoked_at = 0`, sqldb.Micros(now), name)
	if err == nil && n == 0 {
		err = ErrUnknownAgent
	}
	return err
}

// List returns every agent by name, revoked ones included.
func (*Store) List(tx *sqldb.Tx) ([]Registration, error) {
	var agents []Registration
	err := tx.Query(`SELECT name, key_hash, created_at, revoked_at FROM agents ORDER BY name`, nil, func(scan func(...any) error) error {
		var a Registration
		var hash []byte
		var created, revoked int64
		if err := scan(&a.Name, &hash, &created, &revoked); err != nil {
			return err
		}
		a.Stdio, a.CreatedAt, a.RevokedAt = hash == nil, sqldb.Time(created), sqldb.Time(revoked)
		if !a.Stdio {
			a.KeyHint = KeyPrefix + "…"
		}
		agents = append(agents, a)
		return nil
	})
	return agents, err
}

// ByKey returns the agent whose key it is, whatever the key's prefix; the
// caller fills in door, address and client. An unknown key costs one lookup and
// one comparison of 32 bytes, as a known one does. Error: [ErrUnauthenticated].
func (*Store) ByKey(tx *sqldb.Tx, key string) (Principal, error) {
	want := mint.Hash(key)
	row := agentRow{hash: make([]byte, len(want))} // what an unknown key is compared with
	err := row.read(tx, `SELECT name, key_hash, created_at, revoked_at FROM agents WHERE key_hash = ?`, want[:])
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return Principal{}, err
	}
	// The database has compared already; this does not rest on how it did.
	if subtle.ConstantTimeCompare(row.hash, want[:]) != 1 || row.revoked != 0 {
		return Principal{}, ErrUnauthenticated
	}
	return Principal{Kind: Agent, Name: row.name, since: row.created}, nil
}

// ByName returns the stdio agent of that name; [Local] is [LocalStdio]. An
// agent with a key is not reached by its name. Error: [ErrUnauthenticated].
func (*Store) ByName(tx *sqldb.Tx, name string) (Principal, error) {
	if name == Local {
		return LocalStdio(), nil
	}
	row, err := byName(tx, name)
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
// Error: [ErrUnauthenticated].
func (*Store) Alive(tx *sqldb.Tx, p Principal) error {
	switch {
	case p.Kind == Owner, p.Kind == Agent && p.Name == Local && p.Stdio:
		return nil
	case p.Kind != Agent:
		return ErrUnauthenticated
	}
	row, err := byName(tx, p.Name)
	if err == nil && p.since != 0 && p.since != row.created {
		err = ErrUnauthenticated
	}
	return err
}

func byName(tx *sqldb.Tx, name string) (agentRow, error) {
	var row agentRow
	err := row.read(tx, `SELECT name, key_hash, created_at, revoked_at FROM agents WHERE name = ?`, name)
	if errors.Is(err, sqldb.ErrNoRows) || err == nil && row.revoked != 0 {
		err = ErrUnauthenticated
	}
	return row, err
}

type agentRow struct {
	name             string
	hash             []byte
	created, revoked int64
}

func (r *agentRow) read(tx *sqldb.Tx, query string, arg any) error {
	return tx.QueryRow(query, arg).Scan(&r.name, &r.hash, &r.created, &r.revoked)
}
