package identity_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// TestEditedRows: whatever somebody writes into a row, it is damage: nobody is
// let in by it, it is never "no such agent", and the other agents work.
func TestEditedRows(t *testing.T) {
	chosen := mint.Hash("a key of his own")
	for name, edit := range map[string]string{
		"another key":           `UPDATE agents SET key_hash = x'` + hexOf(chosen[:]) + `' WHERE name = 'web'`,
		"no key":                `UPDATE agents SET key_hash = NULL WHERE name = 'web'`,
		"a key of another":      `UPDATE agents SET key_hash = NULL WHERE name = 'other'; UPDATE agents SET key_hash = (SELECT key_hash FROM keep) WHERE name = 'web'`,
		"another time":          `UPDATE agents SET created_at = created_at + 1 WHERE name = 'web'`,
		"revoked":               `UPDATE agents SET revoked_at = 1 WHERE name = 'web'`,
		"no MAC":                `UPDATE agents SET mac = x'' WHERE name = 'web'`,
		"the MAC of another":    `UPDATE agents SET mac = (SELECT mac FROM agents WHERE name = 'other') WHERE name = 'web'`,
		"a MAC of another type": `UPDATE agents SET mac = 7 WHERE name = 'web'`,
		"a key of another type": `UPDATE agents SET key_hash = 7 WHERE name = 'web'`,
		"a time that is none":   `UPDATE agents SET created_at = 'soon' WHERE name = 'web'`,
		"bounds where none are": `UPDATE agents SET namespaces = 'a' WHERE name = 'web'`,
		"a description":         `UPDATE agents SET description = 'The good one.' WHERE name = 'web'`,
		"a registrar":           `UPDATE agents SET registrar = 'admin:ada' WHERE name = 'web'`,
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			var key, third string
			in(t, db, func(tx *sqldb.Tx, s *identity.Store) {
				key, third = add(t, tx, s, "web", false), add(t, tx, s, "third", false)
				add(t, tx, s, "other", false)
				exec(t, tx, `CREATE TABLE keep AS SELECT key_hash FROM agents WHERE name = 'other'`)
			})
			in(t, db, func(tx *sqldb.Tx, s *identity.Store) {
				who, err := s.ByCredential(tx, key, "", noon)
				want(t, "by key before", err, nil)
				exec(t, tx, edit)
				want(t, "alive", s.Alive(tx, who, noon), vault.ErrCorrupt)
				_, err = s.ByName(tx, "web")
				want(t, "by name", err, vault.ErrCorrupt)
				for _, k := range []string{key, "a key of his own"} {
					if who, err := s.ByCredential(tx, k, "", noon); err == nil || who != (identity.Principal{}) {
						t.Errorf("let in: %+v", who)
					}
				}
				_, err = s.Add(tx, identity.NewAgent{Name: "web"}, noon)
				want(t, "add", err, vault.ErrCorrupt)
				_, err = s.ByCredential(tx, third, "", noon)
				want(t, "another agent", err, nil)
				list, err := s.List(tx)
				want(t, "list", err, nil)
				for _, a := range list {
					if a.Damaged != (a.Name == "web" || name == "a key of another" && a.Name == "other") || a.Damaged && !a.CreatedAt.IsZero() {
						t.Errorf("listed: %+v", a)
					}
				}
				// The owner ends it, and starts it anew.
				want(t, "revoke", s.Revoke(tx, "web", noon), nil)
				_, err = s.ByCredential(tx, key, "", noon)
				want(t, "by key after", err, identity.ErrUnauthenticated)
				want(t, "revoke again", s.Revoke(tx, "web", noon), identity.ErrUnknownAgent)
				add(t, tx, s, "web", false)
				want(t, "the old registration", s.Alive(tx, who, noon), identity.ErrUnauthenticated)
			})
		})
	}
}

// TestAnInsertedAgentIsDamage: rows made up, or made in another vault.
func TestAnInsertedAgentIsDamage(t *testing.T) {
	hash := mint.Hash("his key")
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		add(t, tx, s, "web", true)
		for _, insert := range []string{
			`INSERT INTO agents (name, key_hash, created_at, revoked_at, mac) VALUES ('evil', x'` + hexOf(hash[:]) + `', 1, 0, x'')`,
			`INSERT INTO agents (name, key_hash, created_at, revoked_at, mac) SELECT 'evil', x'` + hexOf(hash[:]) + `', created_at, 0, mac FROM agents WHERE name = 'web'`,
		} {
			exec(t, tx, insert)
			_, err := s.ByCredential(tx, "his key", "", noon)
			want(t, "by key", err, vault.ErrCorrupt)
			exec(t, tx, `DELETE FROM agents WHERE name = 'evil'`)
		}
		exec(t, tx, `INSERT INTO agents (name, key_hash, created_at, revoked_at, mac) SELECT 'evil', NULL, created_at, revoked_at, mac FROM agents WHERE name = 'web'`)
		_, err := s.ByName(tx, "evil")
		want(t, "by name", err, vault.ErrCorrupt)
	})
}

// TestAdoptTakesWhatHasNoMAC and nothing else.
func TestAdoptTakesWhatHasNoMAC(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		key := add(t, tx, s, "old", false)
		add(t, tx, s, "edited", true)
		exec(t, tx, `UPDATE agents SET mac = x'' WHERE name = 'old'; UPDATE agents SET created_at = 5 WHERE name = 'edited'`)
		if n, err := s.Adopt(tx); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if who, err := s.ByCredential(tx, key, "", noon); err != nil || who.Name != "old" {
			t.Errorf("%+v, %v", who, err)
		}
		_, err := s.ByName(tx, "edited")
		want(t, "edited", err, vault.ErrCorrupt)
	})
}

// TestAnOlderRowIsBelieved says what authentication does not do.
func TestAnOlderRowIsBelieved(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		key := add(t, tx, s, "web", false)
		exec(t, tx, `CREATE TABLE keep AS SELECT * FROM agents`)
		want(t, "revoke", s.Revoke(tx, "web", noon.Add(time.Second)), nil)
		exec(t, tx, `DELETE FROM agents; INSERT INTO agents SELECT * FROM keep`)
		if _, err := s.ByCredential(tx, key, "", noon); errors.Is(err, vault.ErrCorrupt) {
			t.Error("the package comment says otherwise")
		}
	})
}

func exec(t *testing.T, tx *sqldb.Tx, statements string) {
	t.Helper()
	for statement := range strings.SplitSeq(statements, ";") {
		if _, err := tx.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }
