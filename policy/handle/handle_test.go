package handle_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

var rows = rowmac.New([rowmac.KeySize]byte{1, 2, 3})

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

const me, other = "agent:me", "agent:other"

// open opens a database; more names the file of one that is open already, as
// another process would have it.
func open(tb testing.TB, more ...string) (*sqldb.DB, string) {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(append([]string{dir}, "test.db")...)
	if len(more) > 0 {
		path = more[0]
	}
	db, err := sqldb.Open(tb.Context(), path, handle.Migrations())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db, path
}

func update(tb testing.TB, db *sqldb.DB, fn func(tx *sqldb.Tx) error) {
	tb.Helper()
	if err := db.Update(tb.Context(), fn); err != nil {
		tb.Fatal(err)
	}
}

// with runs fn with a fresh store in one transaction.
func with(tb testing.TB, fn func(tx *sqldb.Tx, s *handle.Store)) {
	tb.Helper()
	db, _ := open(tb)
	update(tb, db, func(tx *sqldb.Tx) error { fn(tx, handle.New(rows)); return nil })
}

func spec(principal string) handle.Spec {
	d, err := vault.ParseDestination("https://api.openai.com/v1/*", vault.Bearer)
	if err != nil {
		panic(err)
	}
	return handle.Spec{Principal: principal, Path: "production/openai/api-key", Destinations: []vault.Destination{d}, Rule: "inference"}
}

func mustMint(tb testing.TB, tx *sqldb.Tx, s *handle.Store, sp handle.Spec, now time.Time) (string, handle.Handle) {
	tb.Helper()
	text, h, err := s.Mint(tx, sp, now)
	if err != nil {
		tb.Fatal(err)
	}
	return text, h
}

func want(tb testing.TB, what string, got, sentinel error) {
	tb.Helper()
	if !errors.Is(got, sentinel) || (got == nil) != (sentinel == nil) {
		tb.Errorf("%s: got %v, want %v", what, got, sentinel)
	}
}

func TestWhatWasMintedComesBack(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		full := spec(me)
		full.Version, full.Shape, full.TTL, full.Uses, full.Parent = 3, "sk-proj-{handle}", time.Hour, 5, "h_parent"
		for name, sp := range map[string]handle.Spec{"least": {Principal: me, Path: "a"}, "full": full} {
			text, minted := mustMint(t, tx, s, sp, noon)
			ttl := sp.TTL
			if ttl == 0 {
				ttl = handle.DefaultTTL
			}
			if handle.Check(text) != nil || minted.ID != mint.ID("h_", mint.Hash(text)) || !minted.ExpiresAt.Equal(noon.Add(ttl)) || minted.MaxUses != sp.Uses {
				t.Errorf("%s: minted %+v", name, minted)
			}
			got, err := s.Lookup(tx, me, text, noon)
			if err != nil || !reflect.DeepEqual(got, minted) {
				t.Errorf("%s: looked up %+v %v\nminted %+v", name, got, err, minted)
			}
			minted.Used = 1
			got, err = s.Spend(tx, me, text, noon)
			if err != nil || !reflect.DeepEqual(got, minted) {
				t.Errorf("%s: spent %+v %v\nminted %+v", name, got, err, minted)
			}
		}
	})
}

func TestOnlyTheHashIsStored(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		text, h := mustMint(t, tx, s, spec(me), noon)
		var row string
		if err := tx.QueryRow("SELECT hex(hash) || id || principal || path || destinations || shape || rule || parent FROM handles").Scan(&row); err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{text, strings.TrimPrefix(text, handle.Prefix), text[4:14]} {
			if strings.Contains(row, part) || strings.Contains(h.ID, part) {
				t.Errorf("part of the handle is stored: %s", row)
			}
		}
	})
}

func TestBadSpecs(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		for field, change := range map[string]func(*handle.Spec){
			"principal": func(s *handle.Spec) { s.Principal = "" },
			"path":      func(s *handle.Spec) { s.Path = "" },
			"version":   func(s *handle.Spec) { s.Version = -1 },
			"ttl":       func(s *handle.Spec) { s.TTL = handle.MaxTTL + 1 },
			"uses":      func(s *handle.Spec) { s.Uses = -1 },
		} {
			sp := spec(me)
			change(&sp)
			text, h, err := s.Mint(tx, sp, noon)
			var bad *vault.InvalidError
			if !errors.As(err, &bad) || bad.Field != field || text != "" || h.ID != "" {
				t.Errorf("%s: %v", field, err)
			}
		}
		sp := spec(me)
		sp.TTL = -1
		_, _, err := s.Mint(tx, sp, noon)
		if _, ok := errors.AsType[*vault.InvalidError](err); !ok {
			t.Errorf("negative: %v", err)
		}
	})
}

