package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"
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

// anchor holds the last signed checkpoint of the audit log.
func (h home) anchor() string { return filepath.Join(string(h), "checkpoint") }

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

# Where to listen. An address beyond loopback needs TLS.
listen: 127.0.0.1:7420

# Host names clients may use besides loopback names, for example desk.example.com.
allow_hosts: []

# Web origins that may call, for example https://app.example.com. A browser that
# sends any other Origin is refused.
allow_origins: []
`

type config struct {
	Listen       string   `yaml:"listen"`
	AllowHosts   []string `yaml:"allow_hosts"`
	AllowOrigins []string `yaml:"allow_origins"`
}

// readConfig reads config.yaml strictly; a missing file means the defaults.
func (h home) readConfig() (config, error) {
	var c config
	if err := yaml.Unmarshal([]byte(defaultConfig), &c); err != nil {
		return c, err
	}
	err := private.CheckOwned(h.config())
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	text, err := os.ReadFile(h.config())
	if err != nil {
		return c, err
	}
	if err := yaml.UnmarshalWithOptions(text, &c, yaml.Strict()); err != nil {
		return c, &policy.SyntaxError{File: h.config(), Msg: yaml.FormatError(err, false, false)}
	}
	return c, nil
}

// initialise fills an empty home and reports whether it did. With complete it
// also makes what else is missing: a lost policy is put back only when somebody
// asks for it, since a start without rules must not pass unnoticed. What exists
// is not touched, and a database without its key is left alone: a new key would
// not open it.
func (a *app) initialise(h home, complete bool) (made bool, err error) {
	if err := os.MkdirAll(string(h), 0o700); err != nil {
		return false, err
	}
	if err := private.CheckDir(string(h)); err != nil {
		return false, err
	}
	if a.getenv("COATCHECK_KEY_SOURCE") == "" && missing(h.key()) && missing(h.database()) {
		if err := embedded.CreateKeyFile(h.key()); err != nil && !errors.Is(err, fs.ErrExist) {
			return false, err
		}
		made = true
	}
	fill := made || complete
	for path, text := range map[string]string{h.policy(): policy.Default, h.config(): defaultConfig} {
		if !fill || !missing(path) {
			continue
		}
		made = true
		if err := private.WriteFile(path, []byte(text)); err != nil {
			return made, err
		}
	}
	return made, nil
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// ready initialises an empty home on first use and says so.
func (a *app) ready() (home, error) {
	h, err := a.home()
	if err != nil {
		return "", err
	}
	made, err := a.initialise(h, false)
	if err == nil && made {
		a.welcome(h)
	}
	return h, err
}

func (a *app) welcome(h home) {
	a.note("Made a new home in %s", h)
	a.note("  policy.yaml  what agents may do: local agents may list and use every secret")
	a.note("  key          opens vault.db; a backup of both together is not protected by it")
}

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init", Short: "Make the home: key, vault, policy and configuration", Args: cobra.NoArgs,
		Long: "Makes what is missing of the home (COATCHECK_HOME, by default the user's configuration\n" +
			"folder + /coatcheck) and leaves alone what is there.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := a.home()
			if err != nil {
				return err
			}
			made, err := a.initialise(h, true)
			if err != nil {
				return err
			}
			d, err := a.open(cmd.Context(), h)
			if err != nil {
				return err
			}
			if made {
				a.welcome(h)
			} else {
				a.note("Nothing to do: %s is a home already", h)
			}
			return d.close(cmd.Context())
		},
	}
}
