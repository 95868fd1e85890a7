package vaulttest

import (
	"fmt"
	"reflect"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

func trashCases() []testCase {
	return []testCase{
		{"delete", Caps{}, (*run).testDelete},
		{"permanent delete", Caps{}, (*run).testPermanent},
		{"restore", Caps{Trash: true}, (*run).testRestore},
		{"create on a deleted path", Caps{Trash: true}, (*run).testCreateOnTrash},
		{"path conflicts with the trash", Caps{Trash: true}, (*run).testTrashConflict},
		{"permanent delete reaches the trash", Caps{Trash: true}, (*run).testPermanentTrash},
		{"pages of the trash", Caps{Trash: true}, (*run).testTrashPages},
		{"retention", Caps{Trash: true, FakeTime: true}, (*run).testRetention},
	}
}

func (r *run) testDelete() {
	r.wantError(r.Delete(r.Context(), "a", false), vault.ErrNotFound)
	r.putText("a", "b")
	r.delete("a", false)
	r.wantGetError("a", vault.Latest, vault.ErrNotFound)
	r.wantGetError("a", 1, vault.ErrNotFound)
	_, err := r.Describe(r.Context(), "a")
	r.wantError(err, vault.ErrNotFound)
	_, err = r.Put(r.Context(), "a", vault.Change{Mode: vault.Replace, Value: value("v")})
	r.wantError(err, vault.ErrNotFound)
	r.wantPaths(vault.Query{}, "b")
	r.wantError(r.Delete(r.Context(), "a", false), vault.ErrNotFound)
	r.wantValue("b", vault.Latest, "value of b")
}

func (r *run) testPermanent() {
	r.wantError(r.Delete(r.Context(), "a", true), vault.ErrNotFound)
	r.put("a", vault.Change{Value: value("v1")})
	r.put("a", vault.Change{Value: value("v2")})
	r.putText("a b", "a-b")
	r.delete("a", true)
	for _, version := range []int{vault.Latest, 1, 2} {
		r.wantGetError("a", version, vault.ErrNotFound)
	}
	r.wantError(r.Delete(r.Context(), "a", true), vault.ErrNotFound)
	r.wantPaths(vault.Query{}, "a b", "a-b")
	r.put("a", vault.Change{Mode: vault.Create, Value: value("new")})
	r.wantValue("a", vault.Latest, "new")
}

func (r *run) testRestore() {
	_, err := r.restore("a")
	r.wantError(err, vault.ErrNotFound)
	p, c := r.full()
	r.put(p, c)
	before := r.put(p, vault.Change{Value: value("v2")})
	_, err = r.restore(p)
	r.wantError(err, vault.ErrExists)
	r.delete(p, false)
	after, err := r.restore(p)
	if err != nil || !reflect.DeepEqual(before, after) {
		r.Errorf("restored %+v, %v, want %+v", after, err, before)
	}
	r.wantValue(p, 1, "sk-1")
	r.wantValue(p, vault.Latest, "v2")
	if m := r.put(p, vault.Change{Value: value("v3")}); m.Version != 3 {
		r.Errorf("version %d", m.Version)
	}
	_, err = r.restore(p)
	r.wantError(err, vault.ErrExists)
}

func (r *run) testCreateOnTrash() {
	r.put("a", vault.Change{Value: value("v1"), Tier: new(vault.Critical), Description: new("the first")})
	r.put("a", vault.Change{Value: value("v2")})
	r.delete("a", false)
	m := r.put("a", vault.Change{Mode: vault.Create, Value: value("v3")})
	if m.Version != 3 || m.Tier != vault.Standard || m.Description != "" {
		r.Errorf("the new one is %+v", m)
	}
	r.wantGetError("a", 1, vault.ErrNotFound)
	r.wantGetError("a", 2, vault.ErrNotFound)
	r.wantValue("a", 3, "v3")
	r.wantPaths(vault.Query{Deleted: true}, "a")
	_, err := r.restore("a")
	r.wantError(err, vault.ErrExists)
	r.put("a", vault.Change{Value: value("v4"), Grace: new(time.Duration(0))}) // retires 3, not what is in the trash
	r.delete("a", false)
	r.wantPaths(vault.Query{Deleted: true}, "a", "a")
	m, err = r.restore("a") // the last one deleted
	if err != nil || m.Version != 4 {
		r.Errorf("restored %+v, %v", m, err)
	}
	r.wantGetError("a", 3, vault.ErrVersionRetired)
	r.wantGetError("a", 2, vault.ErrNotFound)
	r.wantValue("a", vault.Latest, "v4")
	r.wantPaths(vault.Query{Deleted: true}, "a")
}

func (r *run) testTrashConflict() {
	r.putText("a", "b/c")
	r.delete("a", false)
	r.delete("b/c", false)
	r.putText("a/b", "b") // what is in the trash takes no path
	_, err := r.restore("a")
	r.wantError(err, vault.ErrPathConflict)
	_, err = r.restore("b/c")
	r.wantError(err, vault.ErrPathConflict)
	r.delete("a/b", false)
	if _, err = r.restore("a"); err != nil {
		r.Error(err)
	}
}

func (r *run) testPermanentTrash() {
	r.put("a", vault.Change{Value: value("v1")})
	r.delete("a", false)
	r.put("a", vault.Change{Value: value("v2")})
	r.delete("a", false)
	r.putText("b")
	r.delete("b", false)
	r.delete("a", true) // both
	_, err := r.restore("a")
	r.wantError(err, vault.ErrNotFound)
	r.wantPaths(vault.Query{Deleted: true}, "b")
	r.wantError(r.Delete(r.Context(), "a", true), vault.ErrNotFound)
}

func (r *run) testTrashPages() {
	var want []string
	for i := range 3 {
		for j := range 4 {
			p := fmt.Sprintf("n/%d", i)
			r.putText(vault.Path(p))
			r.delete(vault.Path(p), false)
			want = append(want, fmt.Sprintf("%s version %d", p, j+1))
		}
	}
	r.putText("n/live", "o")
	r.delete("o", false)
	for size := 1; size <= 13; size++ {
		var got []string
		q := vault.Query{Prefix: "n/", Deleted: true, Limit: size}
		for {
			page, err := r.List(r.Context(), q)
			if err != nil {
				r.Fatal(err)
			}
			for _, m := range page.Items {
				got = append(got, fmt.Sprintf("%s version %d", m.Path, m.Version))
				if m.DeletedAt.IsZero() {
					r.Errorf("%s in the trash is not deleted", m.Path)
				}
			}
			if q.After = page.Next; page.Next == "" {
				break
			}
		}
		if !reflect.DeepEqual(got, want) {
			r.Errorf("size %d: %q", size, got)
		}
	}
	_, live := r.paths(vault.Query{Limit: 0, Prefix: "n/"})
	if live != "" {
		r.Error("one live secret makes two pages")
	}
	_, next := r.paths(vault.Query{Deleted: true, Limit: 1})
	_, err := r.List(r.Context(), vault.Query{After: next})
	r.wantInvalid(err, "cursor", next) // a cursor of the trash is none of the live
}

func (r *run) testRetention() {
	r.putText("a", "b")
	r.delete("a", false)
	time.Sleep(vault.TrashRetention - time.Second)
	r.delete("b", false)
	r.wantPaths(vault.Query{Deleted: true}, "a", "b")
	time.Sleep(time.Second)
	r.wantPaths(vault.Query{Deleted: true}, "b")
	_, err := r.restore("a")
	r.wantError(err, vault.ErrNotFound)
	if _, err := r.restore("b"); err != nil {
		r.Error(err)
	}
}
