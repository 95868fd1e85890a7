package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// written returns what a table of times has, by its key.
func (f *fixture) written(t *testing.T, table, key string) map[string]time.Time {
	t.Helper()
	out := map[string]time.Time{}
	if err := f.db.View(t.Context(), func(tx *sqldb.Tx) error {
		return tx.Query(`SELECT `+key+`, at FROM `+table, nil, func(scan func(...any) error) error {
			var k string
			var at int64
			err := scan(&k, &at)
			out[k] = sqldb.Time(at)
			return err
		})
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func (f *fixture) read(t *testing.T, p vault.Path) {
	t.Helper()
	if _, err := f.Reveal(t.Context(), owner, p, vault.Latest); err != nil {
		t.Fatal(err)
	}
}

// TestReadingsAreWrittenBeside the record, together, a second later; and what is
// left by Close.
func TestReadingsAreWrittenBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newDesk(t, allowEverything)
		for i := range 600 {
			f.put(t, vault.Path(fmt.Sprintf("p/%d", i)), vault.Change{})
		}
		f.pass(time.Minute)
		f.read(t, "p/1")
		f.pass(time.Minute)
		for i := range 600 {
			f.read(t, vault.Path(fmt.Sprintf("p/%d", i)))
		}
		if got := f.written(t, "accesses", "path"); len(got) > 0 {
			t.Errorf("%d were written at once", len(got))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		got := f.written(t, "accesses", "path")
		if len(got) != 600 || !got["p/1"].Equal(f.now()) {
			t.Errorf("%d, %v", len(got), got["p/1"])
		}
		f.pass(time.Minute)
		f.read(t, "p/1")
		if err := f.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := f.written(t, "accesses", "path"); !got["p/1"].Equal(f.now()) {
			t.Errorf("after Close %v", got["p/1"])
		}
	})
}

// TestReadingIsForgotten with a secret that is destroyed, whether it had been
// written or not: nothing of it comes back, and nobody takes it for one of the next
// secret of that path.
func TestReadingIsForgotten(t *testing.T) {
	for _, wait := range []time.Duration{0, time.Second} {
		for name, destroy := range map[string]func(*testing.T, *fixture){
			"at once": func(t *testing.T, f *fixture) {
				t.Helper()
				if _, err := f.Delete(t.Context(), owner, "p/key", true); err != nil {
					t.Fatal(err)
				}
			},
			"out of the trash": func(t *testing.T, f *fixture) {
				t.Helper()
				if _, err := f.Delete(t.Context(), owner, "p/key", false); err != nil {
					t.Fatal(err)
				}
				for _, passed := range []time.Duration{vault.TrashRetention + 25*time.Hour, 25 * time.Hour} {
					f.pass(passed)
					if err := f.Sign(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			},
		} {
			t.Run(fmt.Sprint(name, wait), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newDesk(t, allowEverything)
					f.put(t, "p/key", vault.Change{})
					f.read(t, "p/key")
					time.Sleep(wait)
					synctest.Wait()
					destroy(t, f)
					if f.trashed(t) != 0 {
						t.Fatal("it is still there")
					}
					if err := f.Close(t.Context()); err != nil {
						t.Fatal(err)
					}
					if got := f.written(t, "accesses", "path"); len(got) > 0 {
						t.Errorf("left: %v", got)
					}
				})
			})
		}
	}
}

// TestTimesOfSeveralDesks: the latest counts, also when the desk that saw it writes
// first; and a time that the clock was set back from does not stay.
func TestTimesOfSeveralDesks(t *testing.T) {
	f := newDesk(t, allowEverything)
	f.put(t, "p/key", vault.Change{})
	other, err := broker.New(f.config)
	if err != nil {
		t.Fatal(err)
	}
	f.read(t, "p/key")
	f.pass(time.Minute)
	if _, err := other.Reveal(t.Context(), owner, "p/key", vault.Latest); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*broker.Broker{other, f.Broker} {
		if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.written(t, "accesses", "path")["p/key"]; !got.Equal(f.now()) {
		t.Errorf("%v, want %v", got, f.now())
	}
	if err := f.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE accesses SET at = ?`, sqldb.Micros(f.now().Add(time.Hour)))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	later, err := broker.New(f.config)
	if err != nil {
		t.Fatal(err)
	}
	_, err = later.Reveal(t.Context(), owner, "p/key", vault.Latest)
	if err = errors.Join(err, later.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	if got := f.written(t, "accesses", "path")["p/key"]; !got.Equal(f.now()) {
		t.Errorf("%v, want %v", got, f.now())
	}
}
