package identity_test

import (
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func addAdmin(tb testing.TB, tx *sqldb.Tx, s *identity.Store, name string) string {
	tb.Helper()
	key, err := s.AddAdmin(tx, name, noon)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func TestAdmins(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		key, agents := addAdmin(t, tx, s, "ana"), add(t, tx, s, "ana", false)
		if mint.Check(identity.AdminKeyPrefix, key) != nil {
			t.Errorf("key %s", key)
		}
		who, err := s.ByCredential(tx, key, "", noon)
		if again, _ := s.ByCredential(tx, key, "", noon); err != nil || who != again || who.Kind != identity.Admin || who.Name != "ana" || who.ID() != "admin:ana" || who.Stdio {
			t.Errorf("%+v, %v", who, err)
		}
		if s := who.Subject(); s.Agent != "" {
			t.Errorf("rules are asked about %q", s.Agent)
		}
		if !who.Allows(policy.Reveal, "a/b") || !who.AllowsNamespaces() || who.Reach(identity.Read) != nil {
			t.Error("an admin is bounded")
		}
		agent, err := s.ByCredential(tx, agents, "", noon)
		if err != nil || agent.Kind != identity.Agent || agent.SessionOwner() == who.SessionOwner() {
			t.Errorf("%+v, %v", agent, err)
		}
		want(t, "alive", s.Alive(tx, who, noon), nil)
		want(t, "spend", s.SpendToken(tx, who, 1, noon), nil)
		_, err = s.AddAdmin(tx, "ana", noon)
		want(t, "again", err, identity.ErrAdminExists)
		for _, name := range []string{"", "a b", "owner", "Local", "é"} {
			_, err := s.AddAdmin(tx, name, noon)
			invalid(t, name, err, "name", "")
		}
		_, err = s.ByName(tx, "ana")
		want(t, "by name", err, identity.ErrUnauthenticated)

		addAdmin(t, tx, s, "bob")
		want(t, "revoke", s.RevokeAdmin(tx, "ana", noon.Add(time.Second)), nil)
		for anew := range 2 {
			_, err = s.ByCredential(tx, key, "", noon)
			want(t, "revoked", err, identity.ErrUnauthenticated)
			want(t, "session", s.Alive(tx, who, noon), identity.ErrUnauthenticated)
			if anew == 0 {
				want(t, "revoke again", s.RevokeAdmin(tx, "ana", noon), identity.ErrUnknownAdmin)
				if addAdmin(t, tx, s, "ana") == key {
					t.Error("the same key")
				}
			}
		}
		want(t, "unknown", s.RevokeAdmin(tx, "nobody", noon), identity.ErrUnknownAdmin)
		_, err = s.ByCredential(tx, agents, "", noon)
		want(t, "the agent of that name", err, nil)
		want(t, "revoke bob", s.RevokeAdmin(tx, "bob", noon.Add(time.Minute)), nil)
		list, err := s.Admins(tx)
		if err != nil || len(list) != 2 || list[0].Name != "ana" || list[0].KeyHint != "ass_admin_…" || !list[0].RevokedAt.IsZero() ||
			list[1] != (identity.Registration{Name: "bob", CreatedAt: noon, RevokedAt: noon.Add(time.Minute), KeyHint: "ass_admin_…"}) {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// TestEditedAdmins: whatever somebody writes into an admin's row, or copies there
// from an agent's, it is damage: nobody is let in by it, and the others work.
func TestEditedAdmins(t *testing.T) {
	chosen := mint.Hash("a key of his own")
	for name, edit := range map[string]string{
		"another key":           `UPDATE admins SET key_hash = x'` + hexOf(chosen[:]) + `' WHERE name = 'ana'`,
		"no key":                `UPDATE admins SET key_hash = NULL WHERE name = 'ana'`,
		"another time":          `UPDATE admins SET created_at = created_at + 1 WHERE name = 'ana'`,
		"no time":               `UPDATE admins SET created_at = 'soon' WHERE name = 'ana'`,
		"revoked":               `UPDATE admins SET revoked_at = 1 WHERE name = 'ana'`,
		"no MAC":                `UPDATE admins SET mac = x'' WHERE name = 'ana'`,
		"the MAC of another":    `UPDATE admins SET mac = (SELECT mac FROM admins WHERE name = 'bob') WHERE name = 'ana'`,
		"the MAC of an agent":   `UPDATE admins SET mac = (SELECT mac FROM agents WHERE name = 'ana') WHERE name = 'ana'`,
		"the key of an agent":   `UPDATE admins SET key_hash = (SELECT key_hash FROM agents WHERE name = 'ana') WHERE name = 'ana'`,
		"an agent's whole row":  `DELETE FROM admins WHERE name = 'ana'; INSERT INTO admins SELECT name, key_hash, created_at, revoked_at, mac FROM agents WHERE name = 'ana'`,
		"a key of another type": `UPDATE admins SET key_hash = 7 WHERE name = 'ana'`,
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			in(t, db, func(tx *sqldb.Tx, s *identity.Store) {
				key, other, agents := addAdmin(t, tx, s, "ana"), addAdmin(t, tx, s, "bob"), add(t, tx, s, "ana", false)
				who, err := s.ByCredential(tx, key, "", noon)
				want(t, "before", err, nil)
				exec(t, tx, edit)
				want(t, "alive", s.Alive(tx, who, noon), vault.ErrCorrupt)
				for _, k := range []string{key, "a key of his own", agents} {
					if got, err := s.ByCredential(tx, k, "", noon); got.Kind == identity.Admin || err == nil && k != agents {
						t.Errorf("let in: %+v, %v", got, err)
					}
				}
				_, err = s.AddAdmin(tx, "ana", noon)
				want(t, "add", err, vault.ErrCorrupt)
				_, err = s.ByCredential(tx, other, "", noon)
				want(t, "another", err, nil)
				list, err := s.Admins(tx)
				if err != nil || len(list) != 2 || !list[0].Damaged || list[0] != (identity.Registration{Name: "ana", Damaged: true}) || list[1].Damaged {
					t.Errorf("%+v, %v", list, err)
				}
				want(t, "revoke", s.RevokeAdmin(tx, "ana", noon), nil)
				_, err = s.ByCredential(tx, key, "", noon)
				want(t, "after", err, identity.ErrUnauthenticated)
				addAdmin(t, tx, s, "ana")
				want(t, "the old session", s.Alive(tx, who, noon), identity.ErrUnauthenticated)
			})
		})
	}
}

// TestAnAdminsRowMakesNoAgent: the name of the table is in the MAC.
func TestAnAdminsRowMakesNoAgent(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		key := addAdmin(t, tx, s, "ana")
		exec(t, tx, `INSERT INTO agents (name, key_hash, created_at, revoked_at, mac) SELECT * FROM admins; DELETE FROM admins`)
		_, err := s.ByCredential(tx, key, "", noon)
		want(t, "by key", err, vault.ErrCorrupt)
	})
}
