package vaulttest

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// Caps declares what a vault does beyond [vault.Vault].
type Caps struct {
	Trash   bool // it is a [vault.Restorer] and lists its trash
	History bool // it is a [vault.Historian]
	// Destinations: it keeps where a value may land and the recipe for the next
	// one. Without it a change that has either is refused with
	// errors.ErrUnsupported, before anything is stored.
	Destinations bool
	// FakeTime: the vault takes its time from time.Now in this process and
	// never waits on a network, so its tests run in synctest bubbles. Without
	// it what only time shows is not tested.
	FakeTime bool
}

// Run holds a vault to the contract. open returns an empty vault; the suite
// closes it.
func Run(t *testing.T, open func(t *testing.T) vault.Vault, caps Caps) {
	t.Helper()
	t.Run("capabilities", func(t *testing.T) { checkCaps(t, open(t), caps) })
	for _, c := range cases() {
		if !c.needs.within(caps) {
			t.Logf("declared limit: %q does not apply", c.name)
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			test := func(t *testing.T) { t.Helper(); c.run(&run{T: t, Vault: open(t), caps: caps}) }
			if caps.FakeTime {
				synctest.Test(t, test)
			} else {
				test(t)
			}
		})
	}
}

func checkCaps(t *testing.T, v vault.Vault, caps Caps) {
	t.Helper()
	if _, ok := v.(vault.Restorer); ok != caps.Trash {
		t.Errorf("declares trash %v, is a Restorer: %v", caps.Trash, ok)
	}
	if _, ok := v.(vault.Historian); ok != caps.History {
		t.Errorf("declares history %v, is a Historian: %v", caps.History, ok)
	}
	if !caps.Destinations {
		checkRefused(t, v)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
}

// checkRefused holds a vault that keeps no destinations and recipes to say so.
func checkRefused(t *testing.T, v vault.Vault) {
	t.Helper()
	r := &run{T: t, Vault: v, caps: Caps{Destinations: true}}
	_, full := r.full()
	for name, c := range map[string]vault.Change{
		"destinations": {Value: value("v"), Destinations: full.Destinations},
		"a recipe":     {Value: value("v"), Generate: full.Generate},
	} {
		if _, err := v.Put(t.Context(), "refused", c); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("declares no destinations, and %s end in %v", name, err)
		}
		r.wantGetError("refused", vault.Latest, vault.ErrNotFound)
	}
}

func (needs Caps) within(caps Caps) bool {
	return (!needs.Trash || caps.Trash) && (!needs.History || caps.History) && (!needs.Destinations || caps.Destinations) && (!needs.FakeTime || caps.FakeTime)
}

type testCase struct {
	name  string
	needs Caps
	run   func(*run)
}

func cases() []testCase {
	var all []testCase
	for _, group := range [][]testCase{putCases(), limitCases(), versionCases(), listCases(), trashCases()} {
		all = append(all, group...)
	}
	return all
}

// run is one test of one empty vault.
type run struct {
	*testing.T
	vault.Vault
	caps Caps
}

func value(s string) secret.Value { return secret.New([]byte(s)) }

func (r *run) put(p vault.Path, c vault.Change) vault.Metadata {
	r.Helper()
	m, err := r.Put(r.Context(), p, c)
	if err != nil {
		r.Fatalf("put %s: %v", p, err)
	}
	return m
}

func (r *run) putText(paths ...vault.Path) {
	r.Helper()
	for _, p := range paths {
		r.put(p, vault.Change{Value: value("value of " + string(p))})
	}
}

func (r *run) delete(p vault.Path, permanent bool) {
	r.Helper()
	if err := r.Delete(r.Context(), p, permanent); err != nil {
		r.Fatalf("delete %s: %v", p, err)
	}
}

func (r *run) restore(p vault.Path) (vault.Metadata, error) {
	return r.Vault.(vault.Restorer).Restore(r.Context(), p)
}

// wantValue gets a version and compares.
func (r *run) wantValue(p vault.Path, version int, want string) vault.Secret {
	r.Helper()
	s, err := r.Get(r.Context(), p, version)
	if err != nil {
		r.Errorf("get %s version %d: %v", p, version, err)
	} else if !s.Value.Equal(value(want)) {
		r.Errorf("get %s version %d: another value", p, version)
	}
	return s
}

func (r *run) wantGetError(p vault.Path, version int, want error) {
	r.Helper()
	_, err := r.Get(r.Context(), p, version)
	r.wantError(err, want)
}

func (r *run) wantError(got, want error) {
	r.Helper()
	if !errors.Is(got, want) {
		r.Errorf("got error %v, want %v", got, want)
	}
}

// wantInvalid expects an *[vault.InvalidError] of a field that does not repeat
// the input.
func (r *run) wantInvalid(err error, field, input string) {
	r.Helper()
	var invalid *vault.InvalidError
	if !errors.As(err, &invalid) {
		r.Errorf("got error %v, want one of field %q", err, field)
		return
	}
	if invalid.Field != field {
		r.Errorf("got field %q, want %q", invalid.Field, field)
	}
	if len(input) > 3 && strings.Contains(err.Error(), input) {
		r.Errorf("the error of %q repeats the input", field)
	}
}