// TestEachRefusalIsToldApart runs Lookup and Spend through every way a handle
// can fail; they agree always, and a stranger hears nothing but "unknown".
func TestEachRefusalIsToldApart(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		later := noon.Add(handle.DefaultTTL)
		for name, tc := range map[string]struct {
			uses, spent int
			revoke      bool
			now         time.Time
			want        error
		}{
			"fresh":                   {0, 0, false, noon, nil},
			"just in time":            {0, 0, false, later.Add(-time.Microsecond), nil},
			"expired":                 {0, 0, false, later, handle.ErrExpired},
			"long expired":            {0, 0, false, later.Add(time.Hour), handle.ErrExpired},
			"clock a little back":     {0, 0, false, noon.Add(-5 * time.Minute), nil},
			"clock set back":          {0, 0, false, noon.Add(-5*time.Minute - time.Microsecond), handle.ErrExpired},
			"one use left":            {2, 1, false, noon, nil},
			"exhausted":               {2, 2, false, noon, handle.ErrExhausted},
			"uncounted":               {0, 9, false, noon, nil},
			"revoked":                 {0, 0, true, noon, handle.ErrRevoked},
			"revoked and expired":     {0, 0, true, later, handle.ErrRevoked},
			"expired and exhausted":   {1, 1, false, later, handle.ErrExpired},
			"exhausted, then revoked": {1, 1, true, noon, handle.ErrRevoked},
		} {
			sp := spec(me)
			sp.Uses = tc.uses
			text, h := mustMint(t, tx, s, sp, noon)
			for range tc.spent {
				if _, err := s.Spend(tx, me, text, noon); err != nil {
					t.Fatal(err)
				}
			}
			if tc.revoke {
				want(t, "revoke", s.Revoke(tx, h.ID, noon), nil)
			}
			for _, stranger := range []string{other, "", "owner", me + "x", strings.ToUpper(me)} {
				for what, method := range map[string]func(*sqldb.Tx, string, string, time.Time) (handle.Handle, error){"look up": s.Lookup, "spend": s.Spend} {
					got, err := method(tx, stranger, text, tc.now)
					if err == nil || err.Error() != handle.ErrUnknown.Error() || !reflect.DeepEqual(got, handle.Handle{}) {
						t.Errorf("%s: %s as %q: %+v %v", name, what, stranger, got, err)
					}
				}
			}
			got, err := s.Lookup(tx, me, text, tc.now)
			want(t, name+": look up", err, tc.want)
			if got.ID != h.ID || got.Used != tc.spent {
				t.Errorf("%s: %+v", name, got)
			}
			got, err = s.Spend(tx, me, text, tc.now)
			want(t, name+": spend", err, tc.want)
			used := tc.spent
			if tc.want == nil {
				used++
			}
			if got.ID != h.ID || got.Used != used {
				t.Errorf("%s: %+v", name, got)
			}
		}
	})
}

// TestMistypedIsSaidBeforeAnyLookup: the transaction is not touched, so none
// is needed.
func TestMistypedIsSaidBeforeAnyLookup(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		text, _ := mustMint(t, tx, s, spec(me), noon)
		last := text[len(text)-1]
		swapped := byte('A')
		if last == swapped {
			swapped = 'B'
		}
		for _, wrong := range []string{"", "ash_", text[:len(text)-1], text + "0", text[:len(text)-1] + string(swapped), strings.ToLower(text), "sk-" + text, " " + text, "h_0123456789"} {
			_, err := s.Lookup(nil, me, wrong, noon)
			want(t, wrong, err, handle.ErrMistyped)
			_, err = s.Spend(nil, me, wrong, noon)
			want(t, wrong, err, handle.ErrMistyped)
		}
	})
}

// TestNoGuessHits: well-formed guesses of what two hundred handles might be.
func TestNoGuessHits(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		ring(t, tx, s, spec(me), 200, noon)
		for i := range *guesses {
			guess, err := mint.New(handle.Prefix)
			if err != nil {
				t.Fatal(err)
			}
			try := s.Lookup
			if i%20 == 0 {
				try = s.Spend
			}
			if _, err := try(tx, me, guess, noon); !errors.Is(err, handle.ErrUnknown) {
				t.Fatalf("%s: %v", guess, err)
			}
		}
	})
}
