package sqldb_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// BenchmarkUpdate is one row in one durable commit, with 1, 16 and 64 callers.
func BenchmarkUpdate(b *testing.B) {
	for name, callers := range map[string]int{"1": 1, "16": 16, "64": 64} {
		b.Run(name, func(b *testing.B) {
			db := open(b)
			var next atomic.Int64
			b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
			b.ReportAllocs()
			b.ResetTimer()
			work := func() {
				if err := db.Update(b.Context(), insert(int(next.Add(1)))); err != nil {
					b.Error(err)
				}
			}
			if callers == 1 {
				for b.Loop() {
					work()
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					work()
				}
			})
		})
	}
}

func BenchmarkQueryRow(b *testing.B) {
	db := open(b)
	if err := db.Update(b.Context(), insert(1)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	err := db.View(b.Context(), func(tx *sqldb.Tx) error {
		for b.Loop() {
			var a int
			var blob []byte
			if err := tx.QueryRow("SELECT a, b FROM t WHERE a = ?", 1).Scan(&a, &blob); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
