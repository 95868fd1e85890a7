package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/private"
)

// home is the one folder everything lives in (DESIGN §9).
type home string

func (h home) database() string { return filepath.Join(string(h), "vault.db") }
func (h home) key() string      { return filepath.Join(string(h), "key") }
func (h home) policy() string   { return filepath.Join(string(h), "policy.yaml") }
func (h home) config() string   { return filepath.Join(string(h), "config.yaml") }
func (h home) anchor() anchor   { return anchor(filepath.Join(string(h), "checkpoint")) }

// home returns COATCHECK_HOME or the user's configuration folder + /coatcheck,
// as an absolute path.
func (a *app) home() (home, error) {
	if dir := a.getenv("COATCHECK_HOME"); dir != "" {
		abs, err := filepath.Abs(dir)
		return home(abs), err
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no home: set COATCHECK_HOME (%w)", err)
	}
	return home(filepath.Join(dir, "coatcheck")), nil
}

// defaultConfig is what init writes; every value in it is the default.
const defaultConfig = `# coatcheck serve reads this file; each line shows the default.

# Where to listen. An address beyond loopback needs TLS, or --insecure-listen;
# none leaves TCP out and serves the socket alone.
listen: 127.0.0.1:7420

# A unix socket for agents of other users of this machine, such as
# /run/coatcheck/desk.sock, and who may connect to it, by user name or uid,
# besides the user that serves. Each still needs its key.
socket: ""
socket_users: []

# TLS: files with the certificate chain and its key, in PEM form; a relative
# path starts in this folder. Names that clients use go into allow_hosts.
tls_cert: ""
tls_key: ""

# Host names clients may use besides loopback names, for example desk.example.com.
allow_hosts: []

# Web origins that may call, for example https://app.example.com. A browser that
# sends any other Origin is refused.
allow_origins: []

# Connections at once; requests and event streams of one agent at once; and how
# long calls under way may go on when the server stops.
limits:
  connections: 4096
  requests: 64
  streams: 512
  drain: 10s
`

type config struct {
	Listen       string   `yaml:"listen"`
	TLSCert      string   `yaml:"tls_cert"`
	TLSKey       string   `yaml:"tls_key"`
	AllowHosts   []string `yaml:"allow_hosts"`
	AllowOrigins []string `yaml:"allow_origins"`
	Socket       string   `yaml:"socket"`
	SocketUsers  []string `yaml:"socket_users"`
	Limits       limits   `yaml:"limits"`
}

// readConfig reads config.yaml strictly; a missing file means the defaults.
func (h home) readConfig() (config, error) {
	var c config
	if err := yaml.Unmarshal([]byte(defaultConfig), &c); err != nil {
		return c, err
	}
	file, err := private.OpenOwned(h.config())
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxConfigBytes+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return c, err
	}
	if err := plainYAML(h.config(), text); err != nil {
		return c, err
	}
	if err := yaml.UnmarshalWithOptions(text, &c, yaml.Strict()); err != nil {
		return c, configSyntax(h.config(), err)
	}
	for _, path := range []*string{&c.TLSCert, &c.TLSKey} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(string(h), *path)
		}
	}
	return c, nil
}

// maxConfigBytes is the largest config.yaml.
const maxConfigBytes = 64 << 10

