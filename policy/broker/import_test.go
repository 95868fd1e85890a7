package broker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

func items(values map[vault.Path]string) (out []broker.ImportItem) {
	paths := make([]vault.Path, 0, len(values))
	for p := range values {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		kind := vault.APIKey
		out = append(out, broker.ImportItem{Path: p, Change: vault.Change{Value: secret.New([]byte(values[p])), Type: &kind}})
	}
	return out
}

func TestImportIsOneChange(t *testing.T) {
	f := newDesk(t, allowAll)
	f.put(t, "a/old", vault.Change{}, "api.example.com")
	done := 0
	r := broker.ImportRequest{Items: items(map[vault.Path]string{"a/new": "one", "a/old": "two", "a/x/y": "three"}), Progress: func(n int) { done = n }}
	var conflict *broker.ImportConflict
	if _, err := f.Import(t.Context(), owner, r); !errors.As(err, &conflict) || !errors.Is(err, vault.ErrExists) || !slices.Equal(conflict.Exist, []vault.Path{"a/old"}) {
		t.Fatalf("one exists: %v", err)
	}
	if e := f.last(t); e.Event != "secret.imported" || e.Code != "exists" {
		t.Errorf("recorded %+v", e)
	}
	if _, err := f.Describe(t.Context(), owner, "a/new"); !errors.Is(err, vault.ErrNotFound) {
		t.Fatalf("a part was stored: %v", err)
	}
	before := len(f.events(t))
	r.Replace, r.DryRun = true, true
	tried, err := f.Import(t.Context(), owner, r)
	if err != nil || len(tried) != 3 || !tried[0].Created || tried[1].Created || tried[1].Metadata.Version != 2 {
		t.Fatalf("dry run: %+v, %v", tried, err)
	}
	if _, err := f.Describe(t.Context(), owner, "a/new"); !errors.Is(err, vault.ErrNotFound) || len(f.events(t)) != before {
		t.Fatalf("a dry run stored or recorded something: %v", err)
	}
	r.DryRun = false
	if got, err := f.Import(t.Context(), owner, r); err != nil || len(got) != 3 || done != 3 {
		t.Fatalf("%+v, %v, progress %d", got, err, done)
	}
	old, err := f.Reveal(t.Context(), owner, "a/old", vault.Latest)
	if err != nil || string(old.Value.Reveal()) != "two" || old.Version != 2 || old.Type != vault.Custom || len(old.Destinations) != 1 {
		t.Errorf("more than the value of a secret that existed changed: %+v, %v", old.Metadata, err)
	}
	var said []string
	for _, e := range f.events(t)[before:] {
		said = append(said, fmt.Sprintf("%s %s %d %s", e.Event, e.Path, e.Version, e.Target))
	}
	want := []string{"secret.created a/new 1 import", "secret.updated a/old 2 import", "secret.created a/x/y 1 import", "secret.imported  0 3 secrets", "secret.read a/old 2 "}
	if !slices.Equal(said, want) {
		t.Errorf("recorded %q", said)
	}
}

func importError(_ []broker.Imported, err error) error { return err }

func TestWhatCannotBeImported(t *testing.T) {
	f := newDesk(t, allowAll)
	f.put(t, "a/b", vault.Change{})
	f.put(t, "a/c/d", vault.Change{})
	later := func(ctx context.Context) (context.Context, func()) { return ctx, func() {} }
	for name, tc := range map[string]struct {
		items map[vault.Path]string
		ctx   func(context.Context) (context.Context, func())
		check func(error) bool
	}{
		"a namespace and below a secret": {map[vault.Path]string{"a/c": "x", "a/b/c": "x", "a/n": "x"}, later, func(err error) bool {
			conflict, ok := errors.AsType[*broker.ImportConflict](err)
			return ok && errors.Is(err, vault.ErrPathConflict) && len(conflict.Clash) == 2 && len(conflict.Exist) == 0
		}},
		"both": {map[vault.Path]string{"a/b": "x", "a/c": "x"}, later, func(err error) bool {
			conflict, ok := errors.AsType[*broker.ImportConflict](err)
			return ok && errors.Is(err, vault.ErrExists) && len(conflict.Clash) == 1 && len(conflict.Exist) == 1
		}},
		"two of them": {map[vault.Path]string{"n/a": "x", "n/a/b": "x"}, later, func(err error) bool { return errors.Is(err, vault.ErrPathConflict) }},
		"a handle": {map[vault.Path]string{"n/a": "x", "n/b": "ash_0123456789abcdefghijklmnopqr"}, later, func(err error) bool {
			item, ok := errors.AsType[*broker.ItemError](err)
			invalid, bad := errors.AsType[*vault.InvalidError](err)
			return ok && item.Path == "n/b" && bad && invalid.Field == "value"
		}},
		"cancelled": {map[vault.Path]string{"n/a": "x", "n/b": "y"}, func(ctx context.Context) (context.Context, func()) { return context.WithCancel(ctx) }, func(err error) bool { return errors.Is(err, context.Canceled) }},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := tc.ctx(t.Context())
			r := broker.ImportRequest{Items: items(tc.items), Progress: func(int) { stop() }} // after the first
			if _, err := f.Import(ctx, owner, r); !tc.check(err) {
				t.Errorf("got %v", err)
			}
			for _, p := range []vault.Path{"a/n", "n/a", "n/b"} {
				if _, err := f.Describe(t.Context(), owner, p); !errors.Is(err, vault.ErrNotFound) {
					t.Errorf("%s was stored: %v", p, err)
				}
			}
		})
	}
	many := broker.ImportRequest{Items: make([]broker.ImportItem, broker.MaxImport+1)}
	if invalid, ok := errors.AsType[*vault.InvalidError](importError(f.Import(t.Context(), owner, many))); !ok || invalid.Field != "items" {
		t.Errorf("too many: %v", invalid)
	}
	if _, err := f.Import(t.Context(), local, broker.ImportRequest{Items: items(map[vault.Path]string{"n/a": "x"})}); codeOf(err) != "policy_denied" {
		t.Errorf("an agent without the right imports: %v", err)
	}
}

