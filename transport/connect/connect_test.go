package connect_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/connect"
	"github.com/coatcheck-dev/coatcheck/transport/connect/jsonc"
)

// machine is an Env below a folder of the test.
func machine(t *testing.T) connect.Env {
	t.Helper()
	return connect.Env{OS: "linux", Home: t.TempDir(), Binary: "/opt/coatcheck/bin/coatcheck"}
}

// write makes a file and the folders to it.
func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func plan(t *testing.T, client string, env connect.Env) connect.Change {
	t.Helper()
	c, err := connect.Plan(client, env)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	typed = `{
  "mcpServers": {
    "coatcheck": {
      "type": "stdio",
      "command": "/opt/coatcheck/bin/coatcheck",
      "args": [
        "mcp"
      ]
    }
  }
}
`
	untyped = `{
  "mcpServers": {
    "coatcheck": {
      "command": "/opt/coatcheck/bin/coatcheck",
      "args": [
        "mcp"
      ]
    }
  }
}
`
)

func TestPlanNewFile(t *testing.T) {
	for name, tt := range map[string]struct{ path, want string }{
		"claude-desktop": {".config/Claude/claude_desktop_config.json", untyped},
		"claude-code":    {".claude.json", typed},
		"cursor":         {".cursor/mcp.json", typed},
		"vscode":         {".config/Code/User/mcp.json", strings.Replace(typed, "mcpServers", "servers", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			env := machine(t)
			c := plan(t, name, env)
			if c.Path != filepath.Join(env.Home, tt.path) || !c.Created || !c.Needed() || c.Replaced || c.Before != nil || c.Client.Name != name {
				t.Fatalf("%+v", c)
			}
			if string(c.After) != tt.want || string(c.Snippet) != tt.want {
				t.Fatalf("after\n%s\nsnippet\n%s", c.After, c.Snippet)
			}
			if _, err := os.Stat(c.Path); err == nil {
				t.Fatal("Plan wrote")
			}
			backup, err := connect.Apply(c)
			if err != nil || backup != "" {
				t.Fatal(backup, err)
			}
			if got, err := os.ReadFile(c.Path); err != nil || string(got) != tt.want {
				t.Fatal(err, string(got))
			}
			if info, err := os.Stat(c.Path); err != nil || info.Mode().Perm() != 0o600 {
				t.Fatal(err, info.Mode())
			}
			again := plan(t, name, env)
			if again.Needed() || again.Created || again.Replaced {
				t.Fatalf("not the same again: %+v", again)
			}
			if backup, err := connect.Apply(again); err != nil || backup != "" {
				t.Fatal(backup, err)
			}
			files(t, filepath.Dir(c.Path), filepath.Base(c.Path))
		})
	}
}

// files checks what a folder has.
func files(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Fatalf("the folder has %v, want %v", got, names)
	}
}

func TestClients(t *testing.T) {
	var names []string
	for _, c := range connect.Clients() {
		if c.Title == "" || c.Next == "" {
			t.Errorf("%s has nothing to show", c.Name)
		}
		names = append(names, c.Name)
	}
	if got := strings.Join(names, " "); got != "claude-desktop claude-code cursor vscode" {
		t.Fatal(got)
	}
	_, err := connect.Plan("emacs", machine(t))
	if !errors.Is(err, connect.ErrUnknownClient) || !strings.Contains(err.Error(), "claude-desktop, claude-code, cursor, vscode") {
		t.Fatal(err)
	}
}