// plainYAML refuses what a configuration never needs and a hostile one could
// use: a huge file, aliases that multiply, characters that steer a terminal.
func plainYAML(file string, text []byte) error {
	if len(text) > maxConfigBytes {
		return &policy.SyntaxError{File: file, Line: 1, Column: 1, Msg: "the file is larger than 64 KiB"}
	}
	for _, tk := range lexer.Tokenize(string(text)) {
		at := tk.Position
		switch {
		case tk.Type == token.AnchorType || tk.Type == token.AliasType:
			return &policy.SyntaxError{File: file, Line: at.Line, Column: at.Column, Msg: "anchors and aliases are not used here", Hint: "write the value out"}
		case strings.ContainsFunc(tk.Value, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' || r == 0x7f }):
			return &policy.SyntaxError{File: file, Line: at.Line, Column: at.Column, Msg: "there is a control character", Hint: "remove it"}
		}
	}
	return nil
}

// configSyntax gives an error of the YAML reader the form of a policy's.
func configSyntax(file string, err error) error {
	var known yaml.Error
	if !errors.As(err, &known) || known.GetToken() == nil {
		return codedError{fmt.Errorf("%s: %w", file, err), exitPolicy, ""}
	}
	wrong := &policy.SyntaxError{File: file, Msg: known.GetMessage(), Hint: "known fields are listen, socket, socket_users, allow_hosts and allow_origins, for TLS tls_cert and tls_key, and limits with connections, requests, streams and drain"}
	wrong.Line, wrong.Column = known.GetToken().Position.Line, known.GetToken().Position.Column
	if _, ok := errors.AsType[*yaml.TypeError](err); ok { // its text speaks of Go
		wrong.Msg, wrong.Hint = "the value does not fit its field", "listen is text, as are socket, tls_cert and tls_key; socket_users, allow_hosts and allow_origins are lists of text; limits are numbers, and drain is a duration such as 10s"
	}
	return wrong
}

// keySource is what opens the vault and the file it lies in: that of
// COATCHECK_KEY_SOURCE, else the home's key file.
func (a *app) keySource(h home) (source embedded.KeySource, file string, err error) {
	uri := a.getenv("COATCHECK_KEY_SOURCE")
	if uri == "" {
		uri = embedded.FileURI(h.key())
	}
	if source, err = embedded.ParseKeySource(uri); err != nil {
		return nil, "", usage("COATCHECK_KEY_SOURCE: %w", err)
	}
	if lies, ok := source.(interface{ Path() string }); ok {
		file = lies.Path()
	}
	return source, file, nil
}

// initialise fills an empty home and returns the files it made. With complete it
// also makes what else is missing: a lost policy is put back only when somebody
// asks for it, since a start without rules must not pass unnoticed. What exists
// is not touched, and a database without its key is left alone: a new key would
// not open it.
//
// The key comes last: whoever finds it finds the rest, also when several clients
// start at the same moment or one is killed half-way.
func (a *app) initialise(h home, complete bool) (made []string, err error) {
	_, key, err := a.keySource(h)
	if err != nil {
		return nil, err
	}
	if err := h.makeFolder(); err != nil {
		return nil, err
	}
	if err := h.lost(); err != nil {
		return nil, err
	}
	first := missing(h.database()) && (missing(key) || missing(h.policy()))
	if !first && !complete {
		return nil, nil
	}
	for _, file := range []struct{ path, text string }{{h.policy(), policy.Default}, {h.config(), defaultConfig}} {
		if !missing(file.path) {
			continue
		}
		if err := private.WriteFile(file.path, []byte(file.text)); err != nil {
			return made, err
		}
		made = append(made, file.path)
	}
	if !missing(h.database()) || !missing(key) {
		return made, nil
	}
	err = embedded.CreateKeyFile(key)
	switch {
	case errors.Is(err, fs.ErrExist): // another process was faster
		return made, nil
	case errors.Is(err, fs.ErrNotExist):
		return made, usage("COATCHECK_KEY_SOURCE: the folder of the key must exist: %w", err)
	case err != nil:
		return made, err
	}
	return append(made, key), nil
}

func (h home) makeFolder() error {
	err := os.MkdirAll(string(h), 0o700)
	if errors.Is(err, syscall.ENOTDIR) {
		return usage("COATCHECK_HOME is not a folder: %w", err)
	}
	if err != nil {
		return err
	}
	return private.CheckDir(string(h))
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// empty reports a file that lost all it held.
func empty(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() == 0
}

// lost reports that the database was there once and is gone, or empty: the
// checkpoint that was taken of it is still there.
func (h home) lost() error {
	if !missing(h.database()) && !empty(h.database()) || missing(string(h.anchor())) {
		return nil
	}
	return codedError{
		fmt.Errorf("%s is gone; the checkpoint beside it says that it was there", h.database()), exitStorage,
		"Put back the database, from a backup if need be. Only to start anew without its secrets:\nremove " + string(h.anchor()) + " by hand.",
	}
}

// ready returns the home, which a command may use for the first time: then an
// empty one is made and told. Other commands fail where there is none, so that
// a mistyped COATCHECK_HOME shows.
func (a *app) ready(first bool) (home, error) {
	h, err := a.home()
	if err != nil {
		return "", err
	}
	if !first && missing(h.database()) {
		if err := h.lost(); err != nil {
			return "", err
		}
		return "", usage("there is no home in %s: make one with 'coatcheck init', or set COATCHECK_HOME to the one you mean", h)
	}
	made, err := a.initialise(h, false)
	if err == nil && len(made) > 0 {
		a.welcome(h)
	}
	return h, err
}

func (a *app) welcome(h home) {
	a.note("Made a new home in %s", h)
	a.note("  policy.yaml  what agents may do: those on this machine may list and use every secret")
	if _, key, err := a.keySource(h); err == nil && key != h.key() {
		a.note("The key is %s; without it vault.db cannot be opened.", key)
		return
	}
	a.note("  key          opens vault.db: keep a copy elsewhere, and never back up both together")
}

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init", Short: "Make the home: key, vault, policy and configuration", Args: nothing,
		Long: "Makes what is missing of the home (COATCHECK_HOME, by default the user's configuration\n" +
			"folder + /coatcheck) and leaves alone what is there.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := a.home()
			if err != nil {
				return err
			}
			first := missing(h.database())
			made, err := a.initialise(h, true)
			if err != nil {
				return err
			}
			d, err := a.open(cmd.Context(), h)
			if err != nil {
				return err
			}
			if err := d.close(cmd.Context()); err != nil {
				return err
			}
			switch {
			case len(made) == 0:
				a.note("Nothing to do: %s is a home already", h)
			case first:
				a.welcome(h)
			default:
				a.note("Made %s", strings.Join(made, " and "))
			}
			return a.done(map[string]any{"home": h, "made": append([]string{}, made...)})
		},
	}
}
