package connect_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/connect"
)

// started is a machine whose cursor file has one other server.
func started(t *testing.T) (connect.Env, string) {
	t.Helper()
	env := machine(t)
	path := filepath.Join(env.Home, ".cursor", "mcp.json")
	write(t, path, other)
	return env, path
}

const other = "{\n  \"mcpServers\": {\n    \"other\": {\"url\": \"http://x\"}\n  }\n}\n"

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestApplyBackups(t *testing.T) {
	env, path := started(t)
	write(t, path+".bak.2", "somebody's")
	for i, want := range []string{".bak", ".bak.3", ".bak.4"} {
		env.Binary = "/opt/" + want // another entry each time
		c := plan(t, "cursor", env)
		if c.Replaced != (i > 0) {
			t.Fatal(c.Replaced)
		}
		backup, err := connect.Apply(c)
		if err != nil || backup != path+want {
			t.Fatalf("%s, %v; want %s", backup, err, want)
		}
		if content(t, backup) != string(c.Before) {
			t.Fatal("the backup is not what there was")
		}
	}
	if content(t, path+".bak") != other || content(t, path+".bak.2") != "somebody's" {
		t.Fatal("a backup was written over")
	}
	files(t, filepath.Dir(path), "mcp.json", "mcp.json.bak", "mcp.json.bak.2", "mcp.json.bak.3", "mcp.json.bak.4")
}

func TestApplyKeepsTheMode(t *testing.T) {
	for _, mode := range []fs.FileMode{0o600, 0o644, 0o640, 0o755} {
		t.Run(mode.String(), func(t *testing.T) {
			env, path := started(t)
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			backup, err := connect.Apply(plan(t, "cursor", env))
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range []string{path, backup} {
				if info, err := os.Stat(p); err != nil || info.Mode().Perm() != mode {
					t.Fatalf("%s: %v, %v", p, info.Mode(), err)
				}
			}
		})
	}
}

func TestApplyFollowsLinks(t *testing.T) {
	env, path := started(t)
	meant := filepath.Join(env.Home, "dotfiles", "cursor.json")
	middle := filepath.Join(env.Home, "middle")
	write(t, meant, other)
	for from, to := range map[string]string{middle: meant, path: middle} {
		_ = os.Remove(from)
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	c := plan(t, "cursor", env)
	backup, err := connect.Apply(c)
	if err != nil || backup != path+".bak" {
		t.Fatal(backup, err)
	}
	if to, err := os.Readlink(path); err != nil || to != middle {
		t.Fatal("the link is gone")
	}
	if content(t, meant) != string(c.After) {
		t.Fatal("the file that is meant did not change")
	}
	files(t, filepath.Dir(meant), "cursor.json") // where they may be committed
}

func TestApplyRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(t *testing.T, path string)
		want  error
		left  string
	}{
		"changed since": {func(t *testing.T, path string) { t.Helper(); write(t, path, "{}") }, connect.ErrChanged, "{}"},
		"removed since": {func(t *testing.T, path string) {
			t.Helper()
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, fs.ErrNotExist, ""},
		"read-only": {func(t *testing.T, path string) {
			t.Helper()
			if err := os.Chmod(path, 0o400); err != nil {
				t.Fatal(err)
			}
		}, connect.ErrReadOnly, other},
	} {
		t.Run(name, func(t *testing.T) {
			env, path := started(t)
			c := plan(t, "cursor", env)
			tt.spoil(t, path)
			backup, err := connect.Apply(c)
			if !errors.Is(err, tt.want) || backup != "" {
				t.Fatal(backup, err)
			}
			if tt.left == "" {
				files(t, filepath.Dir(path))
				return
			}
			if content(t, path) != tt.left {
				t.Fatal("the file changed")
			}
			files(t, filepath.Dir(path), "mcp.json")
		})
	}
	t.Run("made since", func(t *testing.T) {
		env := machine(t)
		c := plan(t, "cursor", env)
		write(t, c.Path, other)
		if _, err := connect.Apply(c); !errors.Is(err, connect.ErrChanged) {
			t.Fatal(err)
		}
		if content(t, c.Path) != other {
			t.Fatal("the file changed")
		}
		files(t, filepath.Dir(c.Path), "mcp.json")
	})
	t.Run("a file where the folder belongs", func(t *testing.T) {
		env := machine(t)
		c := plan(t, "cursor", env)
		write(t, filepath.Join(env.Home, ".cursor"), "x")
		if _, err := connect.Apply(c); err == nil {
			t.Fatal("accepted")
		}
	})
}

func TestApplyNewFolder(t *testing.T) {
	c := plan(t, "vscode", machine(t))
	if _, err := connect.Apply(c); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Dir(c.Path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Fatal(err, info.Mode())
	}
}