func TestPlanKeepsTheRest(t *testing.T) {
	for name, tt := range map[string]struct{ client, have, want string }{
		"VS Code with comments, tabs, CR LF and a byte order mark": {
			"vscode",
			"\xef\xbb\xbf{\r\n\t// my servers\r\n\t\"servers\": {\r\n\t\t\"git\": {\"type\": \"http\", \"url\": \"https://x\"}, // keep\r\n\t},\r\n\t\"inputs\": [],\r\n}\r\n",
			"\xef\xbb\xbf{\r\n\t// my servers\r\n\t\"servers\": {\r\n\t\t\"git\": {\"type\": \"http\", \"url\": \"https://x\"}, // keep\r\n" +
				"\t\t\"coatcheck\": {\r\n\t\t\t\"type\": \"stdio\",\r\n\t\t\t\"command\": \"/opt/coatcheck/bin/coatcheck\",\r\n\t\t\t\"args\": [\r\n\t\t\t\t\"mcp\"\r\n\t\t\t]\r\n\t\t}\r\n" +
				"\t},\r\n\t\"inputs\": [],\r\n}\r\n",
		},
		"Claude Code with all it keeps": {
			"claude-code",
			"{\n  \"numStartups\": 3,\n  \"mcpServers\": {},\n  \"projects\": {\"/x\": {\"mcpServers\": {\"coatcheck\": 1}}}\n}",
			"{\n  \"numStartups\": 3,\n  \"mcpServers\": {\n    \"coatcheck\": {\n      \"type\": \"stdio\",\n      \"command\": \"/opt/coatcheck/bin/coatcheck\",\n      \"args\": [\n        \"mcp\"\n      ]\n    }\n  },\n" +
				"  \"projects\": {\"/x\": {\"mcpServers\": {\"coatcheck\": 1}}}\n}",
		},
		"Claude Desktop on one line": {
			"claude-desktop",
			`{"globalShortcut":"","mcpServers":{"a":{"command":"x"}}}`,
			`{"globalShortcut":"","mcpServers":{"a":{"command":"x"},"coatcheck":{"command":"/opt/coatcheck/bin/coatcheck","args":["mcp"]}}}`,
		},
		"empty file": {"cursor", "", typed},
	} {
		t.Run(name, func(t *testing.T) {
			env := machine(t)
			path := plan(t, tt.client, env).Path
			write(t, path, tt.have)
			c := plan(t, tt.client, env)
			if string(c.Before) != tt.have || string(c.After) != tt.want || c.Created || c.Replaced || !c.Needed() {
				t.Fatalf("got\n%q\nwant\n%q", c.After, tt.want)
			}
			backup, err := connect.Apply(c)
			if err != nil || backup != path+".bak" {
				t.Fatal(backup, err)
			}
			if kept, err := os.ReadFile(backup); err != nil || string(kept) != tt.have {
				t.Fatalf("the backup is %q, %v", kept, err)
			}
			if plan(t, tt.client, env).Needed() {
				t.Fatal("wants another change")
			}
		})
	}
}

