package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/dotenv"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/private"
)

// importFlags are the flags of secret import.
type importFlags struct {
	into, tier                          string
	replace, known, dry, rewrite, keeps bool
}

func (a *app) secretImport() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Store every value of a .env file, and put references in their place",
		Long: `Stores each NAME=VALUE of FILE (- for standard input) as a secret below --into: all
of them, or none when anything is wrong or in the way. What exists is left alone,
unless --replace makes the values its next versions. Empty values are left out.
Everybody else who writes waits meanwhile, so a file of more than 10,000 values is
refused, and says where to split it.

Then it offers to put a reference in the place of each value,
  NAME=coatcheck://production/app/NAME
and keeps the rest of the file, comments and order, as it is. Without a terminal
it does so with --write-references only. Nothing of the values stays behind.

The file is read strictly; what shells and libraries read differently is refused
with its line: lines are NAME=VALUE, export may stand before and # COMMENT after
a blank behind; 'single quotes' are literal, "double quotes" know \n \r \t \\ \"
\$ and an escaped backtick, and both may go over lines; ${…}, $(…), a backtick that
is not escaped and a \ at a line's end are refused.

A value that looks like a key of a provider that coatcheck knows gets its type;
where it may go you say afterwards, or here with --to-known.`,
		Example: "  coatcheck secret import .env --into production/app --dry-run\n" +
			"  coatcheck secret import .env --into production/app --to-known --write-references",
		Args: exactly(1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.importFile(cmd, f, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.into, "into", "", "the `NAMESPACE` that the names go below")
	flags.BoolVar(&f.dry, "dry-run", false, "show what would be stored, and store nothing")
	flags.BoolVar(&f.replace, "replace", false, "store the values of secrets that exist as their next versions")
	flags.BoolVar(&f.known, "to-known", false, "let new keys of known providers go to their provider")
	flags.StringVar(&f.tier, "tier", "", "how carefully new secrets are given out, a `TIER`: standard, sensitive or critical")
	flags.BoolVar(&f.rewrite, "write-references", false, "put references in the place of the values without asking")
	flags.BoolVar(&f.keeps, "keep-original", false, "keep the file with its values as FILE.original")
	return cmd
}

func (f *importFlags) check(file string) error {
	switch {
	case f.into == "":
		return usage("--into is missing: the namespace that the names go below, such as production/app")
	case f.rewrite && file == "-":
		return usage("--write-references needs a file; standard input cannot be rewritten")
	case f.rewrite && f.dry:
		return usage("--dry-run and --write-references exclude each other")
	case f.keeps && !f.rewrite:
		return usage("--keep-original goes with --write-references")
	default:
		return nil
	}
}

func (a *app) importFile(cmd *cobra.Command, f importFlags, name string) error {
	if err := f.check(name); err != nil {
		return err
	}
	text, err := a.readEnv(cmd.Context(), name)
	if err != nil {
		return err
	}
	parsed, err := dotenv.Parse(text)
	if err != nil {
		return usage("%s, %w", name, err)
	}
	plan, err := planImport(parsed, f)
	if err != nil {
		return err
	}
	return a.onHome(cmd.Context(), !f.dry, a.open, func(d *desk, who identity.Principal) error {
		plan.propose(d.known, f.known)
		if f.dry {
			stored, err := d.Import(cmd.Context(), who, broker.ImportRequest{Items: plan.items(), Replace: f.replace, DryRun: true})
			if err != nil {
				return inTheWay(err)
			}
			return a.tellDryRun(plan, stored)
		}
		rewrite := rewriting{file: name, text: text, plan: plan, keep: f.keeps}
		if f.rewrite {
			if err := rewrite.prepare(); err != nil {
				return err
			}
		}
		stored, err := a.importAll(cmd.Context(), d, who, plan, f.replace)
		if err != nil {
			return errors.Join(inTheWay(err), rewrite.discard())
		}
		done, err := a.offer(cmd.Context(), &rewrite)
		return errors.Join(a.tellImport(plan, stored, done, name), err)
	})
}

