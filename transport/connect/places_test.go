package connect_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/connect"
)

func TestPlaces(t *testing.T) {
	const bin = "/opt/coatcheck"
	for name, tt := range map[string]struct {
		env    connect.Env // below its Home
		client string
		want   string
	}{
		"desktop, linux":           {connect.Env{OS: "linux"}, "claude-desktop", ".config/Claude/claude_desktop_config.json"},
		"desktop, linux, XDG":      {connect.Env{OS: "linux", ConfigDir: "xdg"}, "claude-desktop", "xdg/Claude/claude_desktop_config.json"},
		"desktop, macOS":           {connect.Env{OS: "darwin"}, "claude-desktop", "Library/Application Support/Claude/claude_desktop_config.json"},
		"desktop, Windows":         {connect.Env{OS: "windows"}, "claude-desktop", "AppData/Roaming/Claude/claude_desktop_config.json"},
		"desktop, Windows, moved":  {connect.Env{OS: "windows", ConfigDir: "roaming"}, "claude-desktop", "roaming/Claude/claude_desktop_config.json"},
		"code, linux":              {connect.Env{OS: "linux", ConfigDir: "xdg"}, "claude-code", ".claude.json"},
		"code, macOS":              {connect.Env{OS: "darwin"}, "claude-code", ".claude.json"},
		"code, Windows":            {connect.Env{OS: "windows"}, "claude-code", ".claude.json"},
		"code, its own folder":     {connect.Env{OS: "linux", ClaudeConfigDir: "claude"}, "claude-code", "claude/.claude.json"},
		"cursor, linux":            {connect.Env{OS: "linux", ConfigDir: "xdg"}, "cursor", ".cursor/mcp.json"},
		"cursor, macOS":            {connect.Env{OS: "darwin"}, "cursor", ".cursor/mcp.json"},
		"cursor, Windows":          {connect.Env{OS: "windows"}, "cursor", ".cursor/mcp.json"},
		"VS Code, linux":           {connect.Env{OS: "linux"}, "vscode", ".config/Code/User/mcp.json"},
		"VS Code, linux, XDG":      {connect.Env{OS: "linux", ConfigDir: "xdg"}, "vscode", "xdg/Code/User/mcp.json"},
		"VS Code, macOS":           {connect.Env{OS: "darwin"}, "vscode", "Library/Application Support/Code/User/mcp.json"},
		"VS Code, Windows":         {connect.Env{OS: "windows"}, "vscode", "AppData/Roaming/Code/User/mcp.json"},
		"VS Code, Windows, roamed": {connect.Env{OS: "windows", ConfigDir: "roaming"}, "vscode", "roaming/Code/User/mcp.json"},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			env := tt.env
			env.Home, env.Binary = home, bin
			for _, dir := range []*string{&env.ConfigDir, &env.ClaudeConfigDir} {
				if *dir != "" {
					*dir = filepath.Join(home, *dir)
				}
			}
			if got := plan(t, tt.client, env).Path; got != filepath.Join(home, tt.want) {
				t.Fatalf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestClaudeDesktopPackage(t *testing.T) {
	file := func(local, name string) string {
		return filepath.Join(local, "Packages", name, "LocalCache", "Roaming", "Claude", "claude_desktop_config.json")
	}
	start := func(t *testing.T, names ...string) (connect.Env, string) {
		t.Helper()
		env := machine(t)
		env.OS, env.LocalData = "windows", filepath.Join(env.Home, "local")
		for _, name := range names {
			if err := os.MkdirAll(filepath.Join(env.LocalData, "Packages", name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		return env, env.LocalData
	}
	t.Run("others only", func(t *testing.T) {
		env, _ := start(t, "Claudette_x", "Microsoft.VisualStudioCode_y")
		if got := plan(t, "claude-desktop", env).Path; got != filepath.Join(env.Home, "AppData/Roaming/Claude/claude_desktop_config.json") {
			t.Fatal(got)
		}
	})
	t.Run("one, not used yet", func(t *testing.T) {
		env, local := start(t, "Claude_pzs8sxrjxfjjc")
		if got := plan(t, "claude-desktop", env).Path; got != file(local, "Claude_pzs8sxrjxfjjc") {
			t.Fatal(got)
		}
	})
	t.Run("usual local folder", func(t *testing.T) {
		env, _ := start(t)
		env.LocalData = ""
		want := file(filepath.Join(env.Home, "AppData", "Local"), "Claude_x")
		write(t, want, "{}")
		if got := plan(t, "claude-desktop", env).Path; got != want {
			t.Fatal(got)
		}
	})
	t.Run("two, one in use", func(t *testing.T) {
		env, local := start(t, "Claude_a", "Claude_b")
		write(t, file(local, "Claude_b"), "{}")
		if got := plan(t, "claude-desktop", env).Path; got != file(local, "Claude_b") {
			t.Fatal(got)
		}
	})
	t.Run("two, unclear", func(t *testing.T) {
		env, _ := start(t, "Claude_a", "Claude_b")
		if _, err := connect.Plan("claude-desktop", env); err == nil || !strings.Contains(err.Error(), "2 packages") {
			t.Fatal(err)
		}
	})
}

func TestHere(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	env, err := connect.Here(func(name string) string {
		return map[string]string{"COATCHECK_HOME": "rel", "COATCHECK_KEY_SOURCE": "file:/k", "CLAUDE_CONFIG_DIR": "/c", "LOCALAPPDATA": "/l"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(env.Binary) || !filepath.IsAbs(env.Home) || !filepath.IsAbs(env.CoatcheckHome) || filepath.Base(env.CoatcheckHome) != "rel" ||
		env.KeySource != "file:/k" || env.ClaudeConfigDir != "/c" || env.LocalData != "/l" || env.ConfigDir == "" || env.OS == "" {
		t.Fatalf("%+v", env)
	}
	if env, err = connect.Here(func(string) string { return "" }); err != nil || env.CoatcheckHome != "" || env.KeySource != "" {
		t.Fatalf("%+v %v", env, err)
	}
}
