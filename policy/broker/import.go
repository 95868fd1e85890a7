package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// ImportRequest is many secrets to be stored together.
type ImportRequest struct {
	Items []ImportItem
	// Replace stores the values of paths that exist as their next versions and
	// leaves the rest of those secrets as it is. Without it an existing path is
	// a conflict, if the caller may list it.
	Replace bool
	// DryRun does everything and undoes it. Nothing is recorded.
	DryRun bool
	// Progress is told how many items were stored so far. It runs inside the
	// transaction and must not block. May be nil.
	Progress func(done int)
}

// MaxImport is how many secrets one [Broker.Import] stores at most. Its one
// transaction takes about 50 µs of a core for each, in which every other writer
// waits, and those give up after [sqldb.BusyTimeout]: this leaves room for a machine
// ten times as slow or as busy. Sealing outside of the transaction was rejected:
// two thirds of the time are the database's.
const MaxImport = 10_000

// ImportItem is one secret. Change needs a value; its mode is not looked at.
type ImportItem struct {
	Path   vault.Path
	Change vault.Change
}

// Imported is what became of one item: the path alone for who may not list it.
type Imported struct {
	Metadata vault.Metadata
	Created  bool
}

// ImportConflict names every path that is in the way; nothing was stored. It is
// a [vault.ErrExists], or where Exist is empty a [vault.ErrPathConflict].
type ImportConflict struct {
	Exist []vault.Path // have a secret already
	Clash []vault.Path // are a namespace, or lie below a secret
}

// Error counts the paths.
func (e *ImportConflict) Error() string {
	switch {
	case len(e.Clash) == 0:
		return fmt.Sprintf("%d of the secrets exist already", len(e.Exist))
	case len(e.Exist) == 0:
		return fmt.Sprintf("%d of the paths are a namespace or lie below a secret", len(e.Clash))
	default:
		return fmt.Sprintf("%d of the secrets exist already, and %d of the paths are a namespace or lie below a secret", len(e.Exist), len(e.Clash))
	}
}

// Is matches the sentinel of the vault.
func (e *ImportConflict) Is(target error) bool {
	if len(e.Exist) > 0 {
		return target == vault.ErrExists
	}
	return target == vault.ErrPathConflict
}

// Import stores many secrets, all of them or none, in one transaction, for the
// owner, admins, and agents that may set every one of them. Each has its own leaf,
// and the import has one. In a vault elsewhere they are stored one after the other:
// what it refuses ends the import, and the *[ItemError] says what was stored before.
// A token with a number of uses spends one on each, in a vault elsewhere also on those
// that were not stored; one that has fewer left stores none. Errors:
// *[ImportConflict] once all items were looked at; *[ItemError] for the first item
// that breaks a limit; *[vault.InvalidError] of field "items" for more than
// [MaxImport], of field "max_uses" for more than the token is good for; *[Denied].
func (b *Broker) Import(ctx context.Context, who identity.Principal, r ImportRequest) ([]Imported, error) {
	e := b.entry(who, "secret.imported")
	e.Target = fmt.Sprintf("%d secrets", len(r.Items))
	j := b.judge(who)
	rulings, err := b.decideAll(ctx, j, r.Items)
	if err != nil {
		return nil, b.refuse(ctx, &e, err)
	}
	var out []Imported
	err = b.carryOut(ctx, j, &e, func(tx *sqldb.Tx) (err error) {
		if who.Kind == identity.ScopedToken {
			if err := b.c.Agents.SpendToken(tx, who, len(r.Items), e.Time); err != nil {
				return err
			}
		}
		out = make([]Imported, 0, len(r.Items))
		if err = b.importAll(ctx, tx, rulings, r, e, &out); err == nil && r.DryRun {
			err = errUndo
		}
		return err
	})
	switch {
	case errors.Is(err, errUndo):
		return out, nil
	case err != nil && len(j.effects) > 0 && len(out) < len(r.Items):
		return nil, &ItemError{r.Items[len(out)].Path, fmt.Errorf("%w (of %d secrets %d were stored before)", err, len(r.Items), len(out))}
	case err != nil:
		return nil, err
	}
	for range out {
		b.seal.leaf(ctx, b)
	}
	return out, nil
}

// decideAll asks the policy about every item of an import. Errors: as [Broker.Import].
func (b *Broker) decideAll(ctx context.Context, j judge, items []ImportItem) ([]importRuling, error) {
	if len(items) > MaxImport {
		return nil, &vault.InvalidError{Field: "items", Rule: fmt.Sprintf("are more than %d", MaxImport)}
	}
	rulings := make([]importRuling, len(items))
	for i, item := range items {
		var e audit.Entry
		r, err := b.decide(ctx, j, &e, policy.Set, item.Path)
		if err == nil {
			err = b.overTrash(ctx, &r)
		}
		if err != nil {
			return nil, &ItemError{item.Path, err}
		}
		shown, err := b.shows(ctx, j.asReader(), item.Path)
		if err != nil {
			return nil, &ItemError{item.Path, err}
		}
		rulings[i] = importRuling{r, shown}
	}
	return rulings, nil
}

type importRuling struct {
	ruling
	shown bool // the caller may know what is there
}

// errUndo ends a dry run; it is no event of the log.
var errUndo = errors.New("undo")

