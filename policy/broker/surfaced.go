package broker

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// sentTo is a secret that a principal has sent to an origin.
type sentTo struct {
	who    string
	origin string
	path   vault.Path
}

// uses remembers what was sent where, as long as it is looked for in answers.
type uses struct {
	mu    sync.Mutex
	until map[sentTo]time.Time
}

func (u *uses) note(who identity.Principal, origin string, o Opened, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.DeleteFunc(u.until, func(_ sentTo, end time.Time) bool { return !end.After(now) })
	if u.until == nil {
		u.until = map[sentTo]time.Time{}
	}
	for _, p := range o.paths {
		key := sentTo{agentOf(who), origin, p}
		if o.until.After(u.until[key]) {
			u.until[key] = o.until
		}
	}
}

// unexplained returns those of the secrets that were not sent there.
func (u *uses) unexplained(who identity.Principal, origin string, secrets []vault.Path) (out []vault.Path) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, p := range secrets {
		if _, sent := u.until[sentTo{agentOf(who), origin, p}]; !sent && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// surfaced records that secrets were masked in an answer of an origin that this
// principal did not send them to: somebody gave them away, or tells by the masks
// whether a guess is right. An answer without that record is not given.
func (b *Broker) surfaced(ctx context.Context, who identity.Principal, target vault.Target, secrets []vault.Path) error {
	secrets = b.sent.unexplained(who, target.Origin(), secrets)
	if len(secrets) == 0 {
		return nil
	}
	entries := make([]audit.Entry, len(secrets))
	for i, p := range secrets {
		e := b.entry(who, "secret.surfaced")
		e.Path, e.Target, e.Outcome, e.Code = p, target.Method+" "+target.Origin(), audit.Denied, "mask_unexplained"
		entries[i] = e
	}
	err := b.update(ctx, func(tx *sqldb.Tx) error {
		for _, e := range entries {
			if _, err := b.c.Audit.Append(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range entries {
		b.seal.leaf(ctx, b)
		b.c.Log.WarnContext(ctx, "a secret was masked in an answer of where it was not sent", attrs(&entries[i])...)
	}
	return nil
}
