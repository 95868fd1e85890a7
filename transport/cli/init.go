package cli

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/private"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// initialise fills an empty home and returns what it made. With complete it also
// makes what else is missing: a lost policy is put back only when somebody asks
// for it, since a start without rules must not pass unnoticed. What exists is
// not touched, and a database without its key is left alone: a new key would
// not open it. keySource, if not "", is written into the configuration of a home that
// has no vault yet: an earlier try may have ended at another source.
//
// The key comes last: whoever finds it finds the rest, also when several clients
// start at the same moment or one is killed half-way.
func (a *app) initialise(ctx context.Context, h home, complete bool, keySource string) (made []string, err error) {
	choice, err := a.keySource(h)
	bare := missing(h.database())
	if err == nil && keySource != "" {
		if bare, err = h.bare(ctx); err == nil {
			choice, err = a.newChoice(h, choice, keySource, bare)
		}
	}
	if err != nil {
		return nil, err
	}
	if err := h.makeFolder(); err != nil {
		return nil, err
	}
	if err := h.lost(); err != nil {
		return nil, err
	}
	key := choice.file()
	first := missing(h.database()) && (key == "" || missing(key) || missing(h.policy()))
	if !first && !complete {
		return nil, nil
	}
	settings := []byte(defaultConfig)
	if keySource != "" {
		settings = withKeyField(settings, choice.source.String())
	}
	for _, file := range []struct {
		path string
		text []byte
	}{{h.policy(), []byte(policy.Default)}, {h.config(), settings}} {
		if !missing(file.path) {
			continue
		}
		if err := private.WriteFile(file.path, file.text); err != nil {
			return made, err
		}
		made = append(made, file.path)
	}
	if !bare {
		return made, nil
	}
	if keySource != "" && !slices.Contains(made, h.config()) {
		if err := h.configureKey(choice.source.String(), false); err != nil {
			return made, err
		}
		made = append(made, h.config())
	}
	switch newKey, err := h.makeKey(ctx, choice); {
	case errors.Is(err, fs.ErrNotExist):
		return made, usage("%s: the folder of the key must exist: %w", choice.by, err)
	case err != nil:
		return made, err
	case newKey && key != "":
		made = append(made, key)
	case newKey:
		made = append(made, choice.source.String())
	}
	return made, nil
}

// newChoice is the source that init is told to use.
func (a *app) newChoice(h home, now keyChoice, uri string, bare bool) (keyChoice, error) {
	next, err := a.chosen(uri, "--key-source")
	switch {
	case err != nil || next.source.String() == now.source.String():
		return next, err
	case now.by == keyVariable:
		return next, usage("--key-source and %s say different things", keyVariable)
	case !bare:
		return next, usage("there is a home in %s already; to change what opens it: coatcheck rekey --to SOURCE", h)
	}
	return next, nil
}

// bare reports a home whose vault has no keyset yet, so that nothing needs the source
// that was chosen before: an init that found no keyring, or nobody to ask, leaves such.
func (h home) bare(ctx context.Context) (bool, error) {
	if missing(h.database()) {
		return true, nil
	}
	db, err := sqldb.Open(ctx, h.database(), migrations())
	if err != nil {
		return false, err
	}
	mark, err := embedded.SealedBy(ctx, db)
	return mark == "", errors.Join(err, db.Close())
}

// makeKey makes the key that a source keeps, one process at a time: a file can
// be made by one of several, an entry in a keyring would be written over.
func (h home) makeKey(ctx context.Context, c keyChoice) (made bool, err error) {
	if c.file() == "" {
		unlock, err := private.Lock(h.keyLock(), anchorWait)
		if err != nil {
			return false, err
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	return embedded.MakeKey(ctx, c.source)
}

func (a *app) welcome(h home) {
	a.note("Made a new home in %s", h)
	a.note("  policy.yaml  what agents may do: those on this machine may list and use every secret")
	choice, err := a.keySource(h)
	switch {
	case err == nil && choice.file() == "":
		a.note("The key source is %s; without it vault.db cannot be opened.", choice.source)
	case err == nil && choice.file() != h.key():
		a.note("The key is %s; without it vault.db cannot be opened.", choice.file())
	default:
		a.note("  key          opens vault.db: keep a copy elsewhere, and never back up both together")
	}
}

func (a *app) initCommand() *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use: "init", Short: "Make the home: key, vault, policy and configuration", Args: nothing,
		Long: "Makes what is missing of the home (COATCHECK_HOME, by default the user's configuration\n" +
			"folder + /coatcheck) and leaves alone what is there.\n\n" + sourceHelp,
		Example: "  coatcheck init\n  coatcheck init --key-source keyring:\n  coatcheck init --key-source passphrase:",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			h, err := a.home()
			if err != nil {
				return err
			}
			first := missing(h.database())
			made, err := a.initialise(ctx, h, true, source)
			if err != nil {
				return err
			}
			d, err := a.open(ctx, h)
			if err != nil {
				return err
			}
			if err := d.close(ctx); err != nil {
				return err
			}
			switch {
			case len(made) == 0:
				a.note("Nothing to do: %s is a home already", h)
			case first:
				a.welcome(h)
				a.offerKeyring(h)
			default:
				a.note("Made %s", strings.Join(made, " and "))
			}
			return a.done(map[string]any{"home": h, "made": append([]string{}, made...)})
		},
	}
	cmd.Flags().StringVar(&source, "key-source", "", "`SOURCE` of the key, for a new home (default: the file key in the home)")
	return cmd
}

// offerKeyring tells the owner of a new home about the keyring of the desktop,
// where there seems to be one. It does not ask: a question at the first command
// would have to be answered by every script, and the way there stays open.
func (a *app) offerKeyring(h home) {
	choice, err := a.keySource(h)
	if err != nil || choice.file() != h.key() || !a.desktop() {
		return
	}
	a.note("To keep the key in the keyring of this desktop instead: coatcheck rekey --to keyring:")
}

// desktop reports whether this user has a keyring, as far as one can tell
// without waking it.
func (a *app) desktop() bool {
	switch runtime.GOOS {
	case "darwin", "windows":
		return true
	}
	bus := a.getenv("XDG_RUNTIME_DIR")
	return a.getenv("DBUS_SESSION_BUS_ADDRESS") != "" || bus != "" && !missing(filepath.Join(bus, "bus"))
}
