package broker_test

import (
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// BenchmarkIssue is the desk's share of get_secret: one handle and one leaf,
// durable. "commit" is what a bare durable transaction costs in the same run.
func BenchmarkIssue(b *testing.B) {
	f := newDesk(b, allowAll)
	f.put(b, "a/b", vault.Change{}, "api.example.com")
	r := broker.IssueRequest{Path: "a/b"}
	issue := func(b *testing.B) {
		b.Helper()
		if _, err := f.Issue(b.Context(), local, r); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("commit", func(b *testing.B) {
		for b.Loop() {
			if err := f.db.Update(b.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec("UPDATE vault_keyring SET created_at = created_at + 1")
				return err
			}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("1", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			issue(b)
		}
	})
	b.Run("16", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(8) // of two cores: sixteen at once
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				issue(b)
			}
		})
	})
}
