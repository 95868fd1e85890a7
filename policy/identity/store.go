package identity

import (
	"errors"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Store keeps agents, admins and tokens in the state database. It is safe for
// concurrent use, also by several processes on one database.
type Store struct {
	rows           *rowmac.Key
	agents, admins registry
}

// New returns a Store whose rows are authenticated by a key.
func New(rows *rowmac.Key) *Store {
	return &Store{rows: rows, agents: agentsOf(rows), admins: adminsOf(rows)}
}

// NewAgent is what an agent is registered as.
type NewAgent struct {
	Name        string     // 1 to 64 of [A-Za-z0-9_-]
	Stdio       bool       // started by an MCP client over stdio: it has no key
	Description string     // printable, at most [MaxDescription] bytes
	Namespaces  Namespaces // what it is limited to; none: not limited
	Scopes      Scopes     // what it is limited to; none: not limited
	Registrar   string     // [Principal.ID] of the admin who registers it; "": the owner
}

// Add registers an agent and returns its key, which is not stored and cannot
// be shown again; a stdio agent has none. Errors: [ErrAgentExists],
// *[vault.InvalidError] of field "name" or "description", [vault.ErrCorrupt]
// when the name has a damaged row, which [Store.Revoke] ends.
func (s *Store) Add(tx *sqldb.Tx, a NewAgent, now time.Time) (key string, err error) {
	if err := checkDescription(a.Description); err != nil {
		return "", err
	}
	e := entry{name: a.Name, description: a.Description, namespaces: a.Namespaces.text, scopes: a.Scopes.text, registrar: a.Registrar}
	return s.agents.add(tx, e, !a.Stdio, now)
}

// Revoke ends an agent: from this transaction on its key, its tokens and its
// sessions are refused. Its handles are the caller's to revoke. A damaged row is
// replaced by that of a revoked agent. Error: [ErrUnknownAgent].
func (s *Store) Revoke(tx *sqldb.Tx, name string, now time.Time) error {
	err := s.agents.revoke(tx, name, now)
	if err == nil {
		_, err = s.RevokeTokens(tx, name, now)
	}
	return err
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