func TestPlanExistingEntry(t *testing.T) {
	const bin = "/opt/coatcheck/bin/coatcheck"
	for name, tt := range map[string]struct {
		home, entry string
		same        bool
	}{
		"as written":           {"", `{"type":"stdio","command":"` + bin + `","args":["mcp"]}`, true},
		"other order":          {"", `{"args":["mcp"],"command":"` + bin + `","type":"stdio","env":{}}`, true},
		"the user's own field": {"", `{"type":"stdio","command":"` + bin + `","args":["mcp"],"disabled":true,"env":{"X":"y"}}`, true},
		"with its home":        {"/srv/c", `{"type":"stdio","command":"` + bin + `","args":["mcp"],"env":{"COATCHECK_HOME":"/srv/c"}}`, true},
		"other program":        {"", `{"type":"stdio","command":"/old/coatcheck","args":["mcp"]}`, false},
		"other arguments":      {"", `{"type":"stdio","command":"` + bin + `","args":["mcp","--agent","x"]}`, false},
		"no arguments":         {"", `{"type":"stdio","command":"` + bin + `"}`, false},
		"no type":              {"", `{"command":"` + bin + `","args":["mcp"]}`, false},
		"other type":           {"", `{"type":"http","command":"` + bin + `","args":["mcp"]}`, false},
		"remote":               {"", `{"type":"stdio","command":"` + bin + `","args":["mcp"],"url":"http://x"}`, false},
		"a home, now default":  {"", `{"type":"stdio","command":"` + bin + `","args":["mcp"],"env":{"COATCHECK_HOME":"/srv/c"}}`, false},
		"no home":              {"/srv/c", `{"type":"stdio","command":"` + bin + `","args":["mcp"]}`, false},
		"other home":           {"/srv/c", `{"type":"stdio","command":"` + bin + `","args":["mcp"],"env":{"COATCHECK_HOME":"/srv/d"}}`, false},
		"not an object":        {"", `"coatcheck mcp"`, false},
		"null":                 {"", `null`, false},
		"other case of field":  {"", `{"type":"stdio","Command":"` + bin + `","args":["mcp"]}`, false},
		"env is a list":        {"/srv/c", `{"type":"stdio","command":"` + bin + `","args":["mcp"],"env":[]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			env := machine(t)
			env.CoatcheckHome = tt.home
			path := plan(t, "cursor", env).Path
			have := "{\n  \"mcpServers\": {\n    \"coatcheck\": " + tt.entry + ",\n    \"z\": {}\n  }\n}\n"
			write(t, path, have)
			c := plan(t, "cursor", env)
			if c.Needed() == tt.same || c.Replaced == tt.same {
				t.Fatalf("needed %v, replaced %v", c.Needed(), c.Replaced)
			}
			if _, err := connect.Apply(c); err != nil {
				t.Fatal(err)
			}
			if tt.same {
				files(t, filepath.Dir(path), "mcp.json")
				return
			}
			files(t, filepath.Dir(path), "mcp.json", "mcp.json.bak")
			var got struct {
				McpServers map[string]json.RawMessage `json:"mcpServers"`
			}
			data, err := os.ReadFile(path)
			if err != nil || json.Unmarshal(data, &got) != nil || len(got.McpServers) != 2 || strings.Contains(string(got.McpServers["coatcheck"]), "old") {
				t.Fatalf("%v: %s", err, data)
			}
			if plan(t, "cursor", env).Needed() {
				t.Fatal("wants another change")
			}
		})
	}
}

func TestPlanHome(t *testing.T) {
	env := machine(t)
	env.CoatcheckHome = `/srv/"coat" & check`
	for _, client := range connect.Clients() {
		c := plan(t, client.Name, env)
		v, ok, err := jsonc.Get(c.After, jsonc.Plain, map[bool]string{true: "servers", false: "mcpServers"}[client.Name == "vscode"], "coatcheck", "env", "COATCHECK_HOME")
		if err != nil || !ok || v != env.CoatcheckHome {
			t.Errorf("%s: %v %v", client.Name, v, err)
		}
	}
}

// A home whose key is elsewhere opens only with the variable that says where.
func TestPlanKeySource(t *testing.T) {
	env := machine(t)
	env.KeySource = "file:/media/stick/my%20key"
	for _, client := range connect.Clients() {
		c := plan(t, client.Name, env)
		servers := map[bool]string{true: "servers", false: "mcpServers"}[client.Name == "vscode"]
		for where, text := range map[string][]byte{"file": c.After, "printed": c.Snippet} {
			v, _, err := jsonc.Get(text, jsonc.Plain, servers, "coatcheck", "env")
			if err != nil || !reflect.DeepEqual(v, map[string]any{"COATCHECK_KEY_SOURCE": env.KeySource}) {
				t.Errorf("%s, %s: %v %v", client.Name, where, v, err)
			}
		}
		if _, err := connect.Apply(c); err != nil {
			t.Fatal(err)
		}
		if plan(t, client.Name, env).Needed() {
			t.Errorf("%s: not the same again", client.Name)
		}
		other := env
		other.KeySource = "file:/elsewhere"
		if c := plan(t, client.Name, other); !c.Replaced {
			t.Errorf("%s: another key source changes nothing", client.Name)
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		client string
		change func(*connect.Env)
		says   string
	}{
		"relative program":  {"cursor", func(e *connect.Env) { e.Binary = "coatcheck" }, "program is not absolute"},
		"no program":        {"cursor", func(e *connect.Env) { e.Binary = "" }, "program is not absolute"},
		"relative home":     {"cursor", func(e *connect.Env) { e.CoatcheckHome = "home" }, "coatcheck home is not absolute"},
		"no user home":      {"cursor", func(e *connect.Env) { e.Home = "" }, "home folder"},
		"other system":      {"cursor", func(e *connect.Env) { e.OS = "plan9" }, "linux, darwin and windows"},
		"not UTF-8":         {"cursor", func(e *connect.Env) { e.Binary = "/opt/\xff" }, "cannot be written"},
		"variable, cursor":  {"cursor", func(e *connect.Env) { e.Binary = "/opt/${env:HOME}/coatcheck" }, "variable"},
		"variable, code":    {"claude-code", func(e *connect.Env) { e.CoatcheckHome = "/opt/${HOME}" }, "variable"},
		"variable, VS Code": {"vscode", func(e *connect.Env) { e.Binary = "/${x}/coatcheck" }, "variable"},
		"source, not UTF-8": {"cursor", func(e *connect.Env) { e.KeySource = "file:/\xff" }, "key source cannot be written"},
		"source, variable":  {"cursor", func(e *connect.Env) { e.KeySource = "file:/${HOME}/key" }, "variable"},
		"go run":            {"cursor", func(e *connect.Env) { e.Binary = "/tmp/go-build123/b001/exe/coatcheck" }, "go install"},
	} {
		t.Run(name, func(t *testing.T) {
			env := machine(t)
			tt.change(&env)
			if _, err := connect.Plan(tt.client, env); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Fatal(err)
			}
		})
	}
	env := machine(t)
	env.Binary = "/opt/${x}/coatcheck"
	plan(t, "claude-desktop", env) // knows no variables
}

func TestPlanMalformed(t *testing.T) {
	const canary = "sk-live-canary"
	for name, tt := range map[string]struct {
		client, have string
		line, column int
	}{
		"cut":                     {"cursor", "{\n  \"mcpServers\": {\n    \"x\": \"" + canary, 3, 10},
		"comment in plain JSON":   {"claude-code", "{\n  // " + canary + "\n}", 2, 3},
		"comma in plain JSON":     {"claude-desktop", "{\"x\": \"" + canary + "\",}", 1, 23},
		"servers is a list":       {"vscode", "{\"servers\": [\"" + canary + "\"]}", 1, 13},
		"root is a list":          {"cursor", "[\"" + canary + "\"]", 1, 1},
		"servers twice":           {"cursor", "{\"mcpServers\": {},\n \"mcpServers\": {}}", 2, 2},
		"two entries":             {"cursor", "{\"mcpServers\": {\"coatcheck\":1, \"coatcheck\":2}}", 1, 32},
		"VS Code, other brackets": {"vscode", "{\"servers\": {]}", 1, 14},
	} {
		t.Run(name, func(t *testing.T) {
			env := machine(t)
			path := plan(t, tt.client, env).Path
			write(t, path, tt.have)
			c, err := connect.Plan(tt.client, env)
			var bad *jsonc.SyntaxError
			if !errors.As(err, &bad) || bad.Line != tt.line || bad.Column != tt.column || !strings.Contains(err.Error(), path) {
				t.Fatalf("%v, want %d:%d", err, tt.line, tt.column)
			}
			if strings.Contains(err.Error(), canary) || c.After != nil {
				t.Fatal("shows what is in the file")
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != tt.have {
				t.Fatal("the file was touched")
			}
			files(t, filepath.Dir(path), filepath.Base(path))
		})
	}
}

func TestPlanUnreadable(t *testing.T) {
	env := machine(t)
	path := plan(t, "cursor", env).Path
	t.Run("folder", func(t *testing.T) {
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := connect.Plan("cursor", env); err == nil {
			t.Fatal("accepted")
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("link that leads nowhere", func(t *testing.T) {
		if err := os.Symlink(filepath.Join(env.Home, "gone"), path); err != nil {
			t.Fatal(err)
		}
		if _, err := connect.Plan("cursor", env); err == nil || !strings.Contains(err.Error(), "leads nowhere") {
			t.Fatal(err)
		}
	})
	t.Run("huge", func(t *testing.T) {
		path := plan(t, "claude-code", env).Path
		write(t, path, "")
		if err := os.Truncate(path, 65<<20); err != nil {
			t.Fatal(err)
		}
		if _, err := connect.Plan("claude-code", env); err == nil || !strings.Contains(err.Error(), "64 MiB") {
			t.Fatal(err)
		}
	})
}
