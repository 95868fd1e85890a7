package vault_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/coatcheck-dev/coatcheck/vault"
)

func TestPointerNames(t *testing.T) {
	for p, want := range map[vault.Pointer][]string{
		"/a": {"a"}, "/auth/token": {"auth", "token"}, "/items/0/id": {"items", "0", "id"}, "/": {""}, "/a//b": {"a", "", "b"},
		"/a~1b/c~0d": {"a/b", "c~d"}, "/~01": {"~1"},
	} {
		if got := p.Names(); !slices.Equal(got, want) {
			t.Errorf("%s: %q", p, got)
		}
	}
}

// What is written is read back, whatever the names.
func TestPointerChild(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.StringOf(rapid.SampledFrom([]rune("~/01aä ."))), 1, 5).Draw(t, "names")
		var p vault.Pointer
		for _, name := range names {
			p = p.Child(name)
		}
		if got := p.Names(); !slices.Equal(got, names) {
			t.Fatalf("%q became %q, which is %q", names, p, got)
		}
	})
}