// ItemError says which item could not be stored.
type ItemError struct {
	Path vault.Path
	Err  error
}

// Error names the path and the reason.
func (e *ItemError) Error() string { return string(e.Path) + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *ItemError) Unwrap() error { return e.Err }

func (b *Broker) importAll(ctx context.Context, tx *sqldb.Tx, rulings []importRuling, r ImportRequest, e audit.Entry, out *[]Imported) error {
	var conflict ImportConflict
	for i, item := range r.Items {
		if err := ctx.Err(); err != nil {
			return err
		}
		ruling, change, one := rulings[i], item.Change, e
		old, err := ruling.judge.inside(tx)(item.Path)
		created := errors.Is(err, vault.ErrNotFound)
		switch {
		case err == nil && !r.Replace && ruling.shown:
			conflict.Exist = append(conflict.Exist, item.Path)
			continue
		case err == nil:
			change = vault.Change{Value: change.Value}
		case !created:
			return &ItemError{item.Path, err}
		}
		if !ruling.judge.exempt() {
			if err := b.spendRate(tx, ruling.judge.who, ruling.Decision, e.Time); err != nil {
				return err
			}
		}
		one.Event = "secret.updated"
		if created {
			one.Event = "secret.created"
		}
		one.Path, one.Rule, one.RuleHash = item.Path, ruling.Rule, ruling.RuleHash
		_, err = b.store(tx, ruling.ruling, &one, change, !ruling.shown || r.DryRun, func(tx *sqldb.Tx, meta vault.Metadata) error {
			one.Version = meta.Version
			if b.far == nil {
				one.Target = strings.TrimSpace("import" + strings.TrimPrefix(one.Target, e.Target))
				if _, err := b.c.Audit.Append(tx, one); err != nil {
					return err
				}
			}
			if !ruling.shown && !ruling.judge.asReader().showsThis(meta) {
				meta, created = vault.Metadata{Path: item.Path}, false
			}
			*out = append(*out, Imported{meta, created})
			if r.Progress != nil {
				r.Progress(len(*out))
			}
			return nil
		})
		switch {
		case err != nil || b.far == nil:
		case !r.DryRun:
			one.Target = strings.TrimSpace("import" + strings.TrimPrefix(one.Target, e.Target))
			err = b.intend(tx, ruling.judge, &one)
		default:
			var would vault.Metadata
			if would, err = change.Apply(old, e.Time); err == nil {
				would.Path, would.Version = item.Path, old.Version+1
				*out = append(*out, Imported{would, created})
			}
		}
		err = veiled(ruling.shown, item.Path, err)
		if errors.Is(err, vault.ErrPathConflict) {
			conflict.Clash = append(conflict.Clash, item.Path)
			continue
		}
		if err != nil {
			return &ItemError{item.Path, err}
		}
	}
	if len(conflict.Exist)+len(conflict.Clash) > 0 {
		return &conflict
	}
	return nil
}

// Export returns the plaintext of the newest versions of many secrets to the
// owner, in the order asked for, all of them or none. Each is on record as read.
// Errors: those of [Broker.Reveal], as an *[ItemError] with the path.
func (b *Broker) Export(ctx context.Context, who identity.Principal, paths []vault.Path) ([]vault.Secret, error) {
	e := b.entry(who, "secret.exported")
	e.Target = fmt.Sprintf("%d secrets", len(paths))
	out := make([]vault.Secret, 0, len(paths))
	j := b.judge(who)
	for _, p := range paths {
		if err := j.ask(ctx, p); err != nil {
			return nil, b.refuse(ctx, &e, &ItemError{p, err})
		}
	}
	err := b.carryOut(ctx, j, &e, func(tx *sqldb.Tx) error {
		if who.Kind != identity.Owner {
			return ownerOnly()
		}
		out = slices.Delete(out, 0, len(out))
		for _, p := range paths {
			if err := ctx.Err(); err != nil {
				return err
			}
			one := e
			one.Path, one.Target, one.Event, one.Rule = p, "export", "secret.read", "owner"
			if err := b.exportOne(tx, j, one, &out); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for range out {
		b.seal.leaf(ctx, b)
	}
	return out, nil
}

// exportOne adds the newest version of one secret. In a vault elsewhere its leaf is
// an intent with an outcome.
func (b *Broker) exportOne(tx *sqldb.Tx, j judge, one audit.Entry, out *[]vault.Secret) error {
	failed := func(err error) error {
		if err != nil {
			err = &ItemError{one.Path, err}
		}
		return err
	}
	if b.far == nil {
		err := j.get(tx, j.asManager(policy.Reveal, one.Path), vault.Latest, func(s vault.Secret) { *out, one.Version = append(*out, s), s.Version })
		if err == nil {
			_, err = b.c.Audit.Append(tx, one)
		}
		return failed(err)
	}
	if _, err := j.inside(tx)(one.Path); err != nil {
		return failed(err)
	}
	j.effects = append(j.effects, effect{
		do: func(ctx context.Context) error {
			s, err := j.open(ctx, j.asManager(policy.Reveal, one.Path), vault.Latest)
			if err == nil {
				*out, one.Version = append(*out, s), s.Version
			}
			return failed(err)
		},
	})
	return b.intend(tx, j, &one)
}
