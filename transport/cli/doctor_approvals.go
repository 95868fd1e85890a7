package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// advisory says what approvals are worth where nothing more than [modeOwn] shows.
const advisory = "advisory in M0: a program that an agent runs as this user can make itself an admin, or change the database, " +
	"since what opens it is within reach"

// examineApprovals tells, where there is something to approve, whether there is
// anybody who could, and what it is worth.
func (d *desk) examineApprovals(ctx context.Context, rules *policy.Policy) (list []finding) {
	tier, err := d.highest(ctx)
	if err != nil {
		return []finding{{"fail", "approvals", err.Error()}}
	}
	admins, err := d.ListAdmins(ctx, identity.OwnerCLI())
	if err != nil {
		return []finding{{"fail", "approvals", err.Error()}}
	}
	live := 0
	for _, one := range admins {
		if one.RevokedAt.IsZero() && !one.Damaged {
			live++
		}
	}
	if tier == vault.Standard && live == 0 {
		return nil
	}
	list = append(list, finding{"warn", "approvals", advisory})
	if needed := rules.Approval(tier).Quorum; live < needed {
		list = append(list, finding{"warn", "admins", fmt.Sprintf("%s secrets need %d to approve, there %s: coatcheck admin add NAME", tier, needed, areNow(live))})
	}
	return list
}

func areNow(n int) string {
	switch n {
	case 0:
		return "is none"
	case 1:
		return "is 1"
	default:
		return fmt.Sprintf("are %d", n)
	}
}

// highest is the highest tier of all secrets, or a higher one where a vault elsewhere
// does not list them all.
func (d *desk) highest(ctx context.Context) (tier vault.Tier, err error) {
	if d.far != nil {
		if tier, err = d.far.Highest(ctx, []vault.Glob{"*"}); errors.Is(err, vault.ErrUnsupported) {
			return vault.Critical, nil
		}
		return tier, err
	}
	err = d.db.View(ctx, func(tx *sqldb.Tx) error {
		tier, err = embedded.New(d.db, d.keys, nil).Highest(tx, []vault.Glob{"*"})
		return err
	})
	return tier, err
}
