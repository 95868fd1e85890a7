package identity

import (
	"crypto/subtle"
	"errors"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Migrations creates the table of agents. key_hash is SHA-256 of the key, null
// for a stdio agent; namespaces and scopes have one a line; mac authenticates
// the other columns, in their order (package rowmac), the last three of them
// only where one says something.
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
		{Name: "identity/3", SQL: []string{
			`ALTER TABLE agents ADD COLUMN description TEXT NOT NULL DEFAULT ''`,
			`ALTER TABLE agents ADD COLUMN namespaces TEXT NOT NULL DEFAULT ''`,
			`ALTER TABLE agents ADD COLUMN scopes TEXT NOT NULL DEFAULT ''`,
		}},
	}
}

// Store keeps agents in the state database. It is safe for concurrent use.
type Store struct {
	agents registry
}

// New returns a Store whose rows are authenticated by a key.
func New(rows *rowmac.Key) *Store { return &Store{agents: agentsOf(rows)} }

// NewAgent is what an agent is registered as.
type NewAgent struct {
	Name        string     // 1 to 64 of [A-Za-z0-9_-]
	Stdio       bool       // started by an MCP client over stdio: it has no key
	Description string     // printable, at most [MaxDescription] bytes
	Namespaces  Namespaces // what it is limited to; none: not limited
	Scopes      Scopes     // what it is limited to; none: not limited
}

// Add registers an agent and returns its key, which is not stored and cannot
// be shown again; a stdio agent has none. Errors: [ErrAgentExists],
// *[vault.InvalidError] of field "name" or "description", [vault.ErrCorrupt]
// when the name has a damaged row, which [Store.Revoke] ends.
func (s *Store) Add(tx *sqldb.Tx, a NewAgent, now time.Time) (key string, err error) {
	if err := checkDescription(a.Description); err != nil {
		return "", err
	}
	e := entry{name: a.Name, description: a.Description, namespaces: a.Namespaces.text, scopes: a.Scopes.text}
	return s.agents.add(tx, e, !a.Stdio, now)
}

// Revoke ends an agent: from this transaction on its key and its sessions are
// refused. Its handles are the caller's to revoke. A damaged row is replaced by
// that of a revoked agent. Error: [ErrUnknownAgent].
func (s *Store) Revoke(tx *sqldb.Tx, name string, now time.Time) error {
	return s.agents.revoke(tx, name, now)
}

// List returns every agent by name, revoked and damaged ones included.
func (s *Store) List(tx *sqldb.Tx) ([]Registration, error) { return s.agents.list(tx) }

// Adopt authenticates the rows that have no MAC, as a database from before
// there were any has them, and returns how many. Whether they may be believed is
// the caller's to know. A row that does not read is left as it is.
func (s *Store) Adopt(tx *sqldb.Tx) (int, error) {
	var found []entry
	err := tx.Query(`SELECT `+s.agents.columns+` FROM agents WHERE length(mac) = 0`, nil, func(scan func(...any) error) error {
		var e entry
		err := scan(e.dest()...)
		if err == nil {
			found = append(found, e)
		}
		if errors.Is(err, vault.ErrCorrupt) {
			return nil
		}
		return err
	})
	for i := range found {
		if err == nil {
			err = s.agents.store(tx, &found[i])
		}
	}
	return len(found), err
}

// ByKey returns the agent whose key it is, whatever the key's prefix; the
// caller fills in door, address and client. An unknown key costs one lookup, one
// comparison of 32 bytes and one MAC, as a known one does. Errors:
// [ErrUnauthenticated]; [vault.ErrCorrupt] for a row that this desk did not write.
func (s *Store) ByKey(tx *sqldb.Tx, key string) (Principal, error) {
	want := mint.Hash(key)
	e := entry{hash: make([]byte, len(want))} // what an unknown key is compared with
	err := tx.QueryRow(`SELECT `+s.agents.columns+` FROM agents WHERE key_hash = ?`, want[:]).Scan(e.dest()...)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return Principal{}, err
	}
	// The database has compared already; this does not rest on how it did.
	same, damaged := subtle.ConstantTimeCompare(e.hash, want[:]) == 1, s.agents.check(&e)
	switch {
	case !same:
		return Principal{}, ErrUnauthenticated
	case damaged != nil:
		return Principal{}, damaged
	case e.revoked != 0:
		return Principal{}, ErrUnauthenticated
	}
	return Principal{Kind: Agent, Name: e.name, Bounds: e.bounds(), since: e.created}, nil
}

// ByName returns the stdio agent of that name; [Local] is [LocalStdio]. An
// agent with a key is not reached by its name. Errors: those of [Store.ByKey].
func (s *Store) ByName(tx *sqldb.Tx, name string) (Principal, error) {
	if name == Local {
		return LocalStdio(), nil
	}
	e, err := s.agents.live(tx, name)
	if err != nil {
		return Principal{}, err
	}
	if e.hash != nil {
		return Principal{}, ErrUnauthenticated
	}
	return Principal{Kind: Agent, Name: name, Stdio: true, Door: policy.DoorMCP, Bounds: e.bounds(), since: e.created}, nil
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
	e, err := s.agents.live(tx, p.Name)
	if err == nil && p.since != 0 && p.since != e.created {
		err = ErrUnauthenticated
	}
	return err
}
