package vaulttest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/coatcheck-dev/coatcheck/vault"
)

func listCases() []testCase {
	return []testCase{
		{"order and prefix", Caps{}, (*run).testPrefix},
		{"pages", Caps{}, (*run).testPages},
		{"page sizes", Caps{}, (*run).testPageSizes},
		{"cursors of others", Caps{}, (*run).testForeignCursor},
		{"changes between pages", Caps{}, (*run).testPagesMove},
	}
}

func (r *run) paths(q vault.Query) (paths []string, next string) {
	r.Helper()
	page, err := r.List(r.Context(), q)
	if err != nil {
		r.Fatalf("list %+v: %v", q, err)
	}
	for _, m := range page.Items {
		paths = append(paths, string(m.Path))
	}
	return paths, page.Next
}

func (r *run) wantPaths(q vault.Query, want ...string) {
	r.Helper()
	if got, _ := r.paths(q); !slices.Equal(got, want) {
		r.Errorf("list %+v: %q, want %q", q, got, want)
	}
}

func (r *run) testPrefix() {
	r.wantPaths(vault.Query{})
	all := []string{"A/x", "Z", "a b/x", "a-/x", "a./x", "a/x", "a/y/z", "a0/x", "aa", "b", "z/z"}
	for _, i := range []int{5, 0, 10, 3, 7, 1, 9, 2, 8, 4, 6} {
		r.putText(vault.Path(all[i]))
	}
	r.wantPaths(vault.Query{}, all...)
	r.wantPaths(vault.Query{Prefix: "a/"}, "a/x", "a/y/z")
	r.wantPaths(vault.Query{Prefix: "a"}, all[2:9]...)
	r.wantPaths(vault.Query{Prefix: "a/y/z"}, "a/y/z")
	r.wantPaths(vault.Query{Prefix: "z"}, "z/z")
	for _, none := range []string{"a/y/zz", "a%", "a_", "*", "\xff", "\x00", "a/\x7f", "ä", "'", strings.Repeat("a", 5000)} {
		r.wantPaths(vault.Query{Prefix: none})
	}
}

func (r *run) testPages() {
	var want []string
	for i := range 23 {
		p := fmt.Sprintf("n/%02d", i)
		want = append(want, p)
		r.putText(vault.Path(p))
	}
	r.putText("a", "z")
	for _, size := range []int{1, 7, 22, 23, 24} {
		var got []string
		q := vault.Query{Prefix: "n/", Limit: size}
		for pages := 0; ; pages++ {
			items, next := r.paths(q)
			got = append(got, items...)
			if len(items) > size || pages > 23 {
				r.Fatalf("%d items on page %d of size %d", len(items), pages, size)
			}
			if next == "" {
				break
			}
			q.After = next
		}
		if !slices.Equal(got, want) {
			r.Errorf("size %d: %q", size, got)
		}
	}
}

func (r *run) testPageSizes() {
	for i := range vault.MaxPageSize + 10 {
		r.putText(vault.Path(fmt.Sprintf("n/%03d", i)))
	}
	for limit, want := range map[int]int{
		0: vault.DefaultPageSize, -5: vault.DefaultPageSize, 1: 1, vault.MaxPageSize: vault.MaxPageSize, vault.MaxPageSize + 1: vault.MaxPageSize, 1 << 40: vault.MaxPageSize,
	} {
		if got, next := r.paths(vault.Query{Limit: limit}); len(got) != want || next == "" {
			r.Errorf("limit %d: %d items, next %q", limit, len(got), next)
		}
	}
}

func (r *run) testForeignCursor() {
	r.putText("a", "b", "c")
	_, next := r.paths(vault.Query{Limit: 1})
	other := []byte(next)
	if other[len(other)/2]++; other[len(other)/2] > 'z' {
		other[len(other)/2] = 'A'
	}
	for _, cursor := range []string{"a", "YQ", "-", "\x00", next + "A", next[1:], string(other), strings.Repeat("A", 10000)} {
		_, err := r.List(r.Context(), vault.Query{After: cursor})
		r.wantInvalid(err, "cursor", cursor)
	}
}

func (r *run) testPagesMove() {
	r.putText("b", "d", "f")
	_, next := r.paths(vault.Query{Limit: 2}) // b, d
	r.delete("d", true)                       // what the cursor stands on
	r.putText("a", "c", "e")
	r.wantPaths(vault.Query{After: next}, "e", "f")
}
