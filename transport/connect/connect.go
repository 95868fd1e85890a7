// Package connect writes coatcheck into the configuration of MCP clients.
//
// The one rule: a client's file is changed in one entry and nowhere else, all
// or nothing, with what it was kept beside it; a file that does not parse is
// left alone.
//
//	env, err := connect.Here(os.Getenv)
//	change, err := connect.Plan("cursor", env)     // reads, writes nothing
//	if printOnly {
//		_, err = stdout.Write(change.Snippet)
//	}
//	backup, err := connect.Apply(change)           // backup "" when nothing was replaced
//
// # The entry
//
//	"coatcheck": {
//	  "type": "stdio",                             // not in Claude Desktop, which has no such field
//	  "command": "/usr/local/bin/coatcheck",
//	  "args": ["mcp"],
//	  "env": {
//	    "COATCHECK_HOME": "/srv/coatcheck",        // only for a home that is not the default
//	    "COATCHECK_KEY_SOURCE": "file:/srv/key"    // only for a key that is elsewhere: it says where
//	  }
//	}
//
// It holds no key: over stdio the agent is whoever starts the program. With
// Env.Server it starts the bridge to a desk that runs elsewhere instead, and then
// it does:
//
//	"args": ["mcp", "--server", "unix:///run/coatcheck/desk.sock"],
//	"env": {"COATCHECK_AGENT_KEY": "ass_live_…"}
//
// A key goes into no file that others can read: such a file is refused, with the
// command that tightens it.
//
// # The files
//
// ConfigDir is $XDG_CONFIG_HOME or ~/.config on Linux, ~/Library/Application
// Support on macOS, %APPDATA% on Windows.
//
//	claude-desktop  ConfigDir/Claude/claude_desktop_config.json, under "mcpServers"
//	                (Windows package: %LOCALAPPDATA%/Packages/Claude_*/LocalCache/Roaming/Claude/…)
//	claude-code     ~/.claude.json, or $CLAUDE_CONFIG_DIR/.claude.json, under "mcpServers": the user scope
//	cursor          ~/.cursor/mcp.json, under "mcpServers"
//	vscode          ConfigDir/Code/User/mcp.json, under "servers": the default profile
//
// Comments and trailing commas are kept where the client reads them (Cursor,
// VS Code) and refused where they would make it read nothing.
//
// # Choices
//
// An entry that says the same already is left as it is, with whatever else is
// in it; one that says something else is replaced as a whole, because half of
// somebody's entry and half of ours is neither. Claude Code could be asked to
// write its file itself (claude mcp add); it may not be installed where this
// runs, and there would be no backup.
//
// It does not find other editions (Insiders, Flatpak, portable), other
// profiles or project files, and does not restart anything.
package connect

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/transport/connect/jsonc"
	"github.com/coatcheck-dev/coatcheck/vault/private"
)

// Name is the name of our entry in every client's list of servers.
const Name = "coatcheck"

// The errors of this package that a caller may want to tell apart.
var (
	// ErrUnknownClient: the name is none of [Clients].
	ErrUnknownClient = errors.New("unknown client")
	// ErrPasses: the program is one that go run made and will remove. Build or
	// install it first.
	ErrPasses = errors.New("the program is a temporary build of go run")
	// ErrChanged: the file is not what Plan read. Plan again.
	ErrChanged = errors.New("the file changed in the meantime")
	// ErrReadOnly: the file, or one that its link leads to, is marked read-only.
	ErrReadOnly = errors.New("the file is read-only")
)

// Client is an MCP client that can be configured.
type Client struct {
	Name  string // as it is given on the command line
	Title string // as people know it
	Next  string // what to do after its file has changed
}

// Clients lists the clients, in the order in which they are shown.
func Clients() []Client {
	all := make([]Client, 0, len(kinds()))
	for _, k := range kinds() {
		all = append(all, k.Client)
	}
	return all
}

// Change is what Plan would do to one file. Before and After are whole files
// and may hold other servers' keys: they are for writing, not for showing.
type Change struct {
	Client   Client
	Path     string // where the client looks; may be a link
	Before   []byte // as it is; nil when there is no file
	After    []byte // as it will be; equal to Before when there is nothing to do
	Created  bool   // there is no file yet
	Replaced bool   // there is an entry that says something else
	Secret   bool   // After and Snippet hold the agent's key
	Snippet  []byte // only what coatcheck adds, as a file of its own
}

// Needed says whether there is anything to write.
func (c Change) Needed() bool { return c.Created || string(c.Before) != string(c.After) }

// entry is the client's entry. The order of the fields is that of the file.
type entry struct {
	Type    string            `json:"type,omitempty"`
	Command string            `json:"command"`
	Args    []string          `json:"args"`
	Env     map[string]string `json:"env,omitempty"`
}

