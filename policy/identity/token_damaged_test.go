package identity_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// undone runs fn with a fresh store in one transaction that is not kept.
func undone(t *testing.T, db *sqldb.DB, fn func(tx *sqldb.Tx, s *identity.Store)) {
	t.Helper()
	undo := errors.New("undo")
	want(t, "transaction", db.Update(t.Context(), func(tx *sqldb.Tx) error { fn(tx, identity.New(rows)); return undo }), undo)
}

// TestEditedTokens edits every column of a token's row, to a value of the same
// kind, to that of another token and to one of another kind: the token is damaged
// and lets nobody in; the other works, and the owner ends the damaged one.
func TestEditedTokens(t *testing.T) {
	db := open(t)
	var text, good string
	var token, other identity.Token
	in(t, db, func(tx *sqldb.Tx, s *identity.Store) {
		add(t, tx, s, "web", false)
		_, err := s.Add(tx, identity.NewAgent{Name: "strong"}, noon.Add(time.Second))
		want(t, "add", err, nil)
		text, token = issue(t, tx, s, everything(t))
		theirs := identity.TokenSpec{Agent: "strong", Scopes: scopes(t, "*"), TTL: 24 * time.Hour, MaxUses: 9, Tier: vault.Critical, Description: "d", Approval: "apr_2", Issuer: "admin:bob"}
		good, other, err = s.IssueToken(tx, theirs, noon.Add(time.Minute))
		want(t, "issue", err, nil)
		who, err := s.ByCredential(tx, good, "", noon)
		want(t, "by another", err, nil)
		want(t, "spend another", s.SpendToken(tx, who, 1, noon), nil)
	})
	for _, column := range []string{
		"hash", "agent", "since", "scopes", "addrs", "description", "tier", "approval", "created_at", "expires_at", "revoked_at", "max_uses", "used", "issuer", "mac",
	} {
		for name, edit := range map[string]string{
			"other kind":  `CASE typeof(` + column + `) WHEN 'integer' THEN 'x' WHEN 'blob' THEN 7 ELSE x'00' END`,
			"same kind":   `CASE typeof(` + column + `) WHEN 'integer' THEN ` + column + ` + 1 WHEN 'blob' THEN zeroblob(32) ELSE ` + column + ` || 'x' END`,
			"of another":  `(SELECT ` + column + ` FROM tokens WHERE agent = 'strong')`,
			"empty":       `CASE typeof(` + column + `) WHEN 'integer' THEN -1 WHEN 'blob' THEN x'' ELSE '' END`,
			"much larger": `CASE typeof(` + column + `) WHEN 'integer' THEN 9007199254740993 WHEN 'blob' THEN zeroblob(65536) ELSE ` + column + ` || hex(zeroblob(65536)) END`,
		} {
			if column == "revoked_at" && name == "of another" {
				continue // 0 is what it is
			}
			t.Run(column+" "+name, func(t *testing.T) {
				undone(t, db, func(tx *sqldb.Tx, s *identity.Store) {
					who, err := s.ByCredential(tx, text, "10.0.0.1", noon)
					want(t, "before", err, nil)
					who.Addr = "10.0.0.1"
					exec(t, tx, `UPDATE tokens SET `+column+` = `+edit+` WHERE id = '`+token.ID+`'`)
					// The join finds no agent of a name that is none.
					damage := vault.ErrCorrupt
					if column == "agent" && name != "of another" {
						damage = identity.ErrUnauthenticated
					}
					got, err := s.ByCredential(tx, text, "10.0.0.1", noon)
					want(t, "by token", err, damage)
					if got != (identity.Principal{}) {
						t.Errorf("let in: %+v", got)
					}
					want(t, "alive", s.Alive(tx, who, noon), damage)
					want(t, "spend", s.SpendToken(tx, who, 1, noon), damage)
					_, err = s.Token(tx, token.ID)
					want(t, "token", err, vault.ErrCorrupt)
					_, err = s.ByCredential(tx, good, "", noon)
					want(t, "another", err, nil)
					all, next, err := s.Tokens(tx, "", "", 10, noon)
					if err != nil || next != "" {
						t.Error(next, err)
					}
					for _, one := range all {
						if one.ID == token.ID && (!one.Damaged || one.Agent != "" || !one.Scopes.IsZero()) || one.ID == other.ID && one.Damaged {
							t.Errorf("listed: %+v", one)
						}
					}
					want(t, "revoke", s.RevokeToken(tx, token.ID, noon), nil)
					_, err = s.ByCredential(tx, text, "10.0.0.1", noon)
					want(t, "after", err, identity.ErrUnauthenticated)
				})
			})
		}
	}
}

