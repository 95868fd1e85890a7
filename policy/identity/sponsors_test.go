package identity_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// TestSponsors: who registered an agent, and who issued a token, is behind it, as
// long as its row is there; who comes after has what is made then.
func TestSponsors(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		sponsors := func(id string, admins ...string) {
			t.Helper()
			got, err := s.Sponsors(tx, id)
			if err != nil || !slices.Equal(got, admins) {
				t.Errorf("%s: %q, %v; want %q", id, got, err, admins)
			}
		}
		add(t, tx, s, "owned", false)
		_, err := s.Add(tx, identity.NewAgent{Name: "web", Registrar: "admin:ada"}, noon)
		want(t, "add", err, nil)
		own, of := plain(t), plain(t)
		own.Agent, of.Issuer = "owned", "admin:bob"
		_, first := issue(t, tx, s, own)
		own.Issuer = "admin:bob"
		_, second := issue(t, tx, s, own)
		_, third := issue(t, tx, s, plain(t))
		_, fourth := issue(t, tx, s, of)
		sponsors("agent:owned")
		sponsors("agent:web", "admin:ada")
		sponsors("token:owned/" + first.ID)
		sponsors("token:owned/"+second.ID, "admin:bob")
		sponsors("token:web/"+third.ID, "admin:ada")
		sponsors("token:web/"+fourth.ID, "admin:bob", "admin:ada")
		for _, id := range []string{"", "owner", "admin:ada", "agent:", "agent:local", "agent:nobody", "token:", "token:nobody/tok_0000000000", "token:owned"} {
			sponsors(id)
		}
		sponsors("token:web/tok_0000000000", "admin:ada")
		want(t, "revoke", s.Revoke(tx, "web", noon), nil)
		sponsors("agent:web", "admin:ada")
		sponsors("token:web/"+fourth.ID, "admin:bob", "admin:ada")
		_, err = s.Add(tx, identity.NewAgent{Name: "web", Registrar: "admin:eve"}, noon)
		want(t, "add anew", err, nil)
		sponsors("agent:web", "admin:eve")
		list, err := s.List(tx)
		if err != nil || len(list) != 2 || list[0].Registrar != "" || list[1].Registrar != "admin:eve" {
			t.Errorf("%+v, %v", list, err)
		}
		exec(t, tx, `UPDATE agents SET registrar = '' WHERE name = 'web'`)
		_, err = s.Sponsors(tx, "agent:web")
		want(t, "of a damaged agent", err, vault.ErrCorrupt)
		exec(t, tx, `UPDATE tokens SET issuer = '' WHERE issuer <> ''`)
		_, err = s.Sponsors(tx, "token:owned/"+second.ID)
		want(t, "of a damaged token", err, vault.ErrCorrupt)
	})
}

// TestRegistrarIsAuthenticated: who writes the database can neither take it away
// nor put it elsewhere.
func TestRegistrarIsAuthenticated(t *testing.T) {
	db := open(t)
	var key string
	in(t, db, func(tx *sqldb.Tx, s *identity.Store) {
		var err error
		key, err = s.Add(tx, identity.NewAgent{Name: "web", Registrar: "admin:ada"}, noon)
		want(t, "add", err, nil)
		_, err = s.Add(tx, identity.NewAgent{Name: "other", Description: "d", Registrar: "admin:bob"}, noon)
		want(t, "add", err, nil)
	})
	for name, edit := range map[string]string{
		"none":             `UPDATE agents SET registrar = '' WHERE name = 'web'`,
		"another":          `UPDATE agents SET registrar = 'admin:bob' WHERE name = 'web'`,
		"as a description": `UPDATE agents SET description = registrar, registrar = '' WHERE name = 'web'`,
		"as scopes":        `UPDATE agents SET scopes = registrar, registrar = '' WHERE name = 'web'`,
		"no text":          `UPDATE agents SET registrar = x'00' WHERE name = 'web'`,
		"with a MAC":       `UPDATE agents SET registrar = '', mac = (SELECT mac FROM agents WHERE name = 'other') WHERE name = 'web'`,
	} {
		t.Run(name, func(t *testing.T) {
			undone(t, db, func(tx *sqldb.Tx, s *identity.Store) {
				_, err := s.ByCredential(tx, key, "", noon)
				want(t, "before", err, nil)
				exec(t, tx, edit)
				_, err = s.ByCredential(tx, key, "", noon)
				want(t, "by key", err, vault.ErrCorrupt)
			})
		})
	}
}

// TestRowsFromBeforeSponsors keep their MAC, and nobody is behind them.
func TestRowsFromBeforeSponsors(t *testing.T) {
	dir := t.TempDir()
	want(t, "folder", os.Chmod(dir, 0o700), nil)
	path := filepath.Join(dir, "test.db")
	key, text := "ass_live_from_before", identity.TokenPrefix+"from before"
	hash, of := mint.Hash(key), mint.Hash(text)
	id, until := mint.ID(identity.TokenIDPrefix, of), noon.Add(time.Hour).UnixMicro()
	for _, migrations := range [][]sqldb.Migration{identity.Migrations()[:4], identity.Migrations()} {
		db, err := sqldb.Open(t.Context(), path, migrations)
		if err != nil {
			t.Fatal(err)
		}
		in(t, db, func(tx *sqldb.Tx, s *identity.Store) {
			if len(migrations) == 4 {
				mac := rows.Sum(rowmac.Row("agents").Text("old").Bytes(hash[:]).Int(5).Int(0).Text("d").Text("").Text(""))
				_, err := tx.Exec(`INSERT INTO agents (name, key_hash, created_at, revoked_at, description, mac) VALUES ('old', ?, 5, 0, 'd', ?)`, hash[:], mac)
				want(t, "insert", err, nil)
				mac = rows.Sum(rowmac.Row("tokens").Text(id).Bytes(of[:]).Text("old").Int(5).Text("secrets:read:*").Text("").Text("").
					Text("standard").Text("").Int(5).Int(until).Int(0).Int(0).Int(0))
				_, err = tx.Exec(`INSERT INTO tokens VALUES (?, ?, 'old', 5, 'secrets:read:*', '', '', 'standard', '', 5, ?, 0, 0, 0, ?)`, id, of[:], until, mac)
				want(t, "insert", err, nil)
				return
			}
			for _, credential := range []string{key, text} {
				who, err := s.ByCredential(tx, credential, "", noon)
				want(t, credential, err, nil)
				if got, err := s.Sponsors(tx, who.ID()); err != nil || len(got) != 0 {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
		want(t, "close", db.Close(), nil)
	}
}
