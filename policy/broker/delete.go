package broker

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Deleted is the outcome of [Broker.Delete].
type Deleted struct {
	Path            vault.Path
	Permanent       bool
	RestorableUntil time.Time // zero when permanent
}

// Delete moves a secret to the trash, or with permanent destroys it, in the
// trash too. Its handles end at once and stay ended when it is restored. An
// agent needs the right to delete, and for permanent a rule that says so.
// Errors: [vault.ErrNotFound], *[Denied].
func (b *Broker) Delete(ctx context.Context, who identity.Principal, p vault.Path, permanent bool) (Deleted, error) {
	e := b.entry(who, "secret.deleted")
	if permanent {
		e.Event = "secret.purged"
	}
	e.Path = p
	j := b.judge(who)
	decision, err := b.decide(ctx, j, &e, policy.Delete, p)
	switch {
	case err != nil:
		return Deleted{}, b.refuse(ctx, &e, err)
	case permanent && !j.exempt() && !decision.Permanent:
		return Deleted{}, b.refuse(ctx, &e, notForGood(p, decision.Rule))
	case permanent && !j.exempt():
		if err := b.checkTrash(ctx, decision); err != nil {
			return Deleted{}, b.refuse(ctx, &e, err)
		}
	}
	err = b.carryOut(ctx, j, &e, func(tx *sqldb.Tx) error {
		if !j.exempt() {
			meta, err := b.found(tx, decision)
			if err != nil {
				return err
			}
			if err := b.clear(tx, decision, meta, &e, plea{terms: []approval.Detail{{Name: "permanent", Text: strconv.FormatBool(permanent)}}}); err != nil {
				return err
			}
			if err := b.spendUse(tx, who, decision.Decision, e.Time); err != nil {
				return err
			}
		}
		return j.remove(tx, p, permanent, func(tx *sqldb.Tx) error {
			if permanent {
				if err := b.accesses.forget(tx, string(p)); err != nil {
					return err
				}
			}
			_, err := b.c.Handles.RevokePath(tx, p, e.Time)
			return err
		})
	})
	if err != nil {
		return Deleted{}, err
	}
	out := Deleted{Path: p, Permanent: permanent}
	if !permanent {
		out.RestorableUntil = e.Time.Add(vault.TrashRetention)
	}
	return out, nil
}

// checkTrash refuses to let an agent destroy what lies in the trash under p and
// was guarded more than the secret that lives there now: by its tier, or by its
// tags where r depends on what is there.
func (b *Broker) checkTrash(ctx context.Context, r ruling) error {
	return b.eachTrashed(ctx, r.request.Path, func(m vault.Metadata) error {
		if m.Tier != vault.Standard {
			return &Denied{
				Code: OwnerOnly, Reason: "What lies in the trash under this path is guarded, and only people destroy that.",
				Next: "Delete it without permanent, or ask the owner to run: coatcheck secret delete '" + string(m.Path) + "' --permanent",
			}
		}
		if r.request.Secret == nil {
			return nil
		}
		r.request.Secret = factsOf(m)
		if r.Decision = r.judge.rules.Decide(r.request); r.Allowed && r.Permanent {
			return nil
		}
		return &Denied{
			Code: PolicyDenied, Reason: "The rules do not allow this for what lies in the trash under this path.",
			Next: "Delete it without permanent, or ask the owner to run: coatcheck secret delete '" + string(m.Path) + "' --permanent",
		}
	})
}

// eachTrashed calls fn for every secret of that path in the trash, until one of
// the calls returns an error.
func (b *Broker) eachTrashed(ctx context.Context, p vault.Path, fn func(vault.Metadata) error) error {
	query := vault.Query{Prefix: string(p), Deleted: true, Limit: vault.MaxPageSize}
	for range mostTrashed {
		page, err := b.c.Vault.List(ctx, query)
		if err != nil {
			return err
		}
		for _, m := range page.Items {
			if m.Path != p { // the path itself comes first
				return nil
			}
			if err := fn(m); err != nil {
				return err
			}
		}
		if query.After = page.Next; query.After == "" {
			return nil
		}
	}
	return fmt.Errorf("broker: the trash below %q has no end", p)
}

// mostTrashed is how many pages of one path's trash are read.
const mostTrashed = 100

func notForGood(p vault.Path, rule string) *Denied {
	return &Denied{
		Code: PolicyDenied, Rule: rule, Reason: "The rule allows deleting to the trash and not for good.",
		Next: "Delete it without permanent, or ask the owner to run: coatcheck secret delete '" + string(p) + "' --permanent",
	}
}
