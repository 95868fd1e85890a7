package embedded_test

import (
	"flag"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

var many = flag.Int("many", 20_000, "secrets in the larger vault of the benchmarks")

func BenchmarkDescribeInTx(b *testing.B) {
	h := newHome(b)
	v := h.open(b, nil)
	d, err := vault.ParseDestination("api.openai.com", vault.Bearer)
	if err != nil {
		b.Fatal(err)
	}
	desc := "the key of the inference project"
	tags := map[string]string{"team": "inference", "env": "production"}
	if _, err := v.Put(b.Context(), "production/openai/api-key", vault.Change{Value: text("sk-1"), Destinations: &[]vault.Destination{d}, Description: &desc, Tags: &tags}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	err = h.db.View(b.Context(), func(tx *sqldb.Tx) error {
		for b.Loop() {
			if _, err := v.InTx(tx).Describe("production/openai/api-key"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// fill puts n secrets of 100 namespaces into the vault.
func (h home) fill(b *testing.B, v *embedded.Vault, n int) {
	b.Helper()
	description := "the key of the inference project"
	for done := 0; done < n; {
		if err := h.db.Update(b.Context(), func(tx *sqldb.Tx) error {
			w := v.InTx(tx)
			for end := min(n, done+20_000); done < end; done++ {
				p := vault.Path(fmt.Sprintf("team%02d/service-%07d/api-key", done%100, done))
				if _, err := w.Put(p, vault.Change{Value: text("sk-1"), Description: &description}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSize is what must cost the same at any number of secrets: opening
// the vault, and one page.
func BenchmarkSize(b *testing.B) {
	for _, n := range []int{1_000, *many} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := newHome(b)
			v := h.open(b, nil)
			h.fill(b, v, n)
			b.Run("list", func(b *testing.B) {
				for b.Loop() {
					page, err := v.List(b.Context(), vault.Query{Prefix: "team4"})
					if err != nil || len(page.Items) != vault.DefaultPageSize {
						b.Fatal(len(page.Items), err)
					}
				}
			})
			if err := h.db.Close(); err != nil {
				b.Fatal(err)
			}
			b.Run("open", func(b *testing.B) {
				for b.Loop() {
					db, err := sqldb.Open(b.Context(), filepath.Join(h.dir, "vault.db"), embedded.Migrations())
					if err != nil {
						b.Fatal(err)
					}
					keys, err := embedded.OpenKeyring(b.Context(), db, h.src)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := embedded.New(db, keys, nil).Describe(b.Context(), "team00/service-0000000/api-key"); err != nil {
						b.Fatal(err)
					}
					if err := db.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
