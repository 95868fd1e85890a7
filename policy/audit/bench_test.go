package audit_test

import (
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// BenchmarkEncode is the part of an append that is not the statement.
func BenchmarkEncode(b *testing.B) {
	e := entry(1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := audit.Encode(e); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppend appends inside one transaction, beside a bare insert of the
// same bytes.
func BenchmarkAppend(b *testing.B) {
	s := open(b)
	e := entry(1)
	leaf := string(leafOf(b, e))
	s.update(b, func(tx *sqldb.Tx) error {
		return run(tx, "CREATE TABLE bare (seq BIGINT NOT NULL PRIMARY KEY, leaf TEXT NOT NULL)")
	})
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		s.update(b, func(tx *sqldb.Tx) error {
			for b.Loop() {
				if _, err := s.log.Append(tx, e); err != nil {
					return err
				}
			}
			return nil
		})
	})
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		s.update(b, func(tx *sqldb.Tx) error {
			if err := exec(tx, "DELETE FROM bare"); err != nil {
				return err
			}
			for seq := 0; b.Loop(); seq++ {
				if err := exec(tx, "INSERT INTO bare (seq, leaf) VALUES (?, ?)", seq, leaf); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// BenchmarkVerify reports leaves a second (DESIGN §11: at least 200,000).
func BenchmarkVerify(b *testing.B) {
	s := open(b)
	const n = 100_000
	for range 100 {
		s.add(b, n/100)
		s.checkpoint(b)
	}
	anchor := s.checkpoint(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := audit.Verify(b.Context(), s.DB, s.key, anchor); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "leaves/s")
}

// BenchmarkCheckpoint seals 1,000 new records of a log with many.
func BenchmarkCheckpoint(b *testing.B) {
	s := open(b)
	s.add(b, 50_000)
	s.checkpoint(b)
	for b.Loop() {
		b.StopTimer()
		s.add(b, 1000)
		b.StartTimer()
		s.checkpoint(b)
	}
}

// BenchmarkCheckLength is what each start pays.
func BenchmarkCheckLength(b *testing.B) {
	s := open(b)
	s.add(b, 50_000)
	anchor := s.checkpoint(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.View(b.Context(), func(tx *sqldb.Tx) error { return s.log.CheckLength(tx, anchor) }); err != nil {
			b.Fatal(err)
		}
	}
}
