package faults_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// unfolded is a home whose newest changes are in the write-ahead log alone, as
// a killed program leaves it, and whose checkpoint covers them.
func unfolded(t *testing.T) *home {
	t.Helper()
	h := newHome(t)
	h.must(t, 0, "the first", "secret", "set", "a/b")
	c, err := h.connect(t.Context()) // holds the database open, so that nobody folds the log
	if err != nil {
		t.Fatal(err)
	}
	h.must(t, 0, "the second", "secret", "set", "a/b")
	h.must(t, 0, "", "agent", "add", "web", "--stdio")
	for !h.kill() { // it picks at random, and sometimes nobody
		continue
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *home) read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(h.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (h *home) write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(h.path(name), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// files are every file of a home.
func (h *home) files(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(h.path(""))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			all[e.Name()] = string(h.read(t, e.Name()))
		}
	}
	return all
}

// put makes a home of files that were read.
func put(t *testing.T, files map[string]string) *home {
	t.Helper()
	h := newHome(t)
	if err := os.Mkdir(h.path(""), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		h.write(t, name, []byte(text))
	}
	return h
}

// TestDamagedFilesAtTheCommandLine: each class of damage has its exit code and
// says what to do next; nothing is repaired without a word.
func TestDamagedFilesAtTheCommandLine(t *testing.T) {
	files, other := unfolded(t).files(t), unfolded(t).files(t)
	get := []string{"secret", "get", "a/b"}
	door := []string{"mcp"}
	cut := func(name string, keep func(n int) int) func(map[string]string) {
		return func(f map[string]string) { f[name] = f[name][:keep(len(f[name]))] }
	}
	half := func(n int) int { return n / 2 }
	to := func(n int) func(int) int { return func(int) int { return n } }
	folded := func(t *testing.T) map[string]string {
		t.Helper()
		h := put(t, files)
		h.must(t, 0, "", get...)
		return h.files(t)
	}(t)
	for name, tc := range map[string]struct {
		from   map[string]string
		damage func(map[string]string)
		args   []string
		code   int
		says   string
	}{
		"nothing":              {files, func(map[string]string) {}, get, 0, ``},
		"the index of the log": {files, func(f map[string]string) { delete(f, "vault.db-shm") }, get, 0, ``},
		"the log is gone":      {files, func(f map[string]string) { delete(f, "vault.db-wal"); delete(f, "vault.db-shm") }, get, 9, `ends at 1.*(?s:.*)remove the home's file checkpoint by hand`},
		"the log of another":   {files, func(f map[string]string) { f["vault.db-wal"] = other["vault.db-wal"]; delete(f, "vault.db-shm") }, get, 9, `Keep a copy of the home`},
		"another's log and all": {files, func(f map[string]string) {
			f["vault.db-wal"], f["vault.db-shm"] = other["vault.db-wal"], other["vault.db-shm"]
		}, get, 9, `Keep a copy of the home`},
		"the log is cut":        {files, cut("vault.db-wal", half), get, 9, `an older copy was put back`},
		"an index of zeros":     {files, func(f map[string]string) { f["vault.db-shm"] = string(make([]byte, len(f["vault.db-shm"]))) }, get, 0, ``},
		"database empty":        {folded, cut("vault.db", to(0)), get, 7, `vault.db is gone.*(?s:.*)Put back the database`},
		"database cut to a bit": {folded, cut("vault.db", to(100)), get, 7, `Put back a good copy|Is COATCHECK_HOME the right folder`},
		"database cut":          {folded, cut("vault.db", half), get, 7, `damaged`},
		"database of another":   {folded, func(f map[string]string) { f["vault.db"] = other["vault.db"] }, get, 6, `key .* belongs to another vault`},
		"key empty":             {folded, cut("key", to(0)), get, 6, `not a whole coatcheck key file; put back a good copy`},
		"key cut":               {folded, cut("key", func(n int) int { return n - 5 }), get, 6, `not a whole coatcheck key file`},
		"key gone":              {folded, func(f map[string]string) { delete(f, "key") }, get, 6, `put back the one this vault was made with`},
		"key of another":        {folded, func(f map[string]string) { f["key"] = other["key"] }, get, 6, `belongs to another vault`},
		"checkpoint empty":      {folded, cut("checkpoint", to(0)), get, 9, `remove the home's file checkpoint by hand`},
		"checkpoint cut":        {folded, cut("checkpoint", half), get, 9, `remove the home's file checkpoint by hand`},
		"checkpoint of another": {folded, func(f map[string]string) { f["checkpoint"] = other["checkpoint"] }, get, 9, `remove the home's file checkpoint by hand`},
		"policy empty":          {folded, cut("policy.yaml", to(0)), door, 8, `policy.yaml`},
		"policy cut":            {folded, func(f map[string]string) { f["policy.yaml"], _, _ = strings.Cut(f["policy.yaml"], "st, use]") }, door, 8, `policy.yaml`},
		"policy gone":           {folded, func(f map[string]string) { delete(f, "policy.yaml") }, door, 8, `policy.yaml`},
		"configuration cut":     {folded, func(f map[string]string) { f["config.yaml"] = "listen: 127.0.0.1:0\nallow_hosts: [" }, []string{"serve"}, 8, `config.yaml`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := maps.Clone(tc.from)
			tc.damage(f)
			h := put(t, f)
			got := h.must(t, tc.code, "", tc.args...)
			// A command whose record cannot be signed afterwards was carried out, and says so.
			carriedOut := tc.code == 0 || strings.Contains(got.stderr, "was carried out")
			if carriedOut && got.out != "the second" || !carriedOut && got.out != "" {
				t.Errorf("wrote %q", got.out)
			}
			if !regexp.MustCompile(tc.says).MatchString(got.stderr) {
				t.Errorf("said %s", got.stderr)
			}
			for _, name := range []string{"key", "policy.yaml", "checkpoint"} {
				text, err := os.ReadFile(h.path(name))
				if _, was := f[name]; tc.code != 0 && (was && string(text) != f[name] || !was && !errors.Is(err, fs.ErrNotExist)) {
					t.Errorf("%s was changed", name)
				}
			}
		})
	}
}

