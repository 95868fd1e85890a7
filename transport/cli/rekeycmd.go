package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/private"
)

// sourceHelp is what every command that takes a key source says of it.
const sourceHelp = `SOURCE is what opens the vault:

  file:/PATH              a key file that only you can read (the default: key in the home)
  keyring:                the keyring of your desktop; keyring:NAME for another entry
  passphrase:             words that you type at the terminal
  passphrase:file:/PATH   words in a file that only you can read
  passphrase:fd:3         words from an inherited descriptor
  transit:https://HOST/MOUNT/keys/NAME
                          a transit key of OpenBao or HashiCorp Vault. The token is in BAO_TOKEN or
                          VAULT_TOKEN, or add ?token-file=/PATH; also ca-file and namespace

COATCHECK_KEY_SOURCE names one for a single command, and goes before config.yaml.`

// resealers is every store that keeps something sealed with the vault's key.
func resealers() []embedded.Resealer { return []embedded.Resealer{audit.Reseal} }

func (a *app) rekeyCommand() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use: "rekey", Short: "Give the vault a new key, and a new place to keep it", Args: nothing,
		Long: "Makes a new key, seals every record of the vault with it and drops the key before, while other\n" +
			"processes go on. With --to the new key is sealed by another source, and config.yaml says so.\n" +
			"Processes that run follow there, unless COATCHECK_KEY_SOURCE names theirs or somebody would\n" +
			"have to type or hand over the new one; those are to be started anew.\n" +
			"If it is stopped at any point nothing is lost, and running it again finishes the work.\n\n" +
			"What was copied before stays as it was: an old copy of the database opens with the old key.\n\n" + sourceHelp,
		Example: "  coatcheck rekey\n  coatcheck rekey --to keyring:\n  coatcheck rekey --to passphrase:",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			h, err := a.ready(ctx, false)
			if err != nil {
				return err
			}
			return a.rekey(ctx, h, to)
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "seal the new key with `SOURCE`")
	return cmd
}

// rekeying is one run of the command.
type rekeying struct {
	*app
	d      *desk
	choice keyChoice

	resealed int
	finished bool // something that was begun before
	moved    bool // to another source
}