// TestSwappedTokens: rows that change places, or owners, as a whole.
func TestSwappedTokens(t *testing.T) {
	db := open(t)
	var a, b string
	var ta, tb identity.Token
	in(t, db, func(tx *sqldb.Tx, s *identity.Store) {
		add(t, tx, s, "web", false)
		add(t, tx, s, "strong", false)
		a, ta = issue(t, tx, s, plain(t))
		b, tb = issue(t, tx, s, identity.TokenSpec{Agent: "strong", Scopes: scopes(t, "*")})
	})
	for name, edit := range map[string]string{
		"ids": `UPDATE tokens SET id = 'x' WHERE id = '` + ta.ID + `'; UPDATE tokens SET id = '` + ta.ID + `' WHERE id = '` + tb.ID + `'; UPDATE tokens SET id = '` + tb.ID + `' WHERE id = 'x'`,
		"hashes": `CREATE TABLE keep AS SELECT * FROM tokens;
			UPDATE tokens SET hash = (SELECT hash FROM keep WHERE keep.id <> tokens.id)`,
		"agents":  `UPDATE tokens SET agent = CASE agent WHEN 'web' THEN 'strong' ELSE 'web' END`,
		"columns": `UPDATE tokens SET scopes = description, description = scopes`,
	} {
		t.Run(name, func(t *testing.T) {
			undone(t, db, func(tx *sqldb.Tx, s *identity.Store) {
				exec(t, tx, edit)
				for _, text := range []string{a, b} {
					who, err := s.ByCredential(tx, text, "", noon)
					want(t, "swapped", err, vault.ErrCorrupt)
					if who != (identity.Principal{}) {
						t.Errorf("let in: %+v", who)
					}
				}
				n, err := s.RevokeTokens(tx, "web", noon)
				if n != 1 || err != nil {
					t.Errorf("%d revoked, %v", n, err)
				}
			})
		})
	}
}

// TestAnInsertedTokenIsDamage: rows made up, copied for another text, or made in
// another vault.
func TestAnInsertedTokenIsDamage(t *testing.T) {
	text := identity.TokenPrefix + "his own"
	hash := mint.Hash(text)
	id := mint.ID(identity.TokenIDPrefix, hash)
	db := open(t)
	in(t, db, func(tx *sqldb.Tx, s *identity.Store) {
		add(t, tx, s, "web", false)
		issue(t, tx, s, plain(t))
	})
	const rest = `agent, since, scopes, addrs, description, tier, approval, created_at, expires_at, revoked_at, max_uses, used`
	const end = `, issuer FROM tokens`
	for name, insert := range map[string]string{
		"no MAC":         `INSERT INTO tokens SELECT '` + id + `', x'` + hexOf(hash[:]) + `', ` + rest + `, x''` + end,
		"the MAC of one": `INSERT INTO tokens SELECT '` + id + `', x'` + hexOf(hash[:]) + `', ` + rest + `, mac` + end,
		"the row of one": `INSERT INTO tokens SELECT '` + id + `', hash, ` + rest + `, mac` + end,
	} {
		t.Run(name, func(t *testing.T) {
			undone(t, db, func(tx *sqldb.Tx, s *identity.Store) {
				exec(t, tx, insert)
				_, err := s.ByCredential(tx, text, "", noon)
				want(t, "by token", err, vault.ErrCorrupt)
			})
		})
	}
	undone(t, db, func(tx *sqldb.Tx, s *identity.Store) {
		foreign, token, err := identity.New(rowmac.New([rowmac.KeySize]byte{9})).IssueToken(tx, plain(t), noon)
		want(t, "agent of another vault", err, vault.ErrCorrupt)
		if foreign != "" || token.ID != "" {
			t.Error("issued")
		}
		n, err := s.Adopt(tx)
		if n != 0 || err != nil {
			t.Errorf("%d adopted, %v", n, err)
		}
	})
}

// TestADamagedAgentTakesItsTokensAlong: a token is no better than its agent's row.
func TestADamagedAgentTakesItsTokensAlong(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		_, err := s.Add(tx, identity.NewAgent{Name: "web", Scopes: scopes(t, "secrets:read:test/*")}, noon)
		want(t, "add", err, nil)
		text, _ := issue(t, tx, s, plain(t))
		who, err := s.ByCredential(tx, text, "", noon)
		want(t, "before", err, nil)
		exec(t, tx, `UPDATE agents SET scopes = ''`)
		_, err = s.ByCredential(tx, text, "", noon)
		want(t, "by token", err, vault.ErrCorrupt)
		want(t, "alive", s.Alive(tx, who, noon), vault.ErrCorrupt)
		want(t, "revoke", s.Revoke(tx, "web", noon), nil)
		_, err = s.ByCredential(tx, text, "", noon)
		want(t, "after", err, identity.ErrUnauthenticated)
	})
}

