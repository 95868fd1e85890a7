package policy_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// Two policies of the same length.
const (
	allowsUse  = "version: 1\nrules:\n  - {name: a, agents: [a], paths: [\"*\"], allow: [use]}\n"
	allowsList = "version: 1\nrules:\n  - {name: a, agents: [a], paths: [\"*\"], deny:  [use]}\n"
)

// desk is a policy file in a folder of its own, and what was told of it.
type desk struct {
	t    *testing.T
	path string
	file *policy.File
	told []string
}

func open(t *testing.T, content string) *desk {
	t.Helper()
	d := &desk{t: t, path: filepath.Join(t.TempDir(), "policy.yaml")}
	d.write(content)
	file, err := policy.OpenFile(d.path, func(p *policy.Policy, err error) {
		switch {
		case err != nil && p == nil:
			d.told = append(d.told, strings.ReplaceAll(err.Error(), d.path, "FILE"))
		case err == nil && p != nil:
			d.told = append(d.told, "ok")
		default:
			t.Errorf("told %v and %v", p, err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	d.file = file
	return d
}

// write saves in place, as an editor may.
func (d *desk) write(content string) {
	d.t.Helper()
	if err := os.WriteFile(d.path, []byte(content), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) do(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// expect asks twice, and compares what was told since the last time.
func (d *desk) expect(use bool, told ...string) {
	d.t.Helper()
	for range 2 {
		q := policy.Request{Subject: policy.Subject{Agent: "a", Door: policy.DoorMCP}, Right: policy.Use, Path: "x"}
		if got := d.file.Current().Decide(q).Allowed; got != use {
			d.t.Fatalf("use is allowed: %v", got)
		}
	}
	if strings.Join(d.told, "\n") != strings.Join(told, "\n") {
		d.t.Fatalf("told %q, want %q", d.told, told)
	}
	d.told = nil
}

const deniedFile = "version: 1\nrules: []\n"

func TestFileFollowsEveryWayOfSaving(t *testing.T) {
	d := open(t, allowsUse)
	d.expect(true)
	d.write(allowsList) // same file, same length, a moment later
	d.expect(false, "ok")
	d.write(allowsUse)
	d.expect(true, "ok")

	old := time.Now().Add(-time.Hour)
	d.do(os.Chtimes(d.path, old, old)) // from here on by looks alone
	d.expect(true)

	d.do(os.WriteFile(d.path+".new", []byte(allowsList), 0o600))
	d.do(os.Chtimes(d.path+".new", old, old))
	d.do(os.Rename(d.path+".new", d.path))
	d.expect(false, "ok")

	d.do(os.Remove(d.path))
	d.do(os.WriteFile(d.path+".a", []byte(allowsUse), 0o600))
	d.do(os.WriteFile(d.path+".b", []byte(deniedFile), 0o600))
	d.do(os.Symlink(d.path+".a", d.path))
	d.expect(true, "ok")
	d.do(os.Symlink(d.path+".b", d.path+".link"))
	d.do(os.Rename(d.path+".link", d.path))
	d.expect(false, "ok")
}

// File systems count time in steps: two changes within one look the same.
func TestFileSavedTwiceInOneMoment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	moment := time.Now().Add(time.Second)
	save := func(content string) {
		if err := errors.Join(os.WriteFile(path, []byte(content), 0o600), os.Chtimes(path, moment, moment)); err != nil {
			t.Fatal(err)
		}
	}
	save(allowsUse)
	file, err := policy.OpenFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	save(allowsList)
	q := policy.Request{Subject: policy.Subject{Agent: "a", Door: policy.DoorMCP}, Right: policy.Use, Path: "x"}
	if file.Current().Decide(q).Allowed {
		t.Error("the second change was not seen")
	}
}

func TestFileKeepsTheLastGoodOne(t *testing.T) {
	d := open(t, allowsUse)
	unknown := `FILE:3:5: unknown field "nam" in a rule; did you mean name?`
	d.write("version: 1\nrules:\n  - nam: a\n")
	d.expect(true, unknown)
	d.expect(true) // once per broken content
	d.do(os.Chtimes(d.path, time.Time{}, time.Now().Add(-time.Hour)))
	d.expect(true)
	d.write("version: 1\nrules:\n  - nam: b\n") // another broken content
	d.expect(true, unknown)
	d.write("") // as an editor leaves it between truncating and writing
	d.expect(true, "FILE:1:1: the policy is empty; start with version: 1")
	d.write(allowsUse[:len(allowsUse)-10]) // half written
	d.expect(true, "FILE:3:42: could not find flow map content")
	d.write(allowsUse)
	d.expect(true, "ok")
	d.do(os.Remove(d.path))
	d.expect(true, "stat FILE: no such file or directory")
	d.write(allowsUse)
	d.expect(true, "ok")
	d.write(allowsUse + strings.Repeat("#", policy.MaxBytes))
	d.expect(true, "FILE:1:1: the policy is larger than 4194304 bytes")
	d.write(allowsList)
	d.expect(false, "ok")
}

func TestFileOfOthersIsRefused(t *testing.T) {
	d := open(t, allowsUse)
	d.expect(true)
	old := time.Now().Add(-time.Hour)
	d.do(os.Chtimes(d.path, old, old))
	d.expect(true)
	d.do(os.Chmod(d.path, 0o620)) // nothing else changes
	d.expect(true, "permissions are too loose: FILE has mode 0620; run: chmod go-w 'FILE'")
	d.write(allowsList)
	d.expect(true)
	d.do(os.Chmod(d.path, 0o644)) // others may read it
	d.expect(false, "ok")
	d.do(os.Remove(d.path))
	d.do(os.Mkdir(d.path, 0o700))
	d.expect(false, "FILE is not a regular file")
}

func TestOpenFileRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(content), 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var syntax *policy.SyntaxError
	for _, c := range []struct {
		name, path string
		want       func(error) bool
	}{
		{"missing", filepath.Join(dir, "none"), func(err error) bool { return errors.Is(err, fs.ErrNotExist) }},
		{"broken", write("broken", "version: 2\n", 0o600), func(err error) bool { return errors.As(err, &syntax) && syntax.Column == 10 }},
		{"group may write", write("group", allowsUse, 0o660), func(err error) bool { return errors.Is(err, vault.ErrLoosePermissions) }},
		{"all may write", write("all", allowsUse, 0o602), func(err error) bool { return errors.Is(err, vault.ErrLoosePermissions) }},
		{"folder", dir, func(err error) bool { return err != nil }},
		{"huge", write("huge", strings.Repeat("#\n", policy.MaxBytes), 0o600), func(err error) bool { return errors.As(err, &syntax) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := policy.OpenFile(c.path, nil)
			if f != nil || !c.want(err) {
				t.Errorf("%v %v", f, err)
			}
		})
	}
	if f, err := policy.OpenFile(write("good", allowsUse, 0o400), nil); err != nil || f.Current() == nil {
		t.Error(err)
	}
}

// The name leads to a file that others can write at the moment of reading,
// and to a good one before and after: what others wrote is never in force.
func TestFileIsCheckedAsItIsRead(t *testing.T) {
	dir := t.TempDir()
	path, good, loose := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "good"), filepath.Join(dir, "loose")
	swap := func(to string) {
		if err := errors.Join(os.Symlink(to, path+".new"), os.Rename(path+".new", path)); err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(os.WriteFile(good, []byte(allowsList), 0o600), os.WriteFile(loose, []byte(allowsUse), 0o600), os.Chmod(loose, 0o666)); err != nil {
		t.Fatal(err)
	}
	swap(good)
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !stop.Load() {
			swap(loose)
			swap(good)
		}
	})
	q := policy.Request{Subject: policy.Subject{Agent: "a", Door: policy.DoorMCP}, Right: policy.Use, Path: "x"}
	for range 3000 {
		if f, err := policy.OpenFile(path, nil); err == nil && f.Current().Decide(q).Allowed {
			t.Error("the planted policy is in force")
			break
		}
	}
	stop.Store(true)
	wg.Wait()
}

// A policy that somebody holds is not changed by a reload.
func TestFileSnapshots(t *testing.T) {
	d := open(t, allowsUse)
	before := d.file.Current()
	d.write(allowsList)
	d.expect(false, "ok")
	q := policy.Request{Subject: policy.Subject{Agent: "a", Door: policy.DoorMCP}, Right: policy.Use, Path: "x"}
	if !before.Decide(q).Allowed {
		t.Error("the snapshot changed")
	}
}

// Once a change is complete, no caller sees the policy from before it.
func TestFileIsNeverBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	save := func(content string) {
		if err := errors.Join(os.WriteFile(path+".new", []byte(content), 0o600), os.Rename(path+".new", path)); err != nil {
			t.Error(err)
		}
	}
	save(allowsUse)
	file, err := policy.OpenFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	q := policy.Request{Subject: policy.Subject{Agent: "a", Door: policy.DoorMCP}, Right: policy.Use, Path: "x"}
	for i := range 40 {
		want := i%2 == 0
		save(map[bool]string{true: allowsUse, false: allowsList}[want])
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if file.Current().Decide(q).Allowed != want {
					t.Error("behind")
				}
			})
		}
		wg.Wait()
	}
}
