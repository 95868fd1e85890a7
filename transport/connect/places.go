package connect

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/coatcheck-dev/coatcheck/transport/connect/jsonc"
)

// What coatcheck reads from its environment and a client would not pass on.
const (
	homeVariable      = "COATCHECK_HOME"
	keySourceVariable = "COATCHECK_KEY_SOURCE"
	agentKeyVariable  = "COATCHECK_AGENT_KEY"
)

// Env is the machine, the user and the program that clients are to start.
type Env struct {
	OS              string // as runtime.GOOS
	Home            string // the user's home folder, absolute
	ConfigDir       string // as os.UserConfigDir; empty: the usual one below Home
	LocalData       string // %LOCALAPPDATA%, Windows only; empty: the usual one below Home
	ClaudeConfigDir string // $CLAUDE_CONFIG_DIR; empty: not set
	Binary          string // coatcheck, absolute
	CoatcheckHome   string // absolute; empty: the default, which the entry does not name
	Server          string // address of a desk that runs elsewhere; empty: the client starts its own
	AgentKey        string // of the agent at that desk: a secret; empty without Server
	KeySource       string // URI of where the vault's key is, no secret; empty: the default, which the entry does not name
}

// Here is this machine and this program. getenv is os.Getenv. A relative
// COATCHECK_HOME is made absolute, since a client starts elsewhere. Links on the
// way to the program stay: they outlive an upgrade.
func Here(getenv func(string) string) (Env, error) {
	env := Env{OS: runtime.GOOS, LocalData: getenv("LOCALAPPDATA"), ClaudeConfigDir: getenv("CLAUDE_CONFIG_DIR"), KeySource: getenv(keySourceVariable)}
	var err error
	if env.Home, err = os.UserHomeDir(); err != nil {
		return Env{}, err
	}
	if env.ConfigDir, err = os.UserConfigDir(); err != nil {
		return Env{}, err
	}
	if env.Binary, err = os.Executable(); err != nil {
		return Env{}, err
	}
	if home := getenv(homeVariable); home != "" {
		if env.CoatcheckHome, err = filepath.Abs(home); err != nil {
			return Env{}, err
		}
	}
	return env, nil
}

// variables is what the entry sets: what is not the default. A home is useless
// to a client that looks for its key elsewhere. A desk that runs elsewhere has
// both; what it wants is the agent's key.
func (env Env) variables() map[string]string {
	if env.Server != "" {
		return map[string]string{agentKeyVariable: env.AgentKey}
	}
	set := map[string]string{}
	for name, value := range map[string]string{homeVariable: env.CoatcheckHome, keySourceVariable: env.KeySource} {
		if value != "" {
			set[name] = value
		}
	}
	return set
}

// args are those of the program.
func (env Env) args() []string {
	if env.Server != "" {
		return []string{"mcp", "--server", env.Server}
	}
	return []string{"mcp"}
}

// kind is a client and what is particular to it.
type kind struct {
	Client
	servers string        // the member that holds the servers
	typed   bool          // entries have "type": "stdio"
	expands bool          // ${…} in an entry is a variable
	dialect jsonc.Dialect // what its parser takes
	place   func(Env) (string, error)
}

func kinds() []kind {
	return []kind{
		{
			Client:  Client{"claude-desktop", "Claude Desktop", "Quit Claude Desktop and start it again."},
			servers: "mcpServers", dialect: jsonc.Plain, place: claudeDesktop,
		},
		{
			Client:  Client{"claude-code", "Claude Code", "Start a new session; /mcp shows the server."},
			servers: "mcpServers", typed: true, expands: true, dialect: jsonc.Plain, place: claudeCode,
		},
		{
			Client:  Client{"cursor", "Cursor", "Switch coatcheck on in Cursor's MCP settings, or start Cursor again."},
			servers: "mcpServers", typed: true, expands: true, dialect: jsonc.Comments,
			place: func(env Env) (string, error) { return filepath.Join(env.Home, ".cursor", "mcp.json"), nil },
		},
		{
			Client:  Client{"vscode", "VS Code", "Run MCP: List Servers in VS Code and start coatcheck."},
			servers: "servers", typed: true, expands: true, dialect: jsonc.Comments,
			place: func(env Env) (string, error) { return filepath.Join(env.configDir(), "Code", "User", "mcp.json"), nil },
		},
	}
}

func kindOf(client string) (kind, error) {
	var names []string
	for _, k := range kinds() {
		if k.Name == client {
			return k, nil
		}
		names = append(names, k.Name)
	}
	return kind{}, fmt.Errorf("%w %q; known are %s", ErrUnknownClient, client, strings.Join(names, ", "))
}

func (env Env) configDir() string {
	switch {
	case env.ConfigDir != "":
		return env.ConfigDir
	case env.OS == "darwin":
		return filepath.Join(env.Home, "Library", "Application Support")
	case env.OS == "windows":
		return filepath.Join(env.Home, "AppData", "Roaming")
	}
	return filepath.Join(env.Home, ".config")
}

func claudeCode(env Env) (string, error) {
	dir := env.Home
	if env.ClaudeConfigDir != "" {
		dir = env.ClaudeConfigDir
	}
	return filepath.Join(dir, ".claude.json"), nil
}

const claudeDesktopFile = "claude_desktop_config.json"

// claudeDesktop knows of the Windows package, which Claude Desktop comes in
// since February 2026: Windows shows it a private copy of %APPDATA%, below the
// package's folder, and the file at the usual place is never read. The part
// behind Claude_ is a hash of the publisher.
func claudeDesktop(env Env) (string, error) {
	usual := filepath.Join(env.configDir(), "Claude", claudeDesktopFile)
	if env.OS != "windows" {
		return usual, nil
	}
	local := env.LocalData
	if local == "" {
		local = filepath.Join(env.Home, "AppData", "Local")
	}
	entries, err := os.ReadDir(filepath.Join(local, "Packages"))
	if err != nil {
		return usual, nil //nolint:nilerr // no packages: the plain installation
	}
	var packaged, inUse []string
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), "Claude_") {
			path := filepath.Join(local, "Packages", e.Name(), "LocalCache", "Roaming", "Claude", claudeDesktopFile)
			packaged = append(packaged, path)
			if _, err := os.Stat(path); err == nil {
				inUse = append(inUse, path)
			}
		}
	}
	switch {
	case len(packaged) == 0:
		return usual, nil
	case len(packaged) == 1:
		return packaged[0], nil
	case len(inUse) == 1:
		return inUse[0], nil
	}
	return "", fmt.Errorf("there are %d packages of Claude Desktop below %s, and it is not clear which one is in use", len(packaged), filepath.Join(local, "Packages"))
}
