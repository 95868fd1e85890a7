package embedded_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// anotherSource makes a second key file in the home.
func (h home) anotherSource(tb testing.TB) embedded.KeySource {
	tb.Helper()
	key := filepath.Join(h.dir, "other")
	if err := embedded.CreateKeyFile(key); err != nil {
		tb.Fatal(err)
	}
	src, err := embedded.ParseKeySource(embedded.FileURI(key))
	if err != nil {
		tb.Fatal(err)
	}
	return src
}

func (h home) keyring(tb testing.TB, src embedded.KeySource) *embedded.Keyring {
	tb.Helper()
	k, err := embedded.OpenKeyring(tb.Context(), h.db, src)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// opens reports which of two sources opens the home: it must be exactly one.
func (h home) opens(tb testing.TB, a, b embedded.KeySource) embedded.KeySource {
	tb.Helper()
	_, errA := embedded.OpenKeyring(tb.Context(), h.db, a)
	_, errB := embedded.OpenKeyring(tb.Context(), h.db, b)
	switch {
	case errA == nil && errors.Is(errB, vault.ErrKeyWrong):
		return a
	case errB == nil && errors.Is(errA, vault.ErrKeyWrong):
		return b
	}
	tb.Fatalf("exactly one of two sources must open the vault: %v; %v", errA, errB)
	return nil
}

// fillKinds stores n secrets in one commit, some with two versions, some in the trash.
func (h home) fillKinds(tb testing.TB, v *embedded.Vault, n int) {
	tb.Helper()
	if err := h.db.Update(tb.Context(), func(tx *sqldb.Tx) error {
		w := v.InTx(tx)
		for i := range n {
			p := vault.Path(fmt.Sprintf("s/%05d", i))
			_, err := w.Put(p, vault.Change{Value: text("old " + string(p))})
			if err == nil && i%3 == 0 {
				_, err = w.Put(p, vault.Change{Value: text("value " + string(p))})
			}
			if err == nil && i%5 == 0 {
				err = w.Delete(p, false)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
}

// checkFilled reads everything that fillKinds stored.
func checkFilled(tb testing.TB, v *embedded.Vault, n int) {
	tb.Helper()
	for i := range n {
		p := vault.Path(fmt.Sprintf("s/%05d", i))
		s, err := v.Get(tb.Context(), p, vault.Latest)
		if i%5 == 0 {
			if !errors.Is(err, vault.ErrNotFound) {
				tb.Fatalf("%s in the trash: %v", p, err)
			}
			continue
		}
		want := "old " + string(p)
		if i%3 == 0 {
			want = "value " + string(p)
		}
		if err != nil || !s.Value.Equal(text(want)) {
			tb.Fatalf("%s: %v", p, err)
		}
		if s, err = v.Get(tb.Context(), p, 1); err != nil || !s.Value.Equal(text("old "+string(p))) {
			tb.Fatalf("%s, version 1: %v", p, err)
		}
	}
	page, err := v.List(tb.Context(), vault.Query{Deleted: true, Limit: vault.MaxPageSize})
	if want := min((n+4)/5, vault.MaxPageSize); err != nil || len(page.Items) != want {
		tb.Fatalf("%d in the trash, want %d; %v", len(page.Items), want, err)
	}
}

// sealedWith counts the rows of a column by the key that sealed them.
func (h home) sealedWith(tb testing.TB) map[string]int {
	tb.Helper()
	count := map[string]int{}
	for _, column := range []string{"record FROM vault_secrets", "head FROM vault_versions"} {
		if err := h.db.View(tb.Context(), func(tx *sqldb.Tx) error {
			return tx.Query("SELECT "+column, nil, func(scan func(...any) error) error {
				var sealed []byte
				err := scan(&sealed)
				count[string(sealed[:5])]++
				return err
			})
		}); err != nil {
			tb.Fatal(err)
		}
	}
	return count
}

func TestRekey(t *testing.T) {
	const n = 500 // more than two batches
	h := newHome(t)
	k := h.keyring(t, h.src)
	v := embedded.New(h.db, k, nil)
	h.fillKinds(t, v, n)
	before, err := k.State(t.Context(), h.db)
	if err != nil || before.Unfinished {
		t.Fatalf("%+v, %v", before, err)
	}
	if done, err := k.FinishRekey(t.Context(), h.db, embedded.Work{}); done != 0 || err != nil {
		t.Fatalf("nothing to finish: %d, %v", done, err)
	}
	kept := h.seals(t, k, "kept", "plain")
	was := h.sealedWith(t)
	if len(was) != 1 {
		t.Fatalf("sealed by %d keys", len(was))
	}
	var said []string
	record := func(what string) func(*sqldb.Tx) error {
		return func(*sqldb.Tx) error {
			said = append(said, what)
			return nil
		}
	}
	if err := k.BeginRekey(t.Context(), h.db, h.src, embedded.Switch{Record: record("begun")}); err != nil {
		t.Fatal(err)
	}
	checkFilled(t, v, n)
	if state, err := k.State(t.Context(), h.db); err != nil || !state.Unfinished || !state.Made.After(before.Made) {
		t.Errorf("%+v, %v", state, err)
	}
	if err := k.BeginRekey(t.Context(), h.db, h.src, embedded.Switch{}); !errors.Is(err, embedded.ErrUnfinished) {
		t.Errorf("begun twice: %v", err)
	}
	batches := 0
	done, err := k.FinishRekey(t.Context(), h.db, embedded.Work{
		Stores: []embedded.Resealer{func(_ *sqldb.Tx, reseal func(string, []byte) ([]byte, error)) (err error) {
			kept, err = reseal("kept", kept)
			return err
		}},
		Record:   record("done"),
		Progress: func(int) error { batches++; return nil },
	})
	if want := n + n + (n+2)/3; err != nil || done != want || batches < 5 {
		t.Fatalf("%d sealed anew in %d batches, want %d; %v", done, batches, want, err)
	}
	if strings.Join(said, " ") != "begun done" {
		t.Errorf("recorded %v", said)
	}
	for _, again := range []*embedded.Keyring{k, h.keyring(t, h.src)} {
		checkFilled(t, embedded.New(h.db, again, nil), n)
		if plain, err := h.unseals(t, again, "kept", kept); err != nil || string(plain) != "plain" {
			t.Errorf("%q, %v", plain, err)
		}
		if state, err := again.State(t.Context(), h.db); err != nil || state.Unfinished {
			t.Errorf("%+v, %v", state, err)
		}
	}
	for key := range h.sealedWith(t) {
		if was[key] != 0 {
			t.Errorf("%d things are sealed with the key that was dropped", was[key])
		}
	}
}

// TestRekeyExactlyOneSourceOpens stops at every step of a change of source, and
// lets a new process finish.
func TestRekeyExactlyOneSourceOpens(t *testing.T) {
	const n = 450
	stop := errors.New("stop")
	for step := range 20 {
		h := newHome(t)
		to := h.anotherSource(t)
		k := h.keyring(t, h.src)
		h.fillKinds(t, embedded.New(h.db, k, nil), n)
		steps := 0
		count := func() error {
			if steps++; steps > step {
				return stop
			}
			return nil
		}
		want := h.src
		err := k.BeginRekey(t.Context(), h.db, to, embedded.Switch{
			Before: func(string) error { return count() },
			Record: func(*sqldb.Tx) error { return count() },
		})
		if err == nil {
			want = to
			_, err = k.FinishRekey(t.Context(), h.db, embedded.Work{
				Stores:   []embedded.Resealer{func(*sqldb.Tx, func(string, []byte) ([]byte, error)) error { return count() }},
				Record:   func(*sqldb.Tx) error { return count() },
				Progress: func(int) error { return count() },
			})
		}
		if err != nil && !errors.Is(err, stop) {
			t.Fatalf("step %d: %v", step, err)
		}
		src := h.opens(t, h.src, to)
		if src != want {
			t.Fatalf("step %d: %s opens", step, src)
		}
		finished := err == nil
		k = h.keyring(t, src)
		checkFilled(t, embedded.New(h.db, k, nil), n)
		if src == to {
			if _, err := k.FinishRekey(t.Context(), h.db, embedded.Work{}); err != nil {
				t.Fatalf("step %d, again: %v", step, err)
			}
			checkFilled(t, embedded.New(h.db, h.keyring(t, to), nil), n)
			if len(h.sealedWith(t)) != 1 {
				t.Errorf("step %d: something is left of the old key", step)
			}
		}
		if finished {
			if step < 8 {
				t.Errorf("only %d steps", step)
			}
			return
		}
	}
	t.Error("more steps than looked at")
}

// TestRekeyBesideOthers: a process that opened the vault before reads and writes
// at every stage.
func TestRekeyBesideOthers(t *testing.T) {
	const n = 300
	h := newHome(t)
	k := h.keyring(t, h.src)
	h.fillKinds(t, embedded.New(h.db, k, nil), n)
	db, err := sqldb.Open(t.Context(), filepath.Join(h.dir, "vault.db"), embedded.Migrations())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // the test looks at what was written
	other := embedded.New(db, h.keyring(t, h.src), nil)
	checkFilled(t, other, n)
	puts := 0
	write := func(int) error {
		puts++
		_, err := other.Put(t.Context(), vault.Path(fmt.Sprintf("w/%d", puts)), vault.Change{Value: text("written")})
		return err
	}
	if err := k.BeginRekey(t.Context(), h.db, h.src, embedded.Switch{}); err != nil {
		t.Fatal(err)
	}
	if err := write(0); err != nil {
		t.Fatal(err)
	}
	checkFilled(t, other, n)
	if _, err := k.FinishRekey(t.Context(), h.db, embedded.Work{Progress: write}); err != nil {
		t.Fatal(err)
	}
	// The other one still holds both keys, and must use neither without a look.
	if err := write(0); err != nil {
		t.Fatal(err)
	}
	if len(h.sealedWith(t)) != 1 {
		t.Error("a writer has used the key that was dropped")
	}
	for _, v := range []*embedded.Vault{other, h.open(t, nil)} {
		checkFilled(t, v, n)
		for i := range puts {
			if s, err := v.Get(t.Context(), vault.Path(fmt.Sprintf("w/%d", i+1)), vault.Latest); err != nil || !s.Value.Equal(text("written")) {
				t.Errorf("w/%d: %v", i+1, err)
			}
		}
	}
}

// TestRekeyToAnotherSourceBesideOthers: who cannot open the new keyset says so
// and writes nothing.
func TestRekeyToAnotherSourceBesideOthers(t *testing.T) {
	h := newHome(t)
	k := h.keyring(t, h.src)
	h.fillKinds(t, embedded.New(h.db, k, nil), 10)
	other := h.open(t, nil)
	if err := k.BeginRekey(t.Context(), h.db, h.anotherSource(t), embedded.Switch{}); err != nil {
		t.Fatal(err)
	}
	checkFilled(t, other, 10) // nothing has been sealed anew yet
	if _, err := k.FinishRekey(t.Context(), h.db, embedded.Work{}); err != nil {
		t.Fatal(err)
	}
	_, get := other.Get(t.Context(), "s/00001", vault.Latest)
	_, put := other.Put(t.Context(), "s/00001", vault.Change{Value: text("x")})
	_, list := other.List(t.Context(), vault.Query{})
	for _, err := range []error{get, put, list} {
		if !errors.Is(err, vault.ErrKeyWrong) || errors.Is(err, vault.ErrCorrupt) || !strings.Contains(err.Error(), "start the process anew") {
			t.Errorf("got %v", err)
		}
	}
	checkFilled(t, embedded.New(h.db, k, nil), 10)
}

// TestRekeyUnderLoad: writers in several connections lose nothing.
func TestRekeyUnderLoad(t *testing.T) {
	const n, writers, each = 400, 4, 60
	h := newHome(t)
	k := h.keyring(t, h.src)
	h.fillKinds(t, embedded.New(h.db, k, nil), n)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			db, err := sqldb.Open(t.Context(), filepath.Join(h.dir, "vault.db"), embedded.Migrations())
			if err != nil {
				t.Error(err)
				return
			}
			defer db.Close() //nolint:errcheck // the test looks at what was written
			keys, err := embedded.OpenKeyring(t.Context(), db, h.src)
			if err != nil {
				t.Error(err)
				return
			}
			v := embedded.New(db, keys, nil)
			for i := range each {
				p := vault.Path(fmt.Sprintf("w/%d", w))
				if _, err := v.Put(t.Context(), p, vault.Change{Value: text(fmt.Sprint(i))}); err != nil {
					t.Error(err)
				}
				if s, err := v.Get(t.Context(), p, vault.Latest); err != nil || s.Version != i+1 || !s.Value.Equal(text(fmt.Sprint(i))) {
					t.Errorf("%s: version %d, %v", p, s.Version, err)
				}
			}
		})
	}
	rounds := 0
	for range 3 {
		if err := k.BeginRekey(t.Context(), h.db, h.src, embedded.Switch{}); err != nil {
			t.Fatal(err)
		}
		if _, err := k.FinishRekey(t.Context(), h.db, embedded.Work{}); err != nil {
			t.Fatal(err)
		}
		rounds++
	}
	wg.Wait()
	v := h.open(t, nil)
	checkFilled(t, v, n)
	for w := range writers {
		for i := range each {
			if s, err := v.Get(t.Context(), vault.Path(fmt.Sprintf("w/%d", w)), i+1); err != nil || !s.Value.Equal(text(fmt.Sprint(i))) {
				t.Fatalf("w/%d version %d after %d rounds: %v", w, i+1, rounds, err)
			}
		}
	}
}

// TestRekeyKeepsWhatIsDamaged: while something does not open, the old key stays.
func TestRekeyKeepsWhatIsDamaged(t *testing.T) {
	h := newHome(t)
	k := h.keyring(t, h.src)
	v := embedded.New(h.db, k, nil)
	h.fillKinds(t, v, 20)
	h.exec(t, "UPDATE vault_versions SET head = zeroblob(40) WHERE path = 's/00003' AND version = 2")
	h.exec(t, "UPDATE vault_secrets SET record = substr(record, 1, 20) WHERE path = 's/00007'")
	if err := k.BeginRekey(t.Context(), h.db, h.src, embedded.Switch{}); err != nil {
		t.Fatal(err)
	}
	_, err := k.FinishRekey(t.Context(), h.db, embedded.Work{})
	if !errors.Is(err, vault.ErrCorrupt) || !strings.Contains(err.Error(), `"s/00003" version 2`) || !strings.Contains(err.Error(), `metadata of "s/00007"`) {
		t.Fatalf("got %v", err)
	}
	if state, err := k.State(t.Context(), h.db); err != nil || !state.Unfinished {
		t.Errorf("%+v, %v", state, err)
	}
	if s, err := v.Get(t.Context(), "s/00003", 1); err != nil || !s.Value.Equal(text("old s/00003")) {
		t.Errorf("another version of a damaged one: %v", err)
	}
	for _, p := range []vault.Path{"s/00003", "s/00007"} {
		if err := v.Delete(t.Context(), p, true); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.FinishRekey(t.Context(), h.db, embedded.Work{}); err != nil {
		t.Fatal(err)
	}
	if len(h.sealedWith(t)) != 1 {
		t.Error("something is left of the old key")
	}
}

// TestRekeyTwiceAtOnce: of two that begin, one does.
func TestRekeyTwiceAtOnce(t *testing.T) {
	h := newHome(t)
	first, second := h.keyring(t, h.src), h.keyring(t, h.src)
	err := first.BeginRekey(t.Context(), h.db, h.src, embedded.Switch{Before: func(string) error {
		return second.BeginRekey(t.Context(), h.db, h.src, embedded.Switch{})
	}})
	if !errors.Is(err, vault.ErrBusy) {
		t.Errorf("got %v", err)
	}
	if _, err := first.FinishRekey(t.Context(), h.db, embedded.Work{}); err != nil {
		t.Errorf("what the other began: %v", err)
	}
	if state, err := second.State(t.Context(), h.db); err != nil || state.Unfinished {
		t.Errorf("%+v, %v", state, err)
	}
}

// TestRekeyLeavesNoOldKeyset: what the file held of the old keyset is gone, from
// the log too.
func TestRekeyLeavesNoOldKeyset(t *testing.T) {
	h := newHome(t)
	k := h.keyring(t, h.src)
	h.fillKinds(t, embedded.New(h.db, k, nil), 5)
	var old []byte
	h.row(t, "SELECT sealed FROM vault_keyring", &old)
	if err := k.BeginRekey(t.Context(), h.db, h.anotherSource(t), embedded.Switch{}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.FinishRekey(t.Context(), h.db, embedded.Work{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"vault.db", "vault.db-wal"} {
		data, err := os.ReadFile(filepath.Join(h.dir, name))
		if err != nil && name == "vault.db" {
			t.Fatal(err)
		}
		if strings.Contains(string(data), string(old[20:60])) {
			t.Errorf("%s still holds the old keyset", name)
		}
	}
}
