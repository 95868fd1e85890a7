package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"

	"github.com/coatcheck-dev/coatcheck/policy"
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
const defaultConfig = `# coatcheck reads this file; each line shows the default.

# What opens the vault; "" is the file key in this folder. The variable
# COATCHECK_KEY_SOURCE goes before it. To change it: coatcheck rekey --to SOURCE,
# which seals the vault with the new one and writes it here.
key_source: ""

# Where the secrets are; "" is the vault in this folder. Else the URL of another
# desk, or of any service that speaks the Agent Secret Store API, whose key for this
# desk is in COATCHECK_VAULT_KEY. Policy, handles, destinations and the record stay
# here.
vault: ""

# The rest is for coatcheck serve.

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

# Proxies in front of this server whose X-Forwarded-For says who the client is:
# addresses, and networks such as 10.0.0.0/8. From anybody else it means nothing.
trusted_proxies: []

# Where to tell what happened here, signed as Standard Webhooks says. The key is a
# secret of this vault, whsec_ and 24 to 64 bytes in base64:
#   openssl rand -base64 32 | sed s/^/whsec_/ | coatcheck secret set webhooks/ops
#   - url: https://hooks.example.com/coatcheck
#     secret_path: webhooks/ops
#     events: ["approval.*", secret.rotated]    # names of 'audit tail'; the default
#     network: [10.0.0.0/8]                     # only if the host is in a private network
webhooks: []

# Connections at once; requests and event streams of one agent at once; requests
# of one agent a second; requests of one address a second where no key is needed,
# and its wrong keys a minute; and how long calls under way may go on when the
# server stops.
limits:
  connections: 4096
  requests: 64
  streams: 512
  rate: 5000
  open_rate: 100
  failures: 600
  drain: 10s
`

type config struct {
	KeySource      string          `yaml:"key_source"`
	Vault          string          `yaml:"vault"`
	Listen         string          `yaml:"listen"`
	TLSCert        string          `yaml:"tls_cert"`
	TLSKey         string          `yaml:"tls_key"`
	AllowHosts     []string        `yaml:"allow_hosts"`
	AllowOrigins   []string        `yaml:"allow_origins"`
	TrustedProxies []string        `yaml:"trusted_proxies"`
	Webhooks       []webhookConfig `yaml:"webhooks"`
	Socket         string          `yaml:"socket"`
	SocketUsers    []string        `yaml:"socket_users"`
	Limits         limits          `yaml:"limits"`
}

// readConfig reads config.yaml strictly; a missing file means the defaults.
func (h home) readConfig() (config, error) {
	text, err := readOwned(h.config())
	if errors.Is(err, fs.ErrNotExist) {
		return parseConfig(h.config(), nil)
	}
	if err != nil {
		return config{}, err
	}
	return parseConfig(h.config(), text)
}

func parseConfig(file string, text []byte) (config, error) {
	var c config
	if err := yaml.Unmarshal([]byte(defaultConfig), &c); err != nil {
		return c, err
	}
	if err := plainYAML(file, text); err != nil {
		return c, err
	}
	if err := yaml.UnmarshalWithOptions(text, &c, yaml.Strict()); err != nil && len(text) > 0 {
		return c, configSyntax(file, err)
	}
	for _, path := range []*string{&c.TLSCert, &c.TLSKey} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(filepath.Dir(file), *path)
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
	wrong := &policy.SyntaxError{File: file, Msg: known.GetMessage(), Hint: "known fields are key_source, vault, listen, socket, socket_users, allow_hosts, allow_origins and trusted_proxies, for TLS tls_cert and tls_key, webhooks with url, secret_path, events and network, and limits with connections, requests, streams, rate, open_rate, failures and drain"}
	wrong.Line, wrong.Column = known.GetToken().Position.Line, known.GetToken().Position.Column
	if _, ok := errors.AsType[*yaml.TypeError](err); ok { // its text speaks of Go
		wrong.Msg, wrong.Hint = "the value does not fit its field", "listen is text, as are key_source, vault, socket, tls_cert and tls_key; socket_users, allow_hosts, allow_origins and trusted_proxies are lists of text; webhooks is a list of fields, of which url and secret_path are text, and events and network lists of text; limits are numbers, and drain is a duration such as 10s"
	}
	return wrong
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
func (a *app) ready(ctx context.Context, first bool) (home, error) {
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
	made, err := a.initialise(ctx, h, false, "")
	if err == nil && len(made) > 0 {
		a.welcome(h)
	}
	return h, err
}