// readEnv reads the file, or standard input.
func (a *app) readEnv(ctx context.Context, name string) ([]byte, error) {
	if name == "-" {
		if isTerminal(a.In) {
			return nil, usage("pipe the text in, or name a file")
		}
		return await(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(a.In, dotenv.MaxBytes+1)) })
	}
	file, err := private.OpenRegular(name)
	if errors.Is(err, private.ErrNotRegular) {
		return nil, usage("%w; use - for standard input", err)
	}
	if err != nil {
		return nil, usage("FILE cannot be read: %w", err)
	}
	defer file.Close() //nolint:errcheck // opened for reading only
	text, err := io.ReadAll(io.LimitReader(file, dotenv.MaxBytes+1))
	if err != nil {
		return nil, usage("FILE cannot be read: %w", err)
	}
	return text, nil
}

// importAll stores what was planned and shows a person how far it is.
func (a *app) importAll(ctx context.Context, d *desk, who identity.Principal, plan *importPlan, replace bool) ([]broker.Imported, error) {
	if len(plan.secrets) == 0 {
		return nil, nil
	}
	progress := a.meter("Storing", len(plan.secrets))
	defer progress.end()
	return d.Import(ctx, who, broker.ImportRequest{Items: plan.items(), Replace: replace, Progress: progress.set})
}

// maxNamed is how many paths an error names.
const maxNamed = 100

// inTheWay names the paths that an import met.
func inTheWay(err error) error {
	conflict, ok := errors.AsType[*broker.ImportConflict](err)
	if !ok {
		return err
	}
	var text strings.Builder
	for i, p := range append(append([]vault.Path{}, conflict.Exist...), conflict.Clash...) {
		if i == maxNamed {
			fmt.Fprintf(&text, "\n  and %d more", len(conflict.Exist)+len(conflict.Clash)-maxNamed)
			break
		}
		text.WriteString("\n  " + string(p))
	}
	next := "Nothing was stored. Choose another --into: a name is either a secret or a folder of secrets."
	if len(conflict.Clash) == 0 {
		next = "Nothing was stored. With --replace the values become their next versions; what else they have stays."
	}
	return codedError{fmt.Errorf("%w:%s", conflict, text.String()), exitConflict, next}
}

// rewriting puts references in the place of a file's values.
type rewriting struct {
	file string
	text []byte
	plan *importPlan
	keep bool
	swap *private.Swap // nil until it is ready
	kept bool          // the copy was made
}

// copied is where the file with its values is kept when that was asked for.
func (r *rewriting) copied() string { return r.file + ".original" }

// prepare does all of it that may fail for the file's sake.
func (r *rewriting) prepare() (err error) {
	if len(r.plan.secrets) == 0 {
		return nil
	}
	r.swap, err = private.NewSwap(r.file, r.text, r.plan.withReferences())
	if err == nil && r.keep {
		err = private.CreateFile(r.copied(), r.text)
		r.kept = err == nil
	}
	if err != nil {
		err = errors.Join(err, r.discard())
	}
	if err != nil {
		return usage("--write-references: the file cannot be rewritten; nothing was stored: %w", err)
	}
	return nil
}

// discard leaves the file as it was, and nothing beside it.
func (r *rewriting) discard() (err error) {
	if r.kept {
		err = os.Remove(r.copied())
	}
	if r.swap != nil {
		err = errors.Join(err, r.swap.Discard())
	}
	r.swap, r.kept = nil, false
	return err
}

// offer puts the references in, after asking where nobody has said so.
func (a *app) offer(ctx context.Context, r *rewriting) (done bool, err error) {
	if r.swap == nil {
		if len(r.plan.secrets) == 0 || r.file == "-" || a.json || !isTerminal(a.In) {
			return false, nil
		}
		yes, err := a.confirm(ctx, fmt.Sprintf("Put references in the place of the %d values in %s?", len(r.plan.secrets), r.file))
		if !yes || err != nil {
			return false, err
		}
		if err := r.prepare(); err != nil {
			return false, notRewritten(r.file, err)
		}
	}
	if err := r.swap.Commit(); err != nil {
		return false, notRewritten(r.file, err)
	}
	return true, nil
}

// notRewritten is an import that was carried out, and whose file kept its values.
func notRewritten(file string, err error) error {
	return codedError{
		fmt.Errorf("the secrets are stored, but %s still has its values: %v", file, err), exitFailed,
		"Do not import it again. Remove the values by hand, or write a file with 'coatcheck secret export NAMESPACE --references'.",
	}
}