// TestFlippedLog flips bytes of a write-ahead log: SQLite takes it up to the
// first frame that is not whole, and the rest is missed, not served without.
func TestFlippedLog(t *testing.T) {
	files := unfolded(t).files(t)
	step := 4001
	if *every {
		step = 13
	}
	refused := 0
	for i := 0; i < len(files["vault.db-wal"]); i += step {
		wal := []byte(files["vault.db-wal"])
		wal[i] ^= 0x20
		h := put(t, files)
		h.write(t, "vault.db-wal", wal)
		_ = os.Remove(h.path("vault.db-shm"))
		got, err := h.run(t.Context(), "", "secret", "get", "a/b")
		switch {
		case err != nil:
			t.Fatal(err)
		case got.code == 0 && got.out == "the second":
		case got.code == 9 && got.out == "", got.code == 7 && got.out == "":
			refused++
		default:
			t.Errorf("byte %d: %+v", i, got)
		}
		_ = os.RemoveAll(filepath.Dir(h.path("")))
	}
	if refused == 0 {
		t.Error("nothing was damaged")
	}
}

// TestOlderCopies: an older database is refused by the checkpoint beside it.
// Put back together with its checkpoint it is not, as SECURITY.md says; a
// checkpoint that was kept elsewhere tells.
func TestOlderCopies(t *testing.T) {
	h := newHome(t)
	h.must(t, 0, "the first", "secret", "set", "a/b")
	older := h.files(t)
	h.must(t, 0, "the second", "secret", "set", "a/b")
	newer := h.read(t, "checkpoint")

	h.write(t, "vault.db", []byte(older["vault.db"]))
	got := h.must(t, 9, "", "secret", "get", "a/b")
	if !regexp.MustCompile(`an older copy was put back(?s:.*)Only to go on .*remove the home's file checkpoint by hand`).MatchString(got.stderr) {
		t.Errorf("said %s", got.stderr)
	}
	h.write(t, "checkpoint", []byte(older["checkpoint"]))
	h.must(t, 0, "", "audit", "verify")
	h.write(t, "checkpoint", newer)
	h.must(t, 9, "", "audit", "verify")
}