func TestExport(t *testing.T) {
	f := newDesk(t, allowAll)
	one, two := f.put(t, "a/1", vault.Change{}), f.put(t, "a/2", vault.Change{})
	before := len(f.events(t))
	got, err := f.Export(t.Context(), owner, []vault.Path{"a/2", "a/1"})
	if err != nil || len(got) != 2 || string(got[0].Value.Reveal()) != two || string(got[1].Value.Reveal()) != one {
		t.Fatalf("%d secrets, %v", len(got), err)
	}
	list := f.events(t)[before:]
	if len(list) != 3 || list[0].Event != "secret.read" || list[0].Path != "a/2" || list[0].Target != "export" || list[2].Event != "secret.exported" {
		t.Errorf("recorded %+v", list)
	}
	if got, err := f.Export(t.Context(), owner, []vault.Path{"a/1", "a/none"}); !errors.Is(err, vault.ErrNotFound) || got != nil {
		t.Errorf("one is not there: %v", err)
	}
	if e := f.last(t); e.Event != "secret.exported" || e.Code != "not_found" {
		t.Errorf("recorded %+v", e)
	}
	if _, err := f.Export(t.Context(), local, []vault.Path{"a/1"}); codeOf(err) != "owner_only" {
		t.Errorf("an agent exports: %v", err)
	}
}

// TestImportSpendsAUseForEach: a token stores as many secrets as it has uses, in
// one import or in many; one that is too large stores none and spends none.
func TestImportSpendsAUseForEach(t *testing.T) {
	f := newDesk(t, allowEverything)
	who := f.register(t, identity.NewAgent{Name: "claude"})
	writer, issued := f.token(t, who, broker.TokenRequest{Scopes: scopes(t, "secrets:*:p/*"), MaxUses: 6})
	used := func(want int) {
		t.Helper()
		if got, err := f.Token(t.Context(), owner, issued.ID); err != nil || got.Used != want {
			t.Errorf("%d uses, want %d; %v", got.Used, want, err)
		}
	}
	stored := func(ps ...vault.Path) error {
		var r broker.ImportRequest
		for _, p := range ps {
			r.Items = append(r.Items, broker.ImportItem{Path: p, Change: vault.Change{Value: secret.New([]byte("value"))}})
		}
		_, err := f.Import(t.Context(), writer, r)
		return err
	}
	if err := stored("p/1", "p/2", "p/3"); err != nil {
		t.Fatal(err)
	}
	used(3)
	if bad, ok := errors.AsType[*vault.InvalidError](stored("p/4", "p/5", "p/6", "p/7")); !ok || bad.Field != "max_uses" {
		t.Errorf("four by three uses: %v", bad)
	}
	if err := stored("p/4", "p/1"); !errors.Is(err, vault.ErrExists) {
		t.Errorf("one exists: %v", err)
	}
	r := broker.ImportRequest{Items: items(map[vault.Path]string{"p/4": "x", "p/5": "x"}), DryRun: true}
	if _, err := f.Import(t.Context(), writer, r); err != nil {
		t.Error(err)
	}
	if _, err := f.Describe(t.Context(), owner, "p/4"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("a part was stored: %v", err)
	}
	used(3)
	var passed atomic.Int32
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			err := stored(vault.Path(fmt.Sprintf("p/r%d/1", i)), vault.Path(fmt.Sprintf("p/r%d/2", i)))
			if bad, ok := errors.AsType[*vault.InvalidError](err); err == nil {
				passed.Add(1)
			} else if !ok || bad.Field != "max_uses" {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := passed.Load(); n != 1 {
		t.Errorf("%d imports of two by three uses", n)
	}
	used(5)
	if err := stored("p/9"); err != nil {
		t.Error(err)
	}
	used(6)
	if err := stored("p/10"); !errors.Is(err, identity.ErrUnauthenticated) {
		t.Errorf("an exhausted token imports: %v", err)
	}
}