// TestTheCountIsAuthenticated: each use is written with a MAC of its own, and an
// earlier row that is put back is believed, as the package comment says.
func TestTheCountIsAuthenticated(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		add(t, tx, s, "web", false)
		spec := plain(t)
		spec.MaxUses = 2
		text, token := issue(t, tx, s, spec)
		who, err := s.ByCredential(tx, text, "", noon)
		want(t, "by token", err, nil)
		exec(t, tx, `CREATE TABLE keep AS SELECT * FROM tokens`)
		for range 2 {
			want(t, "spend", s.SpendToken(tx, who, 1, noon), nil)
		}
		if got, err := s.Token(tx, token.ID); err != nil || got.Used != 2 {
			t.Errorf("%+v, %v", got, err)
		}
		want(t, "spend at the end", s.SpendToken(tx, who, 1, noon), identity.ErrUnauthenticated)
		exec(t, tx, `UPDATE tokens SET used = 0`)
		want(t, "count set back", s.SpendToken(tx, who, 1, noon), vault.ErrCorrupt)
		exec(t, tx, `DELETE FROM tokens; INSERT INTO tokens SELECT * FROM keep`)
		want(t, "row put back", s.SpendToken(tx, who, 1, noon), nil)
	})
}

// TestSomebodyElseSpends: on a store whose transactions do not hold the write lock,
// another may count between the reading and the writing. Nothing is damaged then.
func TestSomebodyElseSpends(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		add(t, tx, s, "web", false)
		spec := plain(t)
		spec.MaxUses = 5
		text, _ := issue(t, tx, s, spec)
		who, err := s.ByCredential(tx, text, "", noon)
		want(t, "by token", err, nil)
		want(t, "alive", s.Alive(tx, who, noon), nil) // reads the row
		exec(t, tx, `UPDATE tokens SET used = 1`)
		want(t, "spend", s.SpendToken(tx, who, 1, noon), vault.ErrBusy)
	})
}

// TestDamagedPages: pages end also where rows do not read.
func TestDamagedPages(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		add(t, tx, s, "web", false)
		for range 9 {
			issue(t, tx, s, plain(t))
		}
		exec(t, tx, `UPDATE tokens SET scopes = x'00' WHERE id IN (SELECT id FROM tokens ORDER BY expires_at DESC, id LIMIT 4 OFFSET 2)`)
		for limit := 1; limit < 12; limit++ {
			seen, after := map[string]bool{}, ""
			for range 20 {
				page, next, err := s.Tokens(tx, "", after, limit, noon)
				want(t, "page", err, nil)
				for _, one := range page {
					seen[one.ID] = true
				}
				if after = next; next == "" {
					break
				}
			}
			if after != "" || limit > 4 && len(seen) != 9 || strings.TrimSpace(after) != after {
				t.Errorf("pages of %d: %d seen, then %q", limit, len(seen), after)
			}
		}
	})
}

// TestTokensPutBack: the row of a token as it was before its agent was revoked is
// good for no other registration.
func TestTokensPutBack(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		add(t, tx, s, "web", false)
		text, _ := issue(t, tx, s, plain(t))
		who, err := s.ByCredential(tx, text, "", noon)
		want(t, "before", err, nil)
		exec(t, tx, `CREATE TABLE keep AS SELECT * FROM tokens`)
		want(t, "revoke", s.Revoke(tx, "web", noon), nil)
		for _, state := range []string{"revoked", "anew"} {
			exec(t, tx, `DELETE FROM tokens; INSERT INTO tokens SELECT * FROM keep`)
			_, err = s.ByCredential(tx, text, "", noon)
			want(t, state, err, identity.ErrUnauthenticated)
			want(t, state+", alive", s.Alive(tx, who, noon), identity.ErrUnauthenticated)
			if state == "revoked" {
				add(t, tx, s, "web", false)
			}
		}
	})
}

// TestTheIDIsNotEnough: a row that is found by the id of a text and is another
// text's lets nobody in, though this desk wrote it so.
func TestTheIDIsNotEnough(t *testing.T) {
	in(t, open(t), func(tx *sqldb.Tx, s *identity.Store) {
		add(t, tx, s, "web", false)
		_, token := issue(t, tx, s, plain(t))
		text := identity.TokenPrefix + "with the same id"
		other := make([]byte, 32)
		id, until, line := mint.ID(identity.TokenIDPrefix, mint.Hash(text)), token.ExpiresAt.UnixMicro(), token.Scopes.String()
		mac := rows.Sum(rowmac.Row("tokens").Text(id).Bytes(other).Text("web").Int(noon.UnixMicro()).Text(line).Text("").Text("").
			Text("standard").Text("").Int(noon.UnixMicro()).Int(until).Int(0).Int(0).Int(0))
		_, err := tx.Exec(`INSERT INTO tokens VALUES (?, ?, 'web', ?, ?, '', '', 'standard', '', ?, ?, 0, 0, 0, ?, '')`,
			id, other, noon.UnixMicro(), line, noon.UnixMicro(), until, mac)
		want(t, "insert", err, nil)
		if got, err := s.Token(tx, id); err != nil || got.Agent != "web" {
			t.Fatalf("%+v, %v", got, err)
		}
		_, err = s.ByCredential(tx, text, "", noon)
		want(t, "by another text", err, identity.ErrUnauthenticated)
	})
}
