package connect_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/connect"
	"github.com/coatcheck-dev/coatcheck/vault"
)

const bridged = `{
  "mcpServers": {
    "coatcheck": {
      "type": "stdio",
      "command": "/opt/coatcheck/bin/coatcheck",
      "args": [
        "mcp",
        "--server",
        "unix:///run/coatcheck/desk.sock"
      ],
      "env": {
        "COATCHECK_AGENT_KEY": "ass_live_one"
      }
    }
  }
}
`

// TestServer: the entry starts the bridge, with the key and without a home.
func TestServer(t *testing.T) {
	env := machine(t)
	env.CoatcheckHome, env.KeySource = "/srv/coatcheck", "file:/srv/key"
	env.Server, env.AgentKey = "unix:///run/coatcheck/desk.sock", "ass_live_one"
	c := plan(t, "cursor", env)
	if string(c.After) != bridged || !c.Secret {
		t.Fatalf("got %s", c.After)
	}
	if _, err := connect.Apply(c); err != nil {
		t.Fatal(err)
	}
	if c := plan(t, "cursor", env); c.Needed() {
		t.Errorf("a second time: %s", c.After)
	}
	env.AgentKey = "ass_live_two"
	if c := plan(t, "cursor", env); !c.Needed() || !strings.Contains(string(c.After), "ass_live_two") {
		t.Errorf("another key: %s", c.After)
	}
	env.Server, env.AgentKey = "", ""
	if c := plan(t, "cursor", env); !c.Needed() || strings.Contains(string(c.After), "ass_live") || c.Secret {
		t.Errorf("back to a desk of one's own: %s", c.After)
	}
	for name, env := range map[string]connect.Env{
		"no key":    {OS: "linux", Home: env.Home, Binary: env.Binary, Server: "https://desk.example.com"},
		"no server": {OS: "linux", Home: env.Home, Binary: env.Binary, AgentKey: "ass_live_one"},
		"variable":  {OS: "linux", Home: env.Home, Binary: env.Binary, AgentKey: "${KEY}", Server: "https://desk.example.com"},
	} {
		if _, err := connect.Plan("cursor", env); err == nil || strings.Contains(err.Error(), "ass_live") || strings.Contains(err.Error(), "KEY}") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestServerLoose: a key goes into no file that others can read, and a new file
// is closed.
func TestServerLoose(t *testing.T) {
	env := machine(t)
	path := filepath.Join(env.Home, ".cursor", "mcp.json")
	write(t, path, `{"mcpServers":{}}`)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := connect.Apply(plan(t, "cursor", env)); err != nil { // nothing to hide
		t.Fatal(err)
	}
	env.Server, env.AgentKey = "https://desk.example.com", "ass_live_one"
	_, err := connect.Apply(plan(t, "cursor", env))
	if runtime.GOOS == "windows" { // files there have no such modes
		if err != nil {
			t.Error(err)
		}
		return
	}
	text, readErr := os.ReadFile(path)
	if !errors.Is(err, vault.ErrLoosePermissions) || readErr != nil || strings.Contains(string(text), "ass_live") {
		t.Errorf("%v; holds %s, %v", err, text, readErr)
	}
	if left, _ := filepath.Glob(path + ".bak.2"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := connect.Apply(plan(t, "cursor", env)); err != nil {
		t.Error(err)
	}
}