// Plan reads the client's file and returns what it should become. It writes
// nothing. Errors: [ErrUnknownClient], [ErrPasses], *[jsonc.SyntaxError] for a
// file that is malformed or has something else where the servers belong,
// those of reading, and sentences about a field of env.
func Plan(client string, env Env) (Change, error) {
	k, err := kindOf(client)
	if err != nil {
		return Change{}, err
	}
	if err := env.check(k); err != nil {
		return Change{}, err
	}
	c := Change{Client: k.Client}
	if c.Path, err = k.place(env); err != nil {
		return Change{}, err
	}
	if c.Before, err = read(c.Path); errors.Is(err, fs.ErrNotExist) {
		c.Created = true
	} else if err != nil {
		return Change{}, err
	}
	c.Secret = env.AgentKey != ""
	e := entry{Command: env.Binary, Args: env.args(), Env: env.variables()}
	if k.typed {
		e.Type = "stdio"
	}
	had, ok, err := jsonc.Get(c.Before, k.dialect, k.servers, Name)
	if err != nil {
		return Change{}, fmt.Errorf("%s was left as it is: %w", c.Path, err)
	}
	if c.Snippet, err = jsonc.Set(nil, k.dialect, e, k.servers, Name); err != nil {
		return Change{}, err
	}
	if ok && e.says(had) {
		c.After = c.Before
		return c, nil
	}
	c.Replaced = ok
	if c.After, err = jsonc.Set(c.Before, k.dialect, e, k.servers, Name); err != nil {
		return Change{}, fmt.Errorf("%s was left as it is: %w", c.Path, err)
	}
	return c, nil
}

// says reports whether an entry in a file starts the same program in the same
// way. Fields that we do not write are the user's, except those that make the
// client connect elsewhere.
func (e entry) says(had any) bool {
	m, ok := had.(map[string]any)
	if !ok {
		return false
	}
	if _, remote := m["url"]; remote {
		return false
	}
	kind, hasType := m["type"]
	if e.Type != "" && kind != e.Type || hasType && kind != "stdio" {
		return false
	}
	args := make([]any, 0, len(e.Args))
	for _, a := range e.Args {
		args = append(args, a)
	}
	env, _ := m["env"].(map[string]any)
	for _, name := range []string{homeVariable, keySourceVariable, agentKeyVariable} {
		has, ok := env[name]
		want, wants := e.Env[name]
		if ok != wants || ok && has != want {
			return false
		}
	}
	return m["command"] == e.Command && reflect.DeepEqual(m["args"], args)
}

// maxFile bounds what is read. Claude Code keeps megabytes of other things in
// its file.
const maxFile = 64 << 20

func read(path string) ([]byte, error) {
	f, err := private.OpenRegular(path)
	if errors.Is(err, private.ErrNotRegular) {
		return nil, notAFile(path)
	}
	if err != nil {
		if _, e := os.Lstat(path); e == nil && errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is a link that leads nowhere", path)
		}
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err = errors.Join(err, f.Close()); err == nil && len(text) > maxFile {
		err = notAFile(path)
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}

func notAFile(path string) error { return fmt.Errorf("%s is not a file of at most 64 MiB", path) }

// check refuses what would not work when the client starts us.
func (env Env) check(k kind) error {
	switch env.OS {
	case "linux", "darwin", "windows":
	default:
		return fmt.Errorf("where %s keeps its configuration is known for linux, darwin and windows only", k.Title)
	}
	if !filepath.IsAbs(env.Home) {
		return errors.New("the user's home folder is not an absolute path")
	}
	if (env.Server == "") != (env.AgentKey == "") {
		return errors.New("a desk that runs elsewhere and the agent's key for it go together")
	}
	const program, home = "path of the program", "path of the coatcheck home"
	for what, text := range map[string]string{
		program: env.Binary, home: env.CoatcheckHome, "key source": env.KeySource, "address of the desk": env.Server, "agent's key": env.AgentKey,
	} {
		switch {
		case text == "" && what != program:
		case (what == program || what == home) && !filepath.IsAbs(text):
			return fmt.Errorf("the %s is not absolute", what)
		case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
			return fmt.Errorf("the %s cannot be written in JSON", what)
		case k.expands && strings.Contains(text, "${"):
			return fmt.Errorf("the %s contains ${, which %s would take for a variable", what, k.Title)
		}
	}
	if passes(env.Binary) {
		return fmt.Errorf("%w: %s; run go install or go build, and then that program", ErrPasses, env.Binary)
	}
	return nil
}

// passes recognises what go run starts: …/go-build123/b001/exe/coatcheck.
func passes(binary string) bool {
	parts := strings.Split(filepath.ToSlash(binary), "/")
	n := len(parts)
	return n >= 4 && parts[n-2] == "exe" && strings.HasPrefix(parts[n-4], "go-build")
}