func (a *app) rekey(ctx context.Context, h home, to string) (err error) {
	var target embedded.KeySource
	if to != "" {
		if target, err = a.parseSource(to, "--to"); err != nil {
			return err
		}
	}
	unlock, err := private.Lock(h.keyLock(), 0)
	if errors.Is(err, vault.ErrBusy) {
		return codedError{errors.New("another 'coatcheck rekey' is at work"), exitStorage, "Wait until it has ended."}
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	r := rekeying{app: a}
	if r.choice, err = a.keySource(h); err != nil {
		return err
	}
	if r.choice.by == keyVariable { // which goes before a change that is under way, and does not end it
		if r.choice.change, err = h.readChange(); err == nil && r.choice.change != nil {
			r.choice.next, err = a.parseSource(r.choice.change.To, h.change())
		}
		if err != nil {
			return err
		}
	}
	if target != nil && r.choice.by != keyVariable { // what could fail after the switch fails before
		if err := h.configureKey(target.String(), true); err != nil {
			return err
		}
	}
	if r.d, err = a.open(ctx, h); err != nil {
		return r.explain(err)
	}
	return r.d.finish(ctx, r.run(ctx, target))
}

// run settles what an earlier run has left, and does what this one is to do.
func (r *rekeying) run(ctx context.Context, target embedded.KeySource) error {
	left, err := r.settle(ctx)
	if err != nil {
		return err
	}
	state, err := r.d.keys.State(ctx, r.d.db)
	if err != nil {
		return err
	}
	if state.Unfinished {
		if err := r.reseal(ctx); err != nil {
			return err
		}
		r.finished = true
	}
	switch {
	case target == nil && left != nil: // stopped before the switch
		target = left
	case r.finished && (target == nil || target.String() == state.Source.String()):
		return r.report(state.Source)
	}
	source := state.Source
	if target != nil {
		source = target
	}
	if err := r.begin(ctx, source, target != nil); err != nil {
		return err
	}
	if err := r.reseal(ctx); err != nil {
		return err
	}
	return r.report(source)
}

// settle ends a change of the source that an earlier run has left: after the
// switch it is written down. Before, it is returned, and its note stays until that of
// the next change replaces it, so that another kill does not forget it.
func (r *rekeying) settle(ctx context.Context) (left embedded.KeySource, err error) {
	c := r.choice
	if c.change == nil {
		return nil, nil
	}
	source, err := c.settle(ctx, r.d.db)
	if err != nil {
		return nil, err
	}
	if source == c.next {
		r.moved = true
		return nil, r.d.home.endChange(c.change.To, true)
	}
	return c.next, nil
}

// begin makes the new key and puts it to use.
func (r *rekeying) begin(ctx context.Context, source embedded.KeySource, moves bool) error {
	h := r.d.home
	if _, err := embedded.MakeKey(ctx, source); errors.Is(err, fs.ErrNotExist) {
		return usage("--to: the folder of the key must exist: %w", err)
	} else if err != nil {
		return err
	}
	if err := r.step("key"); err != nil {
		return err
	}
	kind, _, _ := strings.Cut(source.String(), ":")
	err := r.d.keys.BeginRekey(ctx, r.d.db, source, embedded.Switch{
		Before: func(mark string) error {
			if !moves {
				return r.step("change")
			}
			return errors.Join(h.writeChange(keyChange{To: source.String(), Mark: mark}), r.step("change"))
		},
		Record: r.d.RecordRekey(ctx, identity.OwnerCLI(), broker.RekeyBegun, kind),
	})
	if err != nil {
		return err
	}
	if err := r.step("switch"); err != nil || !moves {
		return err
	}
	r.moved = true
	if err := h.endChange(source.String(), r.choice.by != keyVariable); err != nil {
		return codedError{
			fmt.Errorf("the vault is sealed with %s now, and %s could not be changed: %w", source, h.config(), err), exitPolicy,
			"Nothing is lost. Make the file writable and run 'coatcheck rekey' again.",
		}
	}
	return r.step("config")
}

// reseal seals everything with the new key and drops the one before.
func (r *rekeying) reseal(ctx context.Context) error {
	total, err := r.d.keys.Sealed(ctx, r.d.db)
	if err != nil {
		return err
	}
	m := r.meter("Sealing", total)
	defer m.end()
	done, err := r.d.keys.FinishRekey(ctx, r.d.db, embedded.Work{
		Stores:   resealers(),
		Record:   r.d.RecordRekey(ctx, identity.OwnerCLI(), broker.Rekeyed, ""),
		Progress: func(n int) error { m.set(n); return r.step("batch") },
	})
	r.resealed += done
	if errors.Is(err, vault.ErrCorrupt) {
		return codedError{
			err, exitStorage,
			"The new key is in use, and the one before is kept for these. Bring them back from a backup, or remove\n" +
				"them: coatcheck secret delete PATH --permanent. Then run 'coatcheck rekey' again.",
		}
	}
	if err != nil {
		return err
	}
	return r.step("end")
}

func (r *rekeying) report(source embedded.KeySource) error {
	if r.json {
		return r.writeJSON(map[string]any{"key_source": source.String(), "resealed": r.resealed, "finished_earlier": r.finished})
	}
	if r.finished {
		r.note("Finished the rekey that was begun before")
	}
	r.note("The vault has a new key; %d records and versions were sealed with it", r.resealed)
	r.note("What opens it: %s", source)
	if !r.moved {
		return nil
	}
	if r.choice.by == keyVariable {
		r.note("%s is set and names the source before. Set it now, also for clients (coatcheck connect):\n  %s=%s", keyVariable, keyVariable, source)
	}
	if r.choice.by == keyVariable || asksOnce(source) {
		r.note("Start running 'coatcheck serve' and clients anew: they cannot open it any more.")
	}
	r.note("Keep what opened it before for as long as you keep backups from before, and no longer: with such\na backup it still opens every secret as it was.")
	return nil
}

// explain explains why the source of the variable opens nothing: the vault has
// been sealed with another one since.
func (r *rekeying) explain(err error) error {
	if r.choice.by != keyVariable || r.choice.change == nil || !errors.Is(err, vault.ErrKeyWrong) {
		return err
	}
	return codedError{err, exitKey, fmt.Sprintf("A rekey has changed the source. Set %s=%s and run it again.", keyVariable, r.choice.change.To)}
}

// step is where a test may stop the command, as a kill would.
func (a *app) step(name string) error {
	if a.stop == nil {
		return nil
	}
	return a.stop(name)
}
