package identity_test

import (
	"fmt"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// BenchmarkVerify is what a credential costs at each request, with few and with
// 100,000 tokens in the table. The budget for a token that is not counted is 20 µs.
func BenchmarkVerify(b *testing.B) {
	for _, agents := range []int{1, 100} {
		const each = 1000
		db := open(b)
		var key, token, counted string
		in(b, db, func(tx *sqldb.Tx, s *identity.Store) {
			key = add(b, tx, s, "web", false)
			token, _ = issue(b, tx, s, identity.TokenSpec{Agent: "web", Scopes: scopes(b, "secrets:read:production/openai/*")})
			counted, _ = issue(b, tx, s, identity.TokenSpec{Agent: "web", Scopes: scopes(b, "*"), MaxUses: identity.MaxTokenUses})
		})
		for i := range agents {
			in(b, db, func(tx *sqldb.Tx, s *identity.Store) {
				name := fmt.Sprintf("agent-%d", i)
				add(b, tx, s, name, false)
				for range each {
					issue(b, tx, s, identity.TokenSpec{Agent: name, Scopes: scopes(b, "secrets:read:a/*"), Description: "some program"})
				}
			})
		}
		s := identity.New(rows)
		measure := func(name string, fn func(tx *sqldb.Tx) error) {
			b.Run(fmt.Sprintf("%s/%d tokens", name, agents*each), func(b *testing.B) {
				b.ReportAllocs()
				update(b, db, func(tx *sqldb.Tx) error {
					for b.Loop() {
						if err := fn(tx); err != nil {
							return err
						}
					}
					return nil
				})
			})
		}
		by := func(text string, good bool) func(tx *sqldb.Tx) error {
			return func(tx *sqldb.Tx) error {
				if _, err := s.ByCredential(tx, text, "", noon); (err == nil) != good {
					return fmt.Errorf("by credential: %w", err)
				}
				return nil
			}
		}
		measure("token", by(token, true))
		measure("unknown token", by(token[:len(token)-1]+"!", false))
		measure("key", by(key, true))
		measure("unknown key", by(key+"x", false))
		var who identity.Principal
		in(b, db, func(tx *sqldb.Tx, s *identity.Store) { who, _ = s.ByCredential(tx, counted, "", noon) })
		measure("alive", func(tx *sqldb.Tx) error { return s.Alive(tx, who, noon) })
		measure("spend", func(tx *sqldb.Tx) error { return s.SpendToken(tx, who, 1, noon) })
		measure("issue", func(tx *sqldb.Tx) error {
			_, t, err := s.IssueToken(tx, identity.TokenSpec{Agent: "web", Scopes: scopes(b, "*")}, noon)
			if err == nil {
				_, err = tx.Exec(`DELETE FROM tokens WHERE id = ?`, t.ID)
			}
			return err
		})
	}
}
